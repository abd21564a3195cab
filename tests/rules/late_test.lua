test "in time all go on" (function(t)
  local anna = t:customer {}
  anna:event("late.begin")
  t:advance "1h"
  t:same(t:notes(), { "run", "end", "after" })
end)

test "an hour late" (function(t)
  local anna = t:customer {}
  anna:event("late.begin")
  t:outage "2h"
  t:same(t:notes(), { "run", "after" })
  t:same(t:chains "late-end", { "cancelled" })
end)

test "three hours late" (function(t)
  local anna = t:customer {}
  anna:event("late.begin")
  t:outage "4h1m"
  t:same(t:notes(), { "run" })
  t:same(t:chains "late-after", { "cancelled" })
end)

test "a message that expired meanwhile" (function(t)
  local anna = t:customer { email = "anna@example.com" }
  anna:event("late.message")
  t:outage "2h"
  anna:event("late.answer")
  t:same(t:notes(), { "late.answer" })
end)
