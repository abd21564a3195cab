test "an answer about one order does not wake the chain of another" (function(t)
  local anna = t:customer {}
  anna:event("key.begin", { order_id = "7" })
  anna:event("key.begin", { order_id = 8 })
  t:advance "1h"
  anna:event("key.answer", { order_id = "8", word = "eight" })
  t:same(t:notes(), { "8: eight" })
  t:advance "2d"
  t:same(t:notes(), { "8: eight", "7: nothing" })
end)

test "an event without the key concerns all chains of the customer" (function(t)
  local anna = t:customer {}
  anna:event("key.begin", { order_id = "7" })
  anna:event("key.begin", { order_id = "8" })
  t:advance "1h"
  anna:event("key.answer", { word = "all" })
  t:same(t:notes(), { "7: all", "8: all" })
end)

test "an event without the key starts nothing" (function(t)
  local anna = t:customer {}
  anna:event("key.begin", { word = "x" })
  t:same(t:verdicts "key-field", { "key" })
  t:same(t:chains "key-field", {})
end)

test "exit_on by key, and by an event without it" (function(t)
  local anna = t:customer {}
  anna:event("key.begin", { order_id = "7" })
  anna:event("key.begin", { order_id = "8" })
  t:advance "1m"
  anna:event("key.stop", { order_id = "7" })
  t:same(t:chains "key-field", { "exited", "waiting" })
  anna:event("key.stop", {})
  t:same(t:chains "key-field", { "exited", "exited" })
  t:advance "2d"; t:same(t:notes(), {})
end)

test "an order that is known names its customer" (function(t)
  local anna = t:customer { email = "anna@example.com" }
  anna:event("order.placed", { order_id = "77", total = 10 })
  anna:event("key.begin", { order_id = "77" })
  t:advance "1m"
  t:event("key.answer", { order_id = "77", word = "from the shop" })
  t:same(t:notes(), { "77: from the shop" })
end)

test "a nested field" (function(t)
  local anna = t:customer {}
  anna:event("key.nested", { parcel = { number = "A" } })
  anna:event("key.nested", { parcel = { number = "B" } })
  anna:event("key.nested", { parcel = { number = "A" } })
  t:advance "2h"
  t:same(t:notes(), { "parcel A", "parcel B" })
  t:same(t:verdicts "key-nested", { "started", "started", "mode" })
end)

test "a function" (function(t)
  local anna = t:customer {}
  anna:event("key.computed", { kind = "a", number = 1 })
  anna:event("key.computed", { kind = "a", number = 2 })
  anna:event("key.computed", { kind = "a", number = 1 })
  anna:event("key.computed", { kind = "none" })
  t:advance "2h"
  t:same(t:notes(), { "computed a1", "computed a2" })
  t:same(t:verdicts "key-function", { "started", "started", "mode", "key" })
end)

test "an outcome is known by its number, whoever brought it about" (function(t)
  local anna = t:customer {}
  anna:event("key.missed", { manager = "ivan" })
  local k = t:expect { task = "Call back" }
  anna:event("task.done", { task_id = k.id, manager = "olga" })
  t:same(t:notes(), { "called" })
end)

test "a key is no novel: one that is too long starts nothing" (function(t)
  local anna = t:customer {}
  anna:event("key.begin", { order_id = ("7"):rep(500) })
  t:same(t:verdicts "key-field", { "started" })
  anna:event("key.begin", { order_id = ("7"):rep(501) })
  t:same(t:verdicts "key-field", { "started", "key" })
end)
