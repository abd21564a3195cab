-- 50 rules, one for orders: 30 of 100 of them start a chain, two thirds of those write a message before the first wait;
-- carts start one chain in three the same way.
local function share(total, of) return math.floor(total) % 100 < of end

rule "thank-you" {
  on   = "order.placed",
  mode = "parallel",
  when = function(order, customer)
    return order.total > 0 and customer.orders.count >= 0 and order.shipping.country == "DE" and share(order.total, 30)
  end,
  run = function(order, customer)
    if share(order.total, 20) then
      email { template = "tracking-number", class = "transactional", to = "bench@example.com", with = { order = order } }
    end
    wait("3d", "order.cancelled")
  end,
}

rule "left-cart" {
  on   = "cart.updated",
  mode = "parallel",
  when = function(cart, customer) return cart.total > 0 and share(cart.total, 30) end,
  run  = function(cart) wait("1h", "order.placed") end,
}

for i = 1, 48 do
  rule("other-" .. i) {
    on   = "other.type" .. i,
    when = function(event, customer) return event.total > i and customer.orders.count > 2 end,
    run  = function() wait "1d" end,
  }
end
