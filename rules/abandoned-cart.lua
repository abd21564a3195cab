-- A cart was left: one reminder after an hour; who orders meanwhile hears nothing.

rule "abandoned-cart" {
  about   = "Reminds of a cart left for an hour, and asks a manager to call the best customers",
  on      = "cart.updated",
  when    = function(cart) return #cart.products > 0 end,
  mode    = "restart",          -- every change of the cart starts the hour again
  exit_on = "order.placed",     -- bought: the chain ends at once, wherever it stands
  run = function(cart, customer)
    wait "1h"
    local mail = email { template = "cart-reminder", with = { cart = cart } }
    if wait("1d", mail.clicked) then return end
    if customer.orders.total >= 1000 and customer.phone then
      task { title = "Call about the cart", group = "sales", deadline = working "2h", call = customer.phone }
    end
  end,
}
