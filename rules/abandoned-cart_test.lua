local cart = { total = 250, products = { { product_id = "7", name = "Kettle", price = 250, quantity = 1 } } }

test "one reminder after an hour" (function(t)
  local anna = t:customer { email = "anna@example.com", consent = { email = true } }
  anna:event("cart.updated", cart)
  t:advance "59m"; t:expect_none()
  t:advance "1m";  t:expect { email = "cart-reminder", to = "anna@example.com" }
  t:advance "7d";  t:expect_none()
end)

test "every change of the cart starts the hour again" (function(t)
  local anna = t:customer { email = "anna@example.com", consent = { email = true } }
  anna:event("cart.updated", cart)
  t:advance "50m"
  anna:event("cart.updated", cart)
  t:advance "50m"; t:expect_none()
  t:advance "10m"; t:expect { email = "cart-reminder" }
  t:advance "2d";  t:expect_none()
end)

test "who orders hears nothing" (function(t)
  local anna = t:customer { email = "anna@example.com", consent = { email = true } }
  anna:event("cart.updated", cart)
  t:advance "30m"
  anna:event("order.placed", { order_id = "1", total = 250 })
  t:advance "7d"; t:expect_none()
end)

test "an empty cart is nothing to remind of" (function(t)
  local anna = t:customer { email = "anna@example.com", consent = { email = true } }
  anna:event("cart.updated", { total = 0, products = {} })
  t:advance "2d"; t:expect_none()
end)

test "without consent there is no mail" (function(t)
  local boris = t:customer { email = "boris@example.com" }
  boris:event("cart.updated", cart)
  t:advance "1h"; t:refused { email = "cart-reminder", code = "no_consent" }
  t:advance "2d"; t:expect_none()
end)

test "good customers are called when they do not click" (function(t)
  local anna = t:customer { email = "anna@example.com", phone = "+4930123456", consent = { email = true } }
  anna:event("order.placed", { order_id = "1", total = 1500 })
  t:advance "1d"
  anna:event("cart.updated", cart)
  t:advance "1h"; t:expect { email = "cart-reminder" }
  t:advance "1d"; t:expect { task = "Call about the cart", group = "sales", call = "+4930123456" }
end)

test "who clicks is not called" (function(t)
  local anna = t:customer { email = "anna@example.com", phone = "+4930123456", consent = { email = true } }
  anna:event("order.placed", { order_id = "1", total = 1500 })
  t:advance "1d"
  anna:event("cart.updated", cart)
  t:advance "1h"
  local mail = t:expect { email = "cart-reminder" }
  t:advance "2h"
  anna:event("message.clicked", { message_id = mail.id, link = "cart" })
  t:advance "3d"; t:expect_none()
end)
