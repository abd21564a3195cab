-- What keeps a rule from starting: cooldown, age, store, filter, when.

rule "cooldown-plain" {
  on       = "cool.plain",
  key      = "thing",
  cooldown = "1d",
  run = function(event) note("plain " .. event.thing) end,
}

rule "cooldown-customer" {
  on       = "cool.customer",
  key      = "thing",
  cooldown = "1d per customer",
  run = function(event) note("customer " .. event.thing) end,
}

rule "young" {
  on      = "start.young",
  max_age = "2h",
  run = function() note "young" end,
}

rule "second-store" {
  on    = "start.store",
  store = "second",
  run = function(event) note("store " .. event.meta.store) end,
}

rule "filtered" {
  on = {
    on("start.filter", { status = { "new", "ready" }, total = { min = 100, max = 200 } }),
    on("start.other", { shipping = { country = "DE" } }),
    on("start.other", { ["shipping.country"] = "AT" }),
    on("start.list.*", { products = { sku = "x" } }),
  },
  mode = "parallel",
  run = function(event) note("filtered " .. event.meta.type) end,
}

rule "asked" {
  on   = "start.asked",
  mode = "parallel",
  when = function(event, customer)
    return customer.orders.total >= 100 and event.total < customer.orders.average
  end,
  run = function() note "asked" end,
}
