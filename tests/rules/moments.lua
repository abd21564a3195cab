-- wait_until and its helpers, calendars and nights with another number of hours.

rule "until-delivery" {
  on  = "order.delivery_scheduled",
  key = "order_id",
  run = function(order)
    wait_until(before(order.delivery_at, "1h"))
    note("an hour before, at " .. now():format "%H:%M")
    wait_until(after(order.delivery_at, "3d"))
    note("three days after, at " .. now():format "%d.%m. %H:%M")
    wait_until(order.delivery_at)
    note "a time in the past goes on at once"
  end,
}

rule "until-clock" {
  on = "moment.clock",
  run = function()
    wait_until(today "18:00")
    note(now():format "%a %H:%M")
    wait_until(tomorrow "10:00")
    note(now():format "%a %H:%M")
    wait_until(next_time "monday 09:00")
    note(now():format "%a %d %H:%M")
    wait_until(next_time "workday 12:00")
    note(now():format "%a %H:%M")
    wait_until(next_time "12:00")
    note(now():format "%a %H:%M")
  end,
}

rule "until-event" {
  on = "moment.event",
  run = function()
    local e = wait_until(today "18:00", "moment.answer")
    note(e and "answer " .. e.word or "no answer until 18:00")
    wait(now() + "2h")
    note(now():format "%H:%M")
  end,
}

rule "in-working-time" {
  on = "moment.working",
  run = function()
    local late = working "3d"
    wait_until(working "2h")
    note(now():format "%a %H:%M")
    wait_until(working("30m", "night"))
    note(now():format "%a %H:%M")
    wait_until(late)
    note(now():format "%a %H:%M")
    task { title = "Soon", group = "sales", deadline = working "1h", remind = "15m" }
  end,
}

rule "nights" {
  about = "A day is a calendar day in the customer's zone, 24h are 24 hours",
  on    = "moment.night",
  mode  = "parallel",
  run = function(event)
    wait(event.pause)
    note(event.pause .. ": " .. now():format "%d.%m. %H:%M %z")
  end,
}

rule "skipped-hour" {
  on = "moment.skipped",
  run = function()
    wait_until(next_time "02:30")
    note(now():format "%d.%m. %H:%M")
  end,
}
