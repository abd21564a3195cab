-- Who gets what: consent by class, addresses, suppression.

rule "consent-marketing" {
  on  = "consent.marketing",
  run = function() email { template = "plain" } end,
}

rule "consent-bulk" {
  on  = "consent.bulk",
  class = "bulk",
  run = function() email { template = "plain" } end,
}

rule "consent-transactional" {
  on    = "consent.transactional",
  class = "transactional",
  run = function() email { template = "plain" } end,
}

rule "consent-override" {
  on  = "consent.override",
  run = function() email { template = "plain", class = "transactional" } end,
}

rule "consent-address" {
  on  = "consent.address",
  run = function(event) email { template = "plain", to = event.address } end,
}
