-- A rule that errs disturbs nobody, and its whole stretch has not happened.

rule "faulty-when" {
  on   = "fault.happens",
  when = function(event) return event.missing > 1 end,
  run  = function() note "never" end,
}

rule "faulty-run" {
  on  = "fault.happens",
  run = function(event)
    note "dropped"
    tag "dropped"
    emit("fault.dropped")
    task { title = "Dropped" }
    error "on purpose"
  end,
}

rule "faulty-later" {
  on  = "fault.happens",
  run = function()
    note "kept"
    wait "1h"
    note "dropped later"
    local nothing
    return nothing.field
  end,
}

rule "faulty-loop" {
  on  = "fault.effects",
  run = function() while true do note "again" end end,
}

rule "faultless" {
  on  = "fault.happens",
  run = function() note "well" end,
}

rule "steps" {
  about = "A chain over many steps and many waits",
  on    = "fault.steps",
  run = function(event)
    local sum = 0
    for i = 1, 40 do
      sum = sum + count "fault.tick"
      if i % 4 == 0 then wait "1m" end
    end
    note("sum " .. sum)
  end,
}
