test "cooldown: by key" (function(t)
  local anna = t:customer {}
  anna:event("cool.plain", { thing = "a" })
  anna:event("cool.plain", { thing = "b" })
  t:advance "23h59m"
  anna:event("cool.plain", { thing = "a" })
  t:advance "1m"
  anna:event("cool.plain", { thing = "a" })
  t:same(t:notes(), { "plain a", "plain b", "plain a" })
  t:same(t:verdicts "cooldown-plain", { "started", "started", "cooldown", "started" })
end)

test "cooldown: a calendar day of the customer" (function(t)
  local anna = t:customer { timezone = "Europe/Berlin" }
  t:at "2026-03-28 11:00"            -- 12:00 in Berlin; the night has 23 hours
  anna:event("cool.plain", { thing = "a" })
  t:at "2026-03-29 09:59"
  anna:event("cool.plain", { thing = "a" })
  t:at "2026-03-29 10:00"            -- 12:00 again
  anna:event("cool.plain", { thing = "a" })
  t:same(t:verdicts "cooldown-plain", { "started", "cooldown", "started" })
end)

test "cooldown: per customer" (function(t)
  local anna, boris = t:customer {}, t:customer {}
  anna:event("cool.customer", { thing = "a" })
  anna:event("cool.customer", { thing = "b" })
  t:advance "1m"
  boris:event("cool.customer", { thing = "a" })
  t:same(t:notes(), { "customer a", "customer a" })
  t:same(t:verdicts "cooldown-customer", { "started", "cooldown", "started" })
end)

test "an old event starts nothing" (function(t)
  local anna = t:customer {}
  anna:event("start.young", {}, { time = "2026-03-02 07:59" })
  t:same(t:verdicts "young", { "max_age" })
  anna:event("start.young", {}, { time = "2026-03-02 08:00" })
  t:same(t:verdicts "young", { "max_age", "started" })
end)

test "the same event twice is one" (function(t)
  local anna = t:customer {}
  anna:event("start.young", {}, { id = "same" })
  anna:event("start.young", {}, { id = "same" })
  t:advance "1m"
  anna:event("start.young", {}, { id = "same" })
  t:same(t:notes(), { "young" })
end)

test "only for its store" (function(t)
  local anna = t:customer { email = "anna@example.com" }
  anna:event("start.store", {})
  t:event("start.store", { customer = { email = "anna@example.com" } }, { store = "second" })
  t:same(t:notes(), { "store second" })
  t:same(t:verdicts "second-store", { "store", "started" })
end)

test "filters" (function(t)
  local anna = t:customer {}
  anna:event("start.filter", { status = "new", total = 100 })
  anna:event("start.filter", { status = "ready", total = "200.0" })
  anna:event("start.filter", { status = "old", total = 150 })
  anna:event("start.filter", { status = "new", total = 99.99 })
  anna:event("start.filter", { status = "new" })
  t:same(t:verdicts "filtered", { "started", "started", "filter", "filter", "filter" })
end)

test "filters below objects and in lists" (function(t)
  local anna = t:customer {}
  anna:event("start.other", { shipping = { country = "DE" } })
  anna:event("start.other", { shipping = { country = "AT" } })
  anna:event("start.other", { shipping = { country = "FR" } })
  anna:event("start.list.one", { products = { { sku = "y" }, { sku = "x" } } })
  anna:event("start.list.two", { products = { { sku = "y" } } })
  t:same(t:notes(), { "filtered start.other", "filtered start.other", "filtered start.list.one" })
end)

test "when reads the event and the card" (function(t)
  local anna = t:customer {}
  anna:event("start.asked", { total = 1 })
  anna:event("order.placed", { order_id = "1", total = 60 })
  anna:event("order.placed", { order_id = "2", total = 60 })
  anna:event("start.asked", { total = 59.99 })
  anna:event("start.asked", { total = 60 })
  t:same(t:verdicts "asked", { "when", "started", "when" })
end)
