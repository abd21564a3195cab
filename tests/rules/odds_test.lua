test "waits in loops and below functions" (function(t)
  local anna = t:customer {}
  anna:event("odd.loops", { list = { "p", "q" } })
  t:advance "1d"
  t:same(t:notes(), { "a2", "b1", "c3", "1p", "2q", "x", "y", "deep 50", "n 2" })
end)

test "no waits and questions in functions that are called back" (function(t)
  local anna = t:customer {}
  anna:event("odd.sort", {})
  anna:event("odd.sort", { asks = true })
  t:same(t:verdicts "odd-sort", { "error", "error" })
  for _, text in ipairs(t:errors "odd-sort") do
    t:same(text:match "^odds%.lua:27: a function that is given to table%.sort" and "found" or text, "found")
  end
end)

test "expired" (function(t)
  local anna = t:customer { email = "anna@example.com" }
  anna:event("odd.expired")
  t:advance "3d"
  t:same(t:notes(), { "nil at 11:00", "failed expired", "failed" })
  t:expect_none()
end)

test "expires at the end of a wait" (function(t)
  local anna = t:customer { email = "anna@example.com" }
  anna:event("odd.expires")
  t:advance "3h"
  t:same(t:notes(), { "expired" })
  t:advance "3h"
  anna:event("odd.other")
  t:same(t:notes(), { "expired", "nil at 14:00", "failed", "odd.other" })
  t:expect_none()
end)

test "a message or an event" (function(t)
  local anna, boris = t:customer { email = "anna@example.com" }, t:customer { email = "boris@example.com" }
  anna:event("odd.mixed")
  boris:event("odd.mixed")
  t:advance "5m"
  anna:event("odd.other")
  t:same(t:notes(), { "odd.other" })
  t:advance "1d"
  t:same(t:notes(), { "odd.other", "nil at 13:00" })
end)

test "taken, then done" (function(t)
  local anna = t:customer {}
  anna:event("odd.taken")
  local k = t:expect { task = "Take it" }
  t:take(k, "maria")
  t:done(k)
  t:same(t:notes(), { "taken by maria", "done" })
end)

test "cancelled" (function(t)
  local anna = t:customer {}
  anna:event("odd.taken")
  local k = t:expect { task = "Take it" }
  anna:event("task.cancelled", { task_id = k.id })
  t:advance "1d"
  t:same(t:notes(), { "nobody", "cancelled" })
end)

test "a failed restart" (function(t)
  local anna = t:customer {}
  anna:event("odd.error")
  t:advance "10m"
  anna:event("odd.error", { bad = true })
  t:advance "1d"
  t:same(t:notes(), { "survived" })
  t:same(t:chains "odd-error", { "done" })
end)

test "queued, with a cooldown" (function(t)
  local anna = t:customer {}
  anna:event("odd.queue", { n = 1 })
  t:advance "10m"; anna:event("odd.queue", { n = 2 })
  t:advance "25m"; anna:event("odd.queue", { n = 3 })
  t:advance "3d"
  t:same(t:notes(), { "queue 1", "queue 3" })
end)

test "question and answer" (function(t)
  local anna = t:customer {}
  anna:event("odd.question")
  t:advance "2h"
  t:same(t:notes(), { "answer 2" })
end)

test "a parcel that is known names its customer" (function(t)
  local anna = t:customer {}
  anna:event("order.shipped", { order_id = "9", tracking_number = "TR1" })
  anna:event("odd.parcel")
  t:advance "1m"
  t:event("parcel.moved", { tracking_number = "TR1", place = "Berlin" })
  t:same(t:notes(), { "Berlin" })
end)

test "another zone" (function(t)
  local anna = t:customer { timezone = "Europe/Berlin" }
  anna:event("odd.zone", { zone = "Asia/Tokyo" })
  t:advance "1m"
  t:same(t:notes(), { "11:00", "19:00", "19:01" })
  t:same(anna:card().tz, "Asia/Tokyo")
end)

test "a zone that is none" (function(t)
  local anna = t:customer { timezone = "Europe/Berlin" }
  anna:event("odd.zone", { zone = "Mars/Base" })
  t:same(t:notes(), {})
  t:same(t:errors "odd-zone", { 'odds.lua:131: set: "Mars/Base" is no time zone; write "Europe/Berlin"' })
end)
