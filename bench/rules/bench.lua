-- 50 rules, one or two for each type that comes: of 100 events 30 start a chain, 20 of these write a message before
-- they wait.  `lot` is a number from 0 to 99 in each event.
local function follow_up(till)
  return function(event)
    if event.lot < 20 then
      email { template = "bench", class = "transactional", to = "bench@example.com", with = { event = event } }
    end
    wait("3d", till)
  end
end

rule "thank-you" {
  on   = "order.placed",
  mode = "parallel",
  when = function(order) return order.lot < 30 and order.total >= 0 end,
  run  = follow_up "order.cancelled",
}

rule "best-customer" {
  on   = "order.placed",
  mode = "parallel",
  when = function(order, customer) return customer.orders.total > 1e9 and order.payment == "card" end,
  run  = function() wait "1d" end,
}

rule "left-cart" {
  on   = "cart.updated",
  mode = "parallel",
  when = function(cart) return cart.lot < 30 and cart.total >= 0 end,
  run  = follow_up "checkout.started",
}

rule "look-again" {
  on   = "product.viewed",
  mode = "parallel",
  when = function(product) return product.lot < 30 and product.price > 0 end,
  run  = follow_up "product.wished",
}

for i = 1, 46 do
  rule("other-" .. i) {
    on   = "other.type" .. i,
    when = function(event, customer) return event.total > i and customer.orders.count > 2 end,
    run  = function() wait "1d" end,
  }
end
