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
