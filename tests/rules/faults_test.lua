test "an error drops its stretch and nothing else" (function(t)
  local anna = t:customer {}
  anna:event("fault.happens")
  t:same(t:notes(), { "kept", "well" })
  t:same(t:events "fault.dropped", {})
  t:same(anna:card().tags, nil)
  t:expect_none()
  t:same(t:verdicts "faulty-when", { "error" })
  t:same(t:verdicts "faulty-run", { "error" })
  t:same(t:chains "faulty-run", {})
  t:same(t:verdicts "faultless", { "started" })
end)

test "errors name file and line" (function(t)
  local anna = t:customer {}
  anna:event("fault.happens")
  local when, run = t:errors "faulty-when", t:errors "faulty-run"
  t:same((when[1]:match "^faults%.lua:5: .*compare"), when[1]:match "^faults%.lua:5: .*compare" or "?")
  t:same(run[1], "faults.lua:16: on purpose")
end)

test "a chain that errs is failed, and shows why" (function(t)
  local anna = t:customer {}
  anna:event("fault.happens")
  t:advance "2h"
  t:same(t:chains "faulty-later", { "failed" })
  t:same(t:notes(), { "kept", "well" })
  t:same((t:errors "faulty-later")[1]:match "^faults%.lua:27: ", "faults.lua:27: ")
end)

test "too many effects are an error" (function(t)
  local anna = t:customer {}
  anna:event("fault.effects")
  t:same(t:notes(), {})
  t:same(#t:errors "faulty-loop", 1)
end)

test "many steps" (function(t)
  local anna = t:customer {}
  anna:event("fault.tick")
  anna:event("fault.steps")
  t:advance "4m30s"
  anna:event("fault.tick")
  t:advance "1h"
  t:same(t:notes(), { "sum 60" })
end)
