test "around a delivery" (function(t)
  local anna = t:customer { timezone = "Europe/Berlin" }
  anna:event("order.delivery_scheduled", { order_id = "7", delivery_at = "2026-03-27T14:00:00+01:00" })
  t:at "2026-03-27 11:59"; t:same(t:notes(), {})
  t:at "2026-03-27 12:00"; t:same(t:notes(), { "an hour before, at 13:00" })
  t:at "2026-03-30 11:59"; t:same(#t:notes(), 1)
  t:at "2026-03-30 12:00"            -- 14:00 in summer time
  t:same(t:notes(), { "an hour before, at 13:00", "three days after, at 30.03. 14:00",
    "a time in the past goes on at once" })
end)

test "by the clock" (function(t)
  local anna = t:customer { timezone = "Europe/Berlin" }
  t:at "2026-03-05 10:00"            -- a Thursday
  anna:event("moment.clock")
  t:at "2026-03-05 17:00"; t:same(t:notes(), { "Thu 18:00" })
  t:at "2026-03-06 09:00"; t:same(t:notes(), { "Thu 18:00", "Fri 10:00" })
  t:advance "10d"
  t:same(t:notes(), { "Thu 18:00", "Fri 10:00", "Mon 09 09:00", "Mon 12:00", "Tue 12:00" })
end)

test "today is past already" (function(t)
  local anna = t:customer {}
  t:at "2026-03-05 19:00"
  anna:event("moment.clock")
  t:same(t:notes(), { "Thu 19:00" })
end)

test "until a moment or an event" (function(t)
  local anna, boris = t:customer {}, t:customer {}
  anna:event("moment.event")
  boris:event("moment.event")
  t:advance "1h"
  anna:event("moment.answer", { word = "yes" })
  t:same(t:notes(), { "answer yes" })
  t:advance "2h"; t:same(t:notes(), { "answer yes", "13:00" })
  t:at "2026-03-02 18:00"; t:same(t:notes(), { "answer yes", "13:00", "no answer until 18:00" })
end)

test "in working time" (function(t)
  local anna = t:customer {}
  t:at "2026-03-06 17:00"            -- a Friday, one hour before the end
  anna:event("moment.working")
  t:at "2026-03-09 09:59"; t:same(t:notes(), {})
  t:at "2026-03-09 10:00"; t:same(t:notes(), { "Mon 10:00" })
  t:at "2026-03-09 20:30"; t:same(t:notes(), { "Mon 10:00", "Mon 20:30" })
  t:at "2026-03-11 17:00"; t:same(t:notes(), { "Mon 10:00", "Mon 20:30", "Wed 17:00" })
  t:expect { task = "Soon", deadline_at = "2026-03-11T18:00:00Z", remind_at = "2026-03-11T17:45:00Z" }
end)

test "the night that has 23 hours" (function(t)
  local anna = t:customer { timezone = "Europe/Berlin" }
  t:at "2026-03-28 19:00"            -- 20:00
  anna:event("moment.night", { pause = "1d" })
  anna:event("moment.night", { pause = "24h" })
  t:advance "3d"
  t:same(t:notes(), { "1d: 29.03. 20:00 +0200", "24h: 29.03. 21:00 +0200" })
end)

test "the night that has 25 hours" (function(t)
  local anna = t:customer { timezone = "Europe/Berlin" }
  t:at "2026-10-24 18:00"            -- 20:00
  anna:event("moment.night", { pause = "1d" })
  anna:event("moment.night", { pause = "24h" })
  t:advance "3d"
  t:same(t:notes(), { "24h: 25.10. 19:00 +0100", "1d: 25.10. 20:00 +0100" })
end)

test "a customer far away" (function(t)
  local anna = t:customer { timezone = "Pacific/Auckland" }
  t:at "2026-04-04 10:00"            -- 23:00 in summer time; it ends in this night
  anna:event("moment.night", { pause = "1d" })
  t:advance "3d"
  t:same(t:notes(), { "1d: 05.04. 23:00 +1200" })
end)

test "a moment that does not exist is the first one after it" (function(t)
  local anna = t:customer { timezone = "Europe/Berlin" }
  t:at "2026-03-28 20:00"
  anna:event("moment.skipped")
  t:advance "2d"
  t:same(t:notes(), { "29.03. 03:00" })
end)
