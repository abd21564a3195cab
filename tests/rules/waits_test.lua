test "every form is answered" (function(t)
  local anna = t:customer {}
  anna:event("wait.begin")
  anna:event("wait.one", { word = "too early" })
  t:advance "1h29m"; t:same(t:notes(), {})
  t:advance "1m"; t:same(t:notes(), { "1h30m" })
  anna:event("wait.one", { word = "hello" })
  anna:event("wait.some.thing")
  anna:event("wait.c", { total = 9 })
  anna:event("wait.c", { total = 10 })
  anna:event("wait.d", { ok = false })
  anna:event("wait.e", { ok = true })
  t:same(t:notes(), { "1h30m", "one: hello", "pattern: wait.some.thing", "list: wait.c", "filter: wait.e" })
  t:same(t:chains "wait-forms", { "done" })
end)

test "nothing is answered" (function(t)
  local anna = t:customer {}
  anna:event("wait.begin")
  t:advance "10d"
  t:same(t:notes(), { "1h30m", "no one", "no pattern", "no list", "no filter" })
end)

test "one event wakes one wait" (function(t)
  local anna = t:customer {}
  anna:event("wait.begin")
  t:advance "2h"
  anna:event("wait.one", { word = "first" })
  t:advance "1m"
  anna:event("wait.one", { word = "second" })
  t:same(t:notes(), { "1h30m", "one: first" })
end)

test "a click on the right link" (function(t)
  local anna = t:customer { email = "anna@example.com", consent = { email = true } }
  anna:event("wait.message")
  local m = t:expect { email = "plain", lang = "en" }
  t:advance "1h"
  anna:event("message.clicked", { message_id = m.id, link = "other" })
  anna:event("message.clicked", { message_id = "999999", link = "confirm" })
  t:same(t:notes(), {})
  anna:event("message.clicked", { message_id = m.id, link = "confirm" })
  t:same(t:notes(), { "clicked confirm" })
end)

test "a reply" (function(t)
  local anna = t:customer { email = "anna@example.com", consent = { email = true } }
  anna:event("wait.message")
  local m = t:expect { email = "plain" }
  t:advance "23h"
  anna:event("message.replied", { message_id = m.id })
  t:same(t:notes(), { "replied -" })
end)

test "no answer to a message" (function(t)
  local anna = t:customer { email = "anna@example.com", consent = { email = true } }
  anna:event("wait.message")
  t:advance "1d"
  t:same(t:notes(), { "nothing" })
end)

test "over: sent, and overdue" (function(t)
  local anna = t:customer { email = "anna@example.com" }
  anna:event("wait.over", { at = "30m" })
  t:advance "29m"; t:same(t:notes(), {})
  t:advance "1m"; t:same(t:notes(), { "message sent" })
  t:advance "2h"; t:same(t:notes(), { "message sent", "task overdue" })
end)

test "over: done in time" (function(t)
  local anna = t:customer { email = "anna@example.com" }
  anna:event("wait.over", { at = "0s" })
  local k = t:expect { task = "Over" }
  t:take(k, "paul")
  t:same(t:notes(), { "message sent" })
  t:done(k)
  t:same(t:notes(), { "message sent", "task done" })
end)

test "t.done in time, with its result" (function(t)
  local anna = t:customer {}
  anna:event("wait.done")
  local k = t:expect { task = "Do it", manager = "maria", results = { "yes", "no" } }
  t:advance "1h"
  t:done(k, "yes")
  t:same(t:notes(), { "done yes" })
end)

test "t.done too late" (function(t)
  local anna = t:customer {}
  anna:event("wait.done")
  local k = t:expect { task = "Do it" }
  t:advance "2h"; t:same(t:notes(), { "late overdue" })
  t:advance "1h"
  t:done(k, "no")
  t:same(t:notes(), { "late overdue", "done late" })
end)

test "t.done never" (function(t)
  local anna = t:customer {}
  anna:event("wait.done")
  t:advance "3d"; t:same(t:notes(), { "late overdue", "never done" })
end)

test "an outcome that is there answers at once, an event does not" (function(t)
  local anna = t:customer { email = "anna@example.com" }
  anna:event("wait.past")
  local m = t:expect { email = "plain" }
  t:advance "1h"
  anna:event("message.opened", { message_id = m.id })
  anna:event("wait.heard")
  t:advance "1h"; t:same(t:notes(), { "opened before" })
  t:advance "1h"; t:same(t:notes(), { "opened before", "not heard" })
end)

test "a refused message answers at once" (function(t)
  local anna = t:customer { email = "anna@example.com" }
  anna:event("wait.refused")
  t:refused { email = "plain", code = "no_consent" }
  t:same(t:notes(), { "nil", "failed no_consent", "failed" })
  t:same(t:chains "wait-refused", { "done" })
end)

test "time runs from the hand-over" (function(t)
  local anna = t:customer { email = "anna@example.com" }
  anna:event("wait.handover")
  t:advance "3h59m"; t:same(t:notes(), {})
  t:advance "1m"; t:same(t:notes(), { "not clicked within an hour" })
end)

test "a click within the time" (function(t)
  local anna = t:customer { email = "anna@example.com" }
  anna:event("wait.handover")
  t:advance "3h30m"
  local m = t:expect { email = "plain" }
  anna:event("message.clicked", { message_id = m.id })
  t:same(t:notes(), { "clicked" })
end)
