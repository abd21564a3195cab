test "an event about nobody" (function(t)
  t:event("price.changed", { product_id = "7", price = 99, previous = 120 })
  t:event("price.changed", { product_id = "8", price = 101, previous = 120 })
  t:expect { publish = "prices", payload = { product_id = "7", price = 99 } }
  t:expect_none()
  t:advance "1h"
  t:expect { task = "Look at the price of 7" }
end)

test "the order of judging" (function(t)
  local anna = t:customer {}
  anna:event("order.placed", { order_id = "judging", total = 10, status = "new",
    products = { { product_id = "a", price = 4 }, { product_id = "b", price = 6 } } })
  local notes = t:notes()
  t:same(notes[1], "order.placed 1 1")
  local bought = 0
  for _, line in ipairs(notes) do
    if line == "product.bought 1 1" then bought = bought + 1 end
  end
  t:same(bought, 2)
end)

test "fields and their types" (function(t)
  local anna = t:customer {}
  anna:event("order.updated", { order_id = 17, total = "12.50", delivery_at = "2026-03-03T12:30:00Z",
    own_at = "2024-01-01T00:00:00Z", own_id = 5, extra = { b = 1, a = 2, c = 3 } })
  t:same(t:errors "types", {})
  t:same(t:notes(), { "string 17", "number 12.5", "0 products", "nil", "03.03.2026 12 2", "true 26",
    "2024 string", "shop test order.updated", "a,b,c" })
end)
