-- The rules that the simulator lets happen.  What each promises stands a second time, in C, in tests/fault/sim_model.c:
-- whoever changes one changes both.  Every effect carries the number `n` of the event that began its chain, so that it
-- can be told from all others.
local version = 1 -- the simulator puts another set in place, with another number here

rule "single" {
  on  = "a.single",
  run = function(event)
    publish("out", "single " .. event.n .. " begin " .. version)
    wait "40s"
    publish("out", "single " .. event.n .. " end " .. version)
  end,
}

rule "restart" {
  on      = "a.restart",
  mode    = "restart",
  exit_on = "a.stop",
  run = function(event)
    email { to = "boss@example.com", template = "sim", with = { word = "restart " .. event.n .. " begin" } }
    wait "60s"
    email { to = "boss@example.com", template = "sim", with = { word = "restart " .. event.n .. " end" } }
  end,
}

rule "queued" {
  on      = "a.queued",
  mode    = "queued",
  exit_on = "a.queued.stop",
  run = function(event)
    wait "20s"
    publish("out", "queued " .. event.n .. " end")
  end,
}

rule "parallel" {
  on       = "a.parallel",
  mode     = "parallel",
  cooldown = "30s",
  run = function(event)
    wait "15s"
    publish("out", "parallel " .. event.n .. " end")
  end,
}

rule "answer" {
  on   = "a.ask",
  mode = "parallel",
  run = function(event)
    local e = wait("50s", "a.answer")
    publish("out", "answer " .. event.n .. " " .. (e and e.n or "none"))
  end,
}

rule "order" {
  on      = "order.placed",
  key     = "order_id",
  exit_on = "order.cancelled",
  run = function(event, customer)
    publish("out", string.format("order %s is the %d. of %d", event.n, customer.orders.count, customer.orders.total))
    wait "30s"
    local t = task { title = "call " .. event.n, deadline = "40s" }
    publish("out", "order " .. event.n .. (wait(t.done) and " done" or " late"))
  end,
}

rule "count" {
  on   = "a.count",
  mode = "parallel",
  when = function() return count("a.count", { within = "2m" }) >= 3 end,
  run  = function(event)
    emit("b.third", { n = event.n })
    tag "third"
  end,
}

rule "third" {
  on   = "b.third",
  mode = "parallel",
  run  = function(event) publish("out", "third " .. event.n) end,
}

rule "mail" {
  on  = "a.mail",
  run = function(event)
    local m = email { to = "boss@example.com", template = "sim", with = { word = "mail " .. event.n } }
    local e = wait(m)
    publish("out", "mail " .. event.n .. " " .. e.outcome)
  end,
}

rule "cool" {
  on       = "a.cool",
  cooldown = "1m",
  run      = function(event) note("cool " .. event.n) end,
}

rule "until" {
  on   = "a.until",
  mode = "parallel",
  run = function(event)
    local e = wait_until(event.meta.time + "45s", "a.stop")
    publish("out", "until " .. event.n .. (e and " stopped" or " over"))
  end,
}
