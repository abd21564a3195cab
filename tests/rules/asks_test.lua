test "the third order" (function(t)
  local anna = t:customer {}
  anna:event("order.placed", { order_id = "1", total = 10 })
  t:advance "31d"
  anna:event("order.placed", { order_id = "2", total = 10 })
  anna:event("order.placed", { order_id = "3", total = 10 })
  t:same(t:notes(), {})
  anna:event("order.placed", { order_id = "4", total = 10 })
  t:same(t:notes(), { "the third order in 30 days" })
end)

test "the third order in one moment" (function(t)
  local anna = t:customer {}
  for i = 1, 4 do anna:event("order.placed", { order_id = tostring(i), total = 10 }) end
  t:same(t:verdicts "third-order", { "when", "when", "started", "when" })
end)

test "questions" (function(t)
  local anna = t:customer {}
  anna:event("product.viewed", { product_id = "x" })
  anna:event("order.placed", { order_id = "1", total = 20, products = {
    { product_id = "kettle", price = 20, quantity = 1 }, { sku = "spoon", price = 0, quantity = 2 } } })
  t:advance "20d"
  anna:event("order.placed", { order_id = "2", total = 30, products = { { product_id = "kettle", price = 30, quantity = 1 } } })
  anna:event("order.paid", { order_id = "2" })
  anna:event("product.viewed", { product_id = "z" })
  t:advance "1d"
  anna:event("order.placed", { order_id = "3", total = 40 })
  anna:event("order.shipped", { order_id = "3" })
  anna:event("product.viewed", { product_id = "y" })
  anna:event("product.viewed", { product_id = "x" })
  anna:event("ask.begin")
  t:same(t:errors "asks", {})
  t:same(t:notes(), { "the third order in 30 days",
    "views 4", "views of x 2", "views by where 3", "views of today 2", "anything 5",
    "last x y of 2", "kettle 22.03.", "spoon not lately", "lines 3",
    "order 3 shipped 40", "order 2 paid 30", "all orders 3, one 30", "since 2",
  })
end)

test "before and after a wait" (function(t)
  local anna = t:customer {}
  anna:event("order.placed", { order_id = "1", total = 20 })
  anna:event("ask.word")
  t:advance "1m"
  anna:event("ask.again")
  t:advance "1h"
  anna:event("ask.word", { loud = false })
  anna:event("order.placed", { order_id = "2", total = 5 })
  t:advance "2d"
  t:same(t:notes(), { "happened before: false", "counts 1 2", "totals 20 25", "happened after: true",
    "happened on: false", "an hour ago 09:01, now 10:01" })
end)

test "a split is stable, and both names come up" (function(t)
  local seen = {}
  for i = 1, 12 do
    local c = t:customer {}
    c:event("ask.split")
    c:event("ask.split")
  end
  t:advance "2h"
  local notes, a, b = t:notes(), 0, 0
  for _, word in ipairs(notes) do
    if word == "a" then a = a + 1 elseif word == "b" then b = b + 1 end
  end
  t:same(a + b, 24); t:same(a % 2, 0)
  t:same(a > 0 and b > 0, true)
  t:same(t:errors "splits", {})
end)
