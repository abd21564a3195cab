test "the reminder comes after six seconds, and not after an order" (function(t)
  local cart = { total = 250, products = { { product_id = "7", name = "Kettle", price = 250 } } }
  local anna = t:customer { email = "anna@example.com", consent = { email = true } }
  local olga = t:customer { email = "olga@example.com", consent = { email = true } }
  anna:event("cart.updated", cart)
  olga:event("cart.updated", cart)
  t:advance "3s"
  olga:event("order.placed", { order_id = "1", total = 250 })
  t:expect { task = "Call the buyer", order = "1" }
  t:advance "1h"
  t:expect { email = "cart-reminder", to = "anna@example.com" }
  t:expect_none()
end)
