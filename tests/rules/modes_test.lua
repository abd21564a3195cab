test "single: the second start is ignored while the first is live" (function(t)
  local anna = t:customer {}
  anna:event("mode.single", { n = 1 })
  anna:event("mode.single", { n = 2 })
  t:advance "30m"
  anna:event("mode.single", { n = 3 })
  t:advance "30m"
  anna:event("mode.single", { n = 4 })
  t:advance "2h"
  t:same(t:notes(), { "single begins 1", "single ends 1", "single begins 4", "single ends 4" })
  t:same(t:verdicts "mode-single", { "started", "mode", "mode", "started" })
  t:same(t:chains "mode-single", { "done", "done" })
end)

test "single: another customer has a chain of his own" (function(t)
  local anna, boris = t:customer {}, t:customer {}
  anna:event("mode.single", { n = 1 })
  t:advance "1m"
  boris:event("mode.single", { n = 2 })
  t:advance "2h"
  t:same(t:notes(), { "single begins 1", "single begins 2", "single ends 1", "single ends 2" })
end)

test "restart: the second start ends the first" (function(t)
  local anna = t:customer {}
  anna:event("mode.restart", { n = 1 })
  t:advance "50m"
  anna:event("mode.restart", { n = 2 })
  t:advance "50m"; t:same(t:notes(), { "restart begins 1", "restart begins 2" })
  t:advance "10m"; t:same(t:notes(), { "restart begins 1", "restart begins 2", "restart ends 2" })
  t:same(t:chains "mode-restart", { "cancelled", "done" })
end)

test "restart: ends the old chain also when `when` says no" (function(t)
  local anna = t:customer {}
  anna:event("mode.restart", { n = 1 })
  t:advance "10m"
  anna:event("mode.restart", { n = 11 })
  t:advance "3h"
  t:same(t:notes(), { "restart begins 1" })
  t:same(t:chains "mode-restart", { "cancelled" })
end)

test "restart: twice in one moment" (function(t)
  local anna = t:customer {}
  anna:event("mode.restart", { n = 1 })
  anna:event("mode.restart", { n = 2 })
  anna:event("mode.restart", { n = 3 })
  t:advance "3h"
  t:same(t:chains "mode-restart", { "cancelled", "cancelled", "done" })
end)

test "queued: one after the other" (function(t)
  local anna = t:customer {}
  anna:event("mode.queued", { n = 1 })
  anna:event("mode.queued", { n = 2 })
  t:advance "10m"
  anna:event("mode.queued", { n = 3 })
  t:same(t:chains "mode-queued", { "waiting", "queued", "queued" })
  t:advance "50m"
  t:same(t:notes(), { "queued begins 1", "queued ends 1", "queued begins 2" })
  t:advance "1h"; t:advance "1h"
  t:same(t:notes(), { "queued begins 1", "queued ends 1", "queued begins 2", "queued ends 2",
    "queued begins 3", "queued ends 3" })
  t:same(t:chains "mode-queued", { "done", "done", "done" })
end)

test "queued: what ends one ends those behind it too" (function(t)
  local anna = t:customer {}
  anna:event("mode.queued", { n = 1 })
  anna:event("mode.queued", { n = 2 })
  t:advance "10m"
  anna:event("mode.queued.stop")
  t:advance "3h"
  t:same(t:notes(), { "queued begins 1" })
  t:same(t:chains "mode-queued", { "exited", "exited" })
end)

test "parallel: all live together" (function(t)
  local anna = t:customer {}
  anna:event("mode.parallel", { n = 1, minutes = 30 })
  anna:event("mode.parallel", { n = 2, minutes = 10 })
  anna:event("mode.parallel", { n = 3, minutes = 20 })
  t:advance "1h"
  t:same(t:notes(), { "parallel 2", "parallel 3", "parallel 1" })
end)

test "customers who come at one moment do not disturb each other" (function(t)
  local anna, boris, clara = t:customer {}, t:customer {}, t:customer {}
  anna:event("mode.restart", { n = 1 })
  boris:event("mode.restart", { n = 2 })
  clara:event("mode.single", { n = 3 })
  anna:event("mode.restart", { n = 4 })
  clara:event("mode.single", { n = 5 })
  boris:event("mode.queued", { n = 6 })
  t:advance "1h"
  t:same(t:chains "mode-restart", { "cancelled", "done", "done" })
end)
