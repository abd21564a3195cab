-- Every form of wait.

rule "wait-forms" {
  about = "A duration, an event, a pattern, a list, a filter",
  on    = "wait.begin",
  run = function(event)
    wait "1h30m"
    note "1h30m"
    local e = wait("1d", "wait.one")
    note(e and "one: " .. e.word or "no one")
    e = wait("1d", "wait.some.*")
    note(e and "pattern: " .. e.meta.type or "no pattern")
    e = wait("1d", { "wait.a", "wait.b", on("wait.c", { total = { min = 10 } }) })
    note(e and "list: " .. e.meta.type or "no list")
    e = wait("1d", on({ "wait.d", "wait.e" }, { ok = true }))
    note(e and "filter: " .. e.meta.type or "no filter")
  end,
}

rule "wait-message" {
  about = "Outcomes of a message: clicked, a link by name, replied",
  on    = "wait.message",
  run = function()
    local m = email { template = "plain" }
    local e = wait("1d", { on(m.clicked, { link = "confirm" }), m.replied })
    note(e and e.outcome .. " " .. (e.link or "-") or "nothing")
  end,
}

rule "wait-over" {
  about = "wait(handle): until it is over, or at its own end",
  on    = "wait.over",
  class = "transactional",
  run = function(event)
    local m = email { template = "plain", at = event.at, expires = "1h" }
    local e = wait(m)
    note("message " .. e.outcome .. (e.code and " " .. e.code or ""))
    local k = task { title = "Over", group = "sales", deadline = "2h" }
    e = wait(k)
    note("task " .. e.outcome)
  end,
}

rule "wait-done" {
  about = "wait(t.done): until then, nil at the deadline",
  on    = "wait.done",
  run = function()
    local k = task { title = "Do it", assign = "maria", deadline = "2h", results = { "yes", "no" } }
    local e = wait(k.done)
    if e then
      note("done " .. (e.result or "?"))
    else
      local late = wait("1d", { k.overdue, "wait.unheard" })
      note("late " .. (late and late.outcome or "nil"))
      note(wait("1d", k.done) and "done late" or "never done")
    end
  end,
}

rule "wait-past" {
  about = "Outcomes that are there already answer at once; events count from the call on",
  on    = "wait.past",
  class = "transactional",
  run = function()
    local m = email { template = "plain" }
    wait "2h"
    local e = wait("1h", m.opened)
    note(e and "opened before" or "not opened")
    e = wait("1h", "wait.heard")
    note(e and "heard" or "not heard")
  end,
}

rule "wait-refused" {
  about = "A message that can not go out answers at once",
  on    = "wait.refused",
  run = function()
    local m = email { template = "plain" }
    note(wait("1d", m.clicked) and "clicked" or "nil")
    local e = wait("1d", m.failed)
    note(e and "failed " .. e.code or "no failure")
    local over = wait(m)
    note(over.outcome)
  end,
}

rule "wait-handover" {
  about = "The time of a wait for a message runs from its hand-over",
  on    = "wait.handover",
  class = "transactional",
  run = function()
    local m = email { template = "plain", at = "3h" }
    if wait("1h", m.clicked) then note "clicked" else note "not clicked within an hour" end
  end,
}
