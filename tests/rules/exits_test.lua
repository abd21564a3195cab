test "only what the filter names ends it" (function(t)
  local anna = t:customer {}
  anna:event("exit.begin")
  t:advance "1h"
  anna:event("exit.stop", { reason = "thought about it" })
  anna:event("exit.stop", {})
  t:same(t:chains "exit-filter", { "waiting" })
  anna:event("exit.stop", { reason = "bought" })
  t:same(t:chains "exit-filter", { "exited" })
  t:advance "2d"; t:same(t:notes(), {})
end)

test "a pattern in a list" (function(t)
  local anna = t:customer {}
  anna:event("exit.begin")
  anna:event("exit.never.say")
  t:same(t:chains "exit-filter", { "exited" })
end)

test "nothing ends it" (function(t)
  local anna = t:customer {}
  anna:event("exit.begin")
  t:advance "1d"
  t:same(t:notes(), { "not stopped" })
end)

test "the event of another customer does not end it" (function(t)
  local anna, boris = t:customer {}, t:customer {}
  anna:event("exit.begin")
  t:advance "1m"
  boris:event("exit.stop", { reason = "bought" })
  t:same(t:chains "exit-filter", { "waiting" })
end)

test "the start does not end its own chain, the next one does" (function(t)
  local anna = t:customer {}
  anna:event("exit.twice")
  t:same(t:chains "exit-immune", { "waiting" })
  t:advance "1m"
  anna:event("exit.twice")
  t:same(t:chains "exit-immune", { "exited", "waiting" })
  t:advance "1h"; t:same(t:notes(), { "an hour passed" })
end)

test "what nobody has yet is withdrawn" (function(t)
  local anna = t:customer { email = "anna@example.com" }
  anna:event("exit.withdraw")
  t:expect { publish = "exit/begun" }
  t:take(t:expect { task = "Taken" }, "maria")
  t:advance "1h"
  anna:event("exit.stop", { reason = "lost" })
  t:withdrawn { email = "plain" }
  t:withdrawn { task = "Not taken" }
  t:advance "2h"
  t:expect { email = "second" }
  t:expect { task = "Kept" }
  t:advance "20d"
  t:expect_none()
  t:same(t:notes(), {})
end)

test "what has been handed over stays" (function(t)
  local anna = t:customer { email = "anna@example.com" }
  anna:event("exit.withdraw")
  t:advance "3h"
  anna:event("exit.stop", { reason = "lost" })
  t:expect { email = "plain" }
  t:expect { email = "second" }
end)

test "after run has returned a message may still be withdrawn" (function(t)
  local anna = t:customer { email = "anna@example.com" }
  anna:event("exit.late")
  t:same(t:chains "live-until-sent", { "settling" })
  t:advance "1h"
  anna:event("exit.stop")
  t:withdrawn { email = "plain" }
  t:same(t:chains "live-until-sent", { "exited" })
  t:advance "1d"; t:expect_none()
end)

test "and then the chain is over" (function(t)
  local anna = t:customer { email = "anna@example.com" }
  anna:event("exit.late")
  t:advance "3h"
  t:expect { email = "plain" }
  t:same(t:chains "live-until-sent", { "done" })
end)

test "what a chain that is over has left is withdrawn by its key" (function(t)
  local anna, boris = t:customer {}, t:customer {}
  anna:event("exit.left", { order_id = "7" })
  anna:event("exit.left", { order_id = "8" })
  boris:event("exit.left", { order_id = "9" })
  t:same(t:chains "left-behind", { "done", "done", "done" })
  t:take(t:expect { task = "Look at 7" }, "maria")
  t:advance "1d"
  anna:event("exit.gone", { order_id = "7" })
  anna:event("exit.gone", { order_id = "9", really = true })
  t:expect { task = "Call about 8" }
  anna:event("exit.gone", { order_id = "7", really = true })
  t:withdrawn { task = "Call about 7" }
  for _, title in ipairs { "Keep 7", "Look at 8", "Keep 8", "Call about 9", "Look at 9", "Keep 9" } do
    t:expect { task = title }
  end
  t:expect_none()
end)

test "an event without the key takes back all of it, and what comes later stays" (function(t)
  local anna = t:customer {}
  anna:event("exit.left", { order_id = "7", waits = true })
  anna:event("exit.left", { order_id = "8" })
  t:advance "1h"
  anna:event("exit.gone", { really = true })
  t:withdrawn { task = "Call about 7" }
  t:withdrawn { task = "Look at 7" }
  t:withdrawn { task = "Call about 8" }
  t:withdrawn { task = "Look at 8" }
  anna:event("exit.left", { order_id = "7" })
  t:expect { task = "Keep 7" }
  t:expect { task = "Keep 8" }
  t:expect { task = "Call about 7" }
  t:expect { task = "Look at 7" }
  t:expect { task = "Keep 7" }
  t:expect_none()
end)

test "its own event takes back nothing of it, but of those before it" (function(t)
  local anna = t:customer {}
  anna:event("exit.left", { order_id = "7" })
  anna:event("exit.left", { order_id = "7", emits = true })
  t:withdrawn { task = "Call about 7" }
  t:withdrawn { task = "Look at 7" }
  t:expect { task = "Keep 7" }
  t:expect { task = "Call about 7" }
  t:expect { task = "Look at 7" }
  t:expect { task = "Keep 7" }
  t:expect_none()
end)

test "nor of what it wrote before a wait" (function(t)
  local anna = t:customer {}
  anna:event("exit.left", { order_id = "7" })
  anna:event("exit.left", { order_id = "7", emits = true, later = true })
  t:advance "1h"
  t:same(t:chains "left-behind", { "done", "done" })
  t:withdrawn { task = "Call about 7" }
  t:withdrawn { task = "Look at 7" }
  t:expect { task = "Keep 7" }
  t:expect { task = "Call about 7" }
  t:expect { task = "Look at 7" }
  t:expect { task = "Keep 7" }
  t:expect_none()
end)

test "a pattern, without a key" (function(t)
  local anna = t:customer {}
  anna:event("exit.left", { order_id = "7", all = true })
  anna:event("exit.all.over", { order_id = "x" })
  t:withdrawn { task = "All 7" }
end)

test "who takes a task after that comes too late, and before it in time" (function(t)
  local anna = t:customer {}
  anna:event("exit.left", { order_id = "7" })
  local call, look = t:expect { task = "Call about 7" }, t:expect { task = "Look at 7" }
  anna:event("task.taken", { task_id = look.id, manager = "petra" })
  anna:event("exit.gone", { order_id = "7", really = true })
  anna:event("task.taken", { task_id = call.id, manager = "petra" })
  t:same(t:notes(), { "petra took one" })
end)
