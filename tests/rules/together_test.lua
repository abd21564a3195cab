-- All rules of the folder at once: there is no together.lua.

test "rules of different files hear the same event, in order of path" (function(t)
  local anna = t:customer { email = "anna@example.com" }
  anna:event("order.placed", { order_id = "judging", total = 10 })
  anna:event("exit.begin")
  anna:event("folder.begin", { n = 2 })
  anna:event("fault.happens")
  t:same(t:verdicts "third-order", { "when" })
  t:same(t:verdicts "order-of-judging", { "started" })
  t:same(#t:errors "faulty-when", 1)
  t:advance "1h"
  t:expect { email = "plain", with = { word = "two pieces" } }
  t:refused { email = "second", code = "no_consent" }
  anna:event("exit.stop", { reason = "bought" })
  t:same(t:chains "exit-filter", { "exited" })
  t:same(t:chains "deeper", { "done" })
  t:same(t:chains "faulty-later", { "failed" })
  t:advance "30d"
  t:expect_none()
end)

test "many customers, many rules, one moment" (function(t)
  local all = {}
  for i = 1, 8 do all[i] = t:customer { email = "c" .. i .. "@example.com", consent = { email = i % 2 == 0 } } end
  for round = 1, 3 do
    for i, c in ipairs(all) do
      c:event("wait.message")
      c:event("mode.queued", { n = round })
      c:event("cool.customer", { thing = tostring(i) })
      c:event("key.begin", { order_id = i .. "/" .. round })
      c:event("product.viewed", { product_id = "p" .. (i + round) % 3 })
    end
  end
  t:advance "30m"
  for i, c in ipairs(all) do
    c:event("key.answer", { order_id = i .. "/2", word = "w" })
    c:event("ask.again")
    c:event("ask.split")
  end
  t:advance "3d"
  t:same(#t:chains "mode-queued", 24)
  t:same(#t:errors "asks-again", 0)
end)
