-- Questions about the past, in `when` and in `run`.

rule "third-order" {
  about = "count in when, this one included",
  on    = "order.placed",
  key   = "order_id",
  when  = function() return count("order.placed", { within = "30d" }) == 3 end,
  run = function() note "the third order in 30 days" end,
}

rule "asks" {
  on = "ask.begin",
  run = function(event, customer)
    note("views " .. count "product.viewed")
    note("views of x " .. count(on("product.viewed", { product_id = "x" })))
    note("views by where " .. count("product.viewed", { where = { product_id = { "x", "y" } } }))
    note("views of today " .. count("product.viewed", { since = today "00:00" }))
    note("anything " .. count({ "product.*", "order.placed" }, { within = "2d" }))
    local last = events("product.viewed", { limit = 2 })
    note("last " .. last[1].product_id .. " " .. last[2].product_id .. " of " .. #last)
    note("kettle " .. (bought "kettle" and bought("kettle"):format "%d.%m." or "never"))
    note("spoon " .. (bought("spoon", { within = "10d" }) and "lately" or "not lately"))
    note("lines " .. count "product.bought")
    for _, order in ipairs(orders { status = { "paid", "shipped" } }) do
      note("order " .. order.id .. " " .. order.status .. " " .. order.total)
    end
    note("all orders " .. #orders() .. ", one " .. orders({ id = "2" })[1].total)
    note("since " .. #orders { since = ago "36h" })
  end,
}

rule "asks-again" {
  about = "An answer of before the wait is the one of then, one of after it is new",
  on    = "ask.again",
  run = function(event, customer)
    local before_count, before_total = count "ask.word", customer.orders.total
    note("happened before: " .. tostring(happened "ask.word"))
    wait "1d"
    note("counts " .. before_count .. " " .. count "ask.word")
    note("totals " .. before_total .. " " .. customer.orders.total)
    note("happened after: " .. tostring(happened "ask.word"))
    note("happened on: " .. tostring(happened(on("ask.word", { loud = true }))))
    note("an hour ago " .. ago("1h"):format "%H:%M" .. ", now " .. now():format "%H:%M")
  end,
}

rule "splits" {
  on   = "ask.split",
  mode = "parallel",
  run = function()
    local name = split { a = 50, b = 50 }
    wait "1h"
    if name ~= split { a = 50, b = 50 } then error "another name after a wait" end
    note(name)
    note(split { only = 1, never = 0 })
  end,
}
