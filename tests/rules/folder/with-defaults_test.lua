test "the defaults of the folder" (function(t)
  local anna = t:customer { email = "anna@example.com" }
  anna:event("folder.begin", { n = 1 })
  anna:event("folder.begin", { n = 3 })
  t:advance "1h"
  t:expect { email = "plain", class = "transactional", with = { word = "one piece" } }
  t:expect { email = "plain", class = "transactional", with = { word = "three pieces" } }
  t:same(t:verdicts "with-defaults", { "started", "started" })
end)

test "exit_on of the folder" (function(t)
  local anna = t:customer { email = "anna@example.com" }
  anna:event("folder.begin", { n = 1 })
  t:advance "1m"
  anna:event("folder.stop")
  t:advance "1d"; t:expect_none()
  t:same(t:chains "with-defaults", { "exited" })
end)
