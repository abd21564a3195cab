-- Fields of events, of the card, of meta, of orders.

rule "fields" {
  on   = "cart.updated",
  when = function(cart, customer) return cart.totl > 10 and customer.ordes.count > 1 end,
  run  = function(cart, customer)
    local lines = cart.products
    for _, line in ipairs(lines) do note(line.prise) end
    note(cart.products[1].nmae .. cart.customer.id .. cart.meta.tipe)
    note(cart.gift_wrap .. cart.own_id .. cart.own_at.hour)
    note(customer.orders.totel .. customer.frist_name .. customer.attributes.anything)
    if customer.segments then note "x" end
    for _, order in ipairs(orders { status = "paid" }) do note(order.totla .. order.products[1].name) end
    local answer = wait("1d", "survey.answered")
    if answer then note(answer.scroe .. answer.meta.id) end
    local other = wait("1d", { "survey.answered", "own.type" })
    if other then note(other.whatever) end
    for _, e in ipairs(events "order.placed") do note(e.order_di) end
  end,
}

rule "another-value" {
  on  = "cart.updated",
  run = function(cart)
    cart = { anything = 1 }
    note(cart.anything)
  end,
}

rule "two-types" {
  on  = { "order.placed", "order.shipped" },
  run = function(order) note(order.carrier .. order.payment .. order.carier) end,
}

rule "own-type" {
  on  = "loyalty.reached",
  run = function(event) note(event.level) end,
}

rule "pattern" {
  on  = "order.*",
  run = function(event) note(event.level .. event.meta.typ) end,
}

--! 5: warning: cart: cart.updated has no field "totl"; did you mean "total"?
--! 5: error: customer.ordes: no such field; did you mean "orders"?
--! 8: warning: line: cart.updated has no field "products.prise"; did you mean "price"?
--! 9: warning: cart: cart.updated has no field "products.nmae"; did you mean "name"?
--! 9: error: event.meta has no "tipe"; did you mean "type"?
--! 10: warning: cart: cart.updated has no field "gift_wrap" in the vocabulary; is it one of your store's own?
--! 11: error: customer.orders.totel: no such field; did you mean "total"?
--! 11: error: customer.frist_name: no such field; did you mean "first_name"?
--! 12: error: customer.segments: segments are not available in this version
--! 13: warning: an order of orders{} has no field "totla"; did you mean "total"?
--! 15: warning: answer: survey.answered has no field "scroe"; did you mean "score"?
--! 18: warning: e: order.placed has no field "order_di"; did you mean "order_id"?
--! 32: warning: order: order.placed or order.shipped has no field "carier"; did you mean "carrier"?
--! 42: error: event.meta has no "typ"; did you mean "type"?
