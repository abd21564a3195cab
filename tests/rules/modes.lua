-- What a second start does while a chain is live.

rule "mode-single" {
  about = "A second start is ignored",
  on    = "mode.single",
  run = function(event)
    note("single begins " .. event.n)
    wait "1h"
    note("single ends " .. event.n)
  end,
}

rule "mode-restart" {
  about = "A second start ends the first one, even when `when` says no",
  on    = "mode.restart",
  mode  = "restart",
  when  = function(event) return event.n < 10 end,
  run = function(event)
    note("restart begins " .. event.n)
    wait "1h"
    note("restart ends " .. event.n)
  end,
}

rule "mode-queued" {
  about   = "A second start waits for the end of the first",
  on      = "mode.queued",
  mode    = "queued",
  exit_on = "mode.queued.stop",
  run = function(event)
    note("queued begins " .. event.n)
    wait "1h"
    note("queued ends " .. event.n)
  end,
}

rule "mode-parallel" {
  about = "Every start is a chain of its own",
  on    = "mode.parallel",
  mode  = "parallel",
  run = function(event)
    wait(event.minutes .. "m")
    note("parallel " .. event.n)
  end,
}
