local function anna_of(t) return t:customer { email = "anna@example.com" } end

test "never the same twice from this rule" (function(t)
  local anna = anna_of(t)
  anna:event("reason.greet", { year = 2026 })
  t:expect { email = "plain" }
  t:expect { email = "second" }
  t:advance "1h"
  anna:event("reason.greet", { year = 2026 })
  anna:event("reason.greet", { year = 2027 })
  t:expect { email = "plain" }
  t:expect { email = "second" }
  t:advance "1h"; t:expect_none()
  t:same(t:notes(), { "sent -", "failed repeated", "sent -" })
end)

test "not within one batch either" (function(t)
  local anna, boris = anna_of(t), t:customer { email = "boris@example.com" }
  anna:event("reason.greet", { year = 2026 })
  anna:event("reason.greet", { year = 2026 })
  boris:event("reason.greet", { year = 2026 })
  t:expect { email = "plain", to = "anna@example.com" }
  t:expect { email = "second", to = "anna@example.com" }
  t:expect { email = "plain", to = "boris@example.com" }
  t:expect { email = "second", to = "boris@example.com" }
  t:expect_none()
end)

test "a chain that restarts writes it anew" (function(t)
  local anna = anna_of(t)
  anna:event("reason.restart")
  anna:event("reason.restart")
  t:advance "30m"
  anna:event("reason.restart")
  t:advance "59m"; t:expect_none()
  t:advance "1m"; t:expect { email = "plain" }
  t:advance "1h"; t:expect_none()
  anna:event("reason.restart")
  t:advance "1d"; t:expect_none()
end)

test "what is kept stays, so it is not written again" (function(t)
  local anna = anna_of(t)
  anna:event("reason.keep")
  t:advance "30m"
  anna:event("reason.keep")
  t:advance "30m"; t:expect { email = "plain" }
  t:advance "1d"; t:expect_none()
end)

test "twice in one chain" (function(t)
  anna_of(t):event("reason.twice")
  t:expect { email = "plain" }
  t:expect_none()
  t:same(t:notes(), { "repeated" })
end)

test "what was refused may be tried again" (function(t)
  local boris = t:customer { email = "boris@example.com" }
  boris:event("reason.refused")
  t:refused { email = "plain", code = "no_consent" }
  boris:event("customer.updated", { consent = { email = true } })
  boris:event("reason.refused")
  t:expect { email = "plain" }
  boris:event("reason.refused")
  t:expect_none()
end)

test "a chain that publishes is live until it is handed over" (function(t)
  local anna = anna_of(t)
  anna:event("reason.publish", { n = 1 })
  anna:event("reason.publish", { n = 2 })
  t:expect { publish = "reasons", payload = { n = 1 } }
  t:same(t:verdicts "publishes", { "started", "mode" })
  anna:event("reason.publish", { n = 3 })
  t:expect { publish = "reasons", payload = { n = 3 } }
  t:expect_none()
end)
