-- "never the same twice from this rule", and that what is published counts as sent.

rule "greets-once" {
  on   = "reason.greet",
  mode = "parallel",
  run = function(event)
    local m = email { template = "plain", class = "transactional", reason = "greeting of " .. event.year }
    local over = wait(m)
    note(over and over.outcome .. " " .. (over.code or "-") or "nothing")
  end,
}

rule "greets-too" {
  about = "Another rule has reasons of its own",
  on    = "reason.greet",
  mode  = "parallel",
  run = function(event)
    email { template = "second", class = "transactional", reason = "greeting of " .. event.year }
  end,
}

rule "restarts" {
  about = "What the old chain wrote goes with it, so the new one may write it",
  on    = "reason.restart",
  mode  = "restart",
  run = function()
    email { template = "plain", class = "transactional", reason = "again", at = "1h" }
    wait "1d"
  end,
}

rule "keeps" {
  about = "What is kept does not go with its chain",
  on    = "reason.keep",
  mode  = "restart",
  run = function()
    email { template = "plain", class = "transactional", reason = "kept", at = "1h", keep = true }
    wait "1d"
  end,
}

rule "twice-in-one" {
  on  = "reason.twice",
  run = function()
    email { template = "plain", class = "transactional", reason = "one" }
    local m = email { template = "second", class = "transactional", reason = "one" }
    local over = wait("1d", m.failed)
    note(over.code)
  end,
}

rule "refused-first" {
  about = "What was refused did not reach anybody",
  on    = "reason.refused",
  mode  = "parallel",
  run = function() email { template = "plain", class = "marketing", reason = "offer" } end,
}

rule "publishes" {
  about = "Live until it is handed over",
  on    = "reason.publish",
  run = function(event) publish("reasons", { n = event.n }) end,
}
