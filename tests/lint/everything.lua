-- Every call with every field it has, and odd but right Lua: nothing is wrong here but the configuration.

local limit <const> = 0x10
local list = { 1, 2; 3, [4] = "four", five = { nested = { [ [[long]] ] = 1e-3 } } }
local text = [==[
a "long" ]] text]==]

--[==[ a long
comment ]==]

local function helper(a, ...)
  local b, c = ...
  return a and b or c
end

local functions = {}
function functions.one(x) return x end
function functions:two(x) return self.one(x) end

rule "everything" {
  about    = 'A \'quoted\' text with \u{20AC} and \x41 and \065',
  on       = { "order.placed", on("order.paid", { total = { min = 10 } }) },
  key      = "order_id",
  exit_on  = "order.cancelled",
  cooldown = "1d",
  when = function(order, customer)
    return count("order.placed", { within = "30d", since = ago "40d", where = { total = 1 }, limit = 5 }) >= 1
      and #events("order.placed", { within = "30d" }) > 0 and #orders { id = "1", status = "paid", since = ago "3d", within = "3d", limit = 2 } >= 0
      and not bought("kettle", { within = "3d" }) and customer.consent.email ~= false
      and split { a = 50, b = 50 } ~= nil and now() > customer.created_at and -limit // 2 << 1 ~= ~0
  end,
  run = function(order, customer)
    local m = email {
      template = "offer", to = "maria@example.com", with = { order = order, list = list }, subject = "x" .. text,
      at = "1h", expires = "2d", class = "bulk", keep = true, reason = "once",
    }
    local t = task {
      title = "All", text = helper(1, 2), assign = "maria", group = "sales", deadline = working("2h", "night"),
      remind = "10m", priority = 3, order = order.order_id, call = customer.phone, results = { "ok", "no" }, keep = true,
    }
    wait(m)
    local e = wait("1d", { m.clicked, t.done, "survey.answered", on("order.shipped", { carrier = "DHL" }) })
    if e then note(e.outcome or e.meta.type) end
    wait_until(tomorrow "10:00", m.replied)
    wait_until(after(order.delivery_at or now(), "3d"))
    set { name = "A", first_name = "A", last_name = "B", lang = "en", tz = "UTC", city = "C", birthday = "1990-01-01",
      gender = "f", manager = "maria", consent = { email = true }, shoe_size = 40 }
    tag "x"; untag "x"
    publish("orders/" .. order.order_id, { total = order.total })
    emit("own.type", { a = 1 })
    note(functions:two(functions.one "x"):upper() .. ("x"):rep(2) .. string.format("%d", #order.products))
    repeat local done = happened "order.paid" until done or true
    for i = 10, 1, -1 do if i < 5 then break end end
    for k, v in pairs(customer.attributes) do note(k .. tostring(v)) end
    for _, p in ipairs(customer.cart.products) do note(p.name .. p.price) end
    local total = 0
    do local total = 1; total = total + 1 end
    while total < 3 do total = total + 1 end
    return total
  end,
}
--! 49: warning: publish: nobody hands it over: "couriers" in section [publish] of the configuration is 0
