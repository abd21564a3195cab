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
