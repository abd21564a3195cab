test "no word is no consent for marketing and bulk" (function(t)
  local anna = t:customer { email = "anna@example.com" }
  anna:event("consent.marketing"); t:refused { email = "plain", code = "no_consent", class = "marketing" }
  anna:event("consent.bulk"); t:refused { email = "plain", code = "no_consent", class = "bulk" }
  anna:event("consent.transactional"); t:expect { email = "plain", class = "transactional" }
  anna:event("consent.override"); t:expect { email = "plain", class = "transactional" }
  t:expect_none()
end)

test "another store may assume consent" (function(t)
  t:customer { email = "anna@example.com" }
  t:event("consent.marketing", { customer = { email = "anna@example.com" } }, { store = "second" })
  t:expect { email = "plain", to = "anna@example.com", lang = "de" }
end)

test "yes and no" (function(t)
  local anna = t:customer { email = "anna@example.com", consent = { email = true } }
  anna:event("consent.marketing"); t:expect { email = "plain" }
  anna:event("customer.updated", { consent = { email = false } })
  anna:event("consent.marketing"); t:refused { email = "plain", code = "no_consent" }
  anna:event("consent.transactional"); t:expect { email = "plain" }
end)

test "who unsubscribes hears no marketing, but of his order" (function(t)
  local anna = t:customer { email = "anna@example.com", consent = { email = true } }
  anna:event("consent.marketing")
  local m = t:expect { email = "plain" }
  anna:event("message.unsubscribed", { message_id = m.id, channel = "email" })
  anna:event("consent.marketing"); t:refused { email = "plain", code = "suppressed" }
  anna:event("consent.transactional"); t:expect { email = "plain" }
end)

test "an address that bounced hears nothing" (function(t)
  local anna = t:customer { email = "anna@example.com", consent = { email = true } }
  anna:event("consent.marketing")
  local m = t:expect { email = "plain" }
  anna:event("message.bounced", { message_id = m.id, channel = "email", permanent = true })
  anna:event("consent.marketing"); t:refused { email = "plain", code = "suppressed" }
  anna:event("consent.transactional"); t:refused { email = "plain", code = "suppressed" }
end)

test "nobody without an address" (function(t)
  local anna = t:customer { consent = { email = true } }
  anna:event("consent.marketing"); t:refused { email = "plain", code = "no_address" }
end)

test "an address is the same however it is written" (function(t)
  local anna = t:customer { email = "anna@example.com", consent = { email = false } }
  anna:event("consent.address", { address = "Anna@Example.COM" })
  t:refused { email = "plain", code = "no_consent" }
  local boris = t:customer { email = "boris@example.com", consent = { email = true } }
  boris:event("message.bounced", { message_id = 7, channel = "email", permanent = true, address = "Boris@Example.com" })
  boris:event("consent.transactional"); t:refused { email = "plain", code = "suppressed" }
end)
