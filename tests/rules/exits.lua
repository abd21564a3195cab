-- What ends a chain from outside.

rule "exit-filter" {
  on      = "exit.begin",
  exit_on = { on("exit.stop", { reason = { "bought", "lost" } }), "exit.never.*" },
  run = function()
    wait "1d"
    note "not stopped"
  end,
}

rule "exit-immune" {
  about   = "The event that started it does not end it",
  on      = "exit.twice",
  mode    = "restart",
  exit_on = "exit.twice",
  run = function()
    wait "1h"
    note "an hour passed"
  end,
}

rule "withdraws" {
  about   = "What was not handed over and not taken goes with its chain, unless it is kept",
  on      = "exit.withdraw",
  exit_on = "exit.stop",
  class   = "transactional",
  run = function(event)
    email { template = "plain", at = "2h", expires = "1d" }
    email { template = "second", at = "2h", keep = true }
    task { title = "Taken", group = "sales", deadline = "1d" }
    task { title = "Not taken", group = "sales", deadline = "1d" }
    task { title = "Kept", group = "sales", keep = true }
    publish("exit/begun", { id = event.meta.id })
    wait "10d"
    note "not stopped"
  end,
}

rule "live-until-sent" {
  about   = "A chain lives until what it sent is handed over, also after run has returned",
  on      = "exit.late",
  exit_on = "exit.stop",
  class   = "transactional",
  run = function() email { template = "plain", at = "3h" } end,
}

rule "left-behind" {
  about   = "exit_on that comes when the chain is over takes back what nobody took",
  on      = "exit.left",
  key     = "order_id",
  exit_on = on("exit.gone", { really = true }),
  mode    = "parallel",
  run = function(event)
    if event.waits then wait "1h" end
    task { title = "Call about " .. event.order_id, group = "sales" }
    task { title = "Look at " .. event.order_id, group = "sales" }
    task { title = "Keep " .. event.order_id, group = "sales", keep = true }
    if event.later then wait "1h" end
    if event.emits then emit("exit.gone", { order_id = event.order_id, really = true }) end
  end,
}

rule "left-by-all" {
  about   = "The same without a key",
  on      = "exit.left",
  exit_on = { "exit.all.*" },
  mode    = "parallel",
  when    = function(event) return event.all end,
  run     = function(event) task { title = "All " .. event.order_id, group = "sales" } end,
}

rule "left-taken" {
  about = "Hears who took what was left",
  on    = on("task.taken", { manager = "petra" }),
  mode  = "parallel",
  run   = function() note "petra took one" end,
}
