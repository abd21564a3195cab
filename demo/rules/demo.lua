-- The shipped rules with waits that one can watch: seconds instead of hours.

rule "abandoned-cart" {
  about   = "Reminds of a cart left for six seconds",
  on      = "cart.updated",
  when    = function(cart) return #cart.products > 0 end,
  mode    = "restart",
  exit_on = "order.placed",
  run = function(cart)
    wait "6s"
    email { template = "cart-reminder", with = { cart = cart } }
  end,
}

rule "call-the-buyer" {
  about = "Has every order called within five seconds",
  on    = "order.placed",
  key   = "order_id",
  run = function(order, customer)
    local call = task {
      title = "Call the buyer", text = "Order " .. order.order_id, group = "sales",
      deadline = "5s", order = order.order_id, call = customer.phone,
    }
    if wait(call.done) then return end
    note("Order " .. order.order_id .. " was not called in time")
  end,
}
