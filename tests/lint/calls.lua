-- Fields of calls, templates, people, times.

local function remind(name)
  email { template = name, to = "sales" }
end

rule "calls" {
  on  = "order.placed",
  run = function(order, customer)
    email { templte = "plain" }
    email { template = "plian", class = "transactional" }
    local m = email { template = "plain", class = "marketin" }
    wait("1d", m.clickd)
    local t = task { title = "Call", gruop = "sales" }
    wait(t.done)
    wait(t.finished)
    task { title = "Call", group = "slaes", assign = "mario", deadline = "2 hours" }
    email { template = "plain", to = "nobody", class = "transactional" }
    remind "plain"
    wait "90 minutes"
    wait "0s"
    wait "2000d"
    wait("1d", "order.plased")
    wait_until(today "6pm")
    wait_until(next_time "mondya 09:00")
    wait_until(before(order.delivery_at, "1x"))
    note(count("order.placed", { witin = "30d" }) .. count("order.placed", { within = "soon" }))
    set { frist_name = "Anna", email = "a@example.com", shoe_size = 40 }
    emit("order.paidd")
    emit("order.*")
    wait(working("1h", "nihgt"))
    task { title = "Call", assign = "least_loaded", group = "sales" }
    task { title = "Call", assign = { "last_manager", "head" }, escalate = { { "10m", "senior" } } }
    emit("customer.merged", { previous_id = "7" })
  end,
}

--! 10: error: email: unknown field "templte"; did you mean "template"?
--! 10: error: email: field "template" is missing
--! 11: error: email: there is no template "plian"; did you mean "plain"?
--! 12: error: email: unknown class "marketin"; did you mean "marketing"?
--! 13: error: a message has no outcome "clickd"; did you mean "clicked"?
--! 14: error: task: unknown field "gruop"; did you mean "group"?
--! 16: error: a task has no outcome "finished"
--! 17: error: task: there is no group "slaes"; did you mean "sales"?
--! 17: error: task: there is no manager "mario"; did you mean "maria"?
--! 17: error: deadline: unknown unit " hours" in duration "2 hours"; write s, m, h, d or w
--! 18: error: email: "nobody" is no manager, group or address
--! 20: error: wait: unknown unit " minutes" in duration "90 minutes"; write s, m, h, d or w
--! 21: warning: wait "0s" is no time at all
--! 22: warning: wait "2000d" is longer than 400 days
--! 23: error: wait: unknown event "order.plased"; did you mean "order.placed"?
--! 24: error: today: "6pm" is no time of day; write "18:00"
--! 25: error: next_time: unknown day "mondya"; did you mean "monday"?
--! 26: error: before: unknown unit "x" in duration "1x"; write s, m, h, d or w
--! 27: error: count: unknown field "witin"; did you mean "within"?
--! 27: error: within: no number in duration "soon"; write it like "1h30m"
--! 28: warning: set: "frist_name" becomes an attribute; did you mean "first_name"?
--! 28: error: set: field "email" can not be set by a rule
--! 29: warning: emit: unknown event "order.paidd"; did you mean "order.paid"?
--! 30: error: emit: an event type has 1 to 128 bytes, without *
--! 31: error: working: there is no group "nihgt"; did you mean "night"?
--! 32: error: task: assign names one manager of the configuration, not a way to choose one; for anybody of a group write group = "NAME" without assign
--! 33: error: task: there is no field "escalate"; wait for the task, and when its outcome is "overdue" write another one, for somebody else
--! 33: error: task: assign names one manager of the configuration, not a list; for anybody of a group write group = "NAME" without assign
--! 34: error: emit: cards are joined by a store's own customer.merged only
