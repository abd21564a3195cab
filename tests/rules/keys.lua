-- What a chain is about: a field, a nested field, a function; events with another key are not its own.

rule "key-field" {
  on      = "key.begin",
  key     = "order_id",
  exit_on = "key.stop",
  run = function(event)
    local answer = wait("1d", "key.answer")
    note(event.order_id .. ": " .. (answer and answer.word or "nothing"))
  end,
}

rule "key-nested" {
  on  = "key.nested",
  key = "parcel.number",
  run = function(event)
    wait "1h"
    note("parcel " .. event.parcel.number)
  end,
}

rule "key-function" {
  on  = "key.computed",
  key = function(event)
    if event.kind == "none" then return nil end
    return event.kind .. "/" .. event.number
  end,
  run = function(event)
    wait "1h"
    note("computed " .. event.kind .. event.number)
  end,
}

rule "key-manager" {
  on  = "key.missed",
  key = "manager",
  run = function()
    local t = task { title = "Call back", group = "sales", deadline = "1h" }
    note(wait(t.done) and "called" or "nobody called")
  end,
}
