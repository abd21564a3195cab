-- After an outage.

rule "late-run" {
  on  = "late.begin",
  run = function() wait "1h"; note "run" end,
}

rule "late-end" {
  on   = "late.begin",
  late = "end",
  run = function() wait "1h"; note "end" end,
}

rule "late-after" {
  on   = "late.begin",
  late = "2h",
  run = function() wait "1h"; note "after" end,
}

rule "late-message" {
  about = "Time that only begins when a message expires is not late by then",
  on    = "late.message",
  late  = "end",
  class = "transactional",
  run = function()
    local m = email { template = "plain", at = "1h", expires = "0s" }
    local e = wait("2h", { m.clicked, "late.answer" })
    note(e and e.meta.type or "nothing")
  end,
}
