test "the inner folder wins" (function(t)
  local anna = t:customer { email = "anna@example.com" }
  anna:event("folder.begin", { n = 1 })
  anna:event("folder.begin", { n = 3 })
  t:advance "1h"
  t:refused { email = "second", class = "bulk" }
  t:same(t:verdicts "deeper", { "started", "mode" })
end)

test "what it leaves open comes from outside" (function(t)
  local anna = t:customer { email = "anna@example.com" }
  anna:event("folder.begin", { n = 1 })
  t:advance "1m"
  anna:event("folder.stop")
  t:same(t:chains "deeper", { "exited" })
end)
