test "the card" (function(t)
  local anna = t:customer { email = "anna@example.com" }
  anna:event("act.card")
  t:same(t:errors "card-writer", {})
  t:same(t:notes(), { "city none", "city Berlin tea 42", "tags big,vip" })
  t:advance "1h"
  t:same(t:notes()[4], "tags vip true false nil")
  t:expect { email = "plain" }
  local card = anna:card()
  t:same(card.city, "Berlin")
  t:same(card.first_name, "Anna")
  t:same(card.attributes.favourite, "tea")
  t:same(card.attributes.size, 42)
  t:same(card.attributes.list, { 1, 2 })
  t:same(card.tags, { "vip" })
  t:same(card.consent.sms, false)
end)

test "publish" (function(t)
  local anna = t:customer {}
  anna:event("act.publish", { sku = "x1", price = 12.5 })
  t:expect { publish = "prices/x1", payload = { sku = "x1", price = 12.5, at = "2026-03-02T10:00:00Z" } }
  t:expect { publish = "words", payload = "as it is" }
  t:expect_none()
end)

test "a task with everything, and one with nothing" (function(t)
  local anna = t:customer {}
  anna:event("act.task", { order_id = 17 })
  t:expect { task = "Everything", text = "All fields", manager = "paul", group = "sales", order = "17",
    call = "+4930123456", priority = 5, results = { "ok", "fraud" },
    deadline_at = "2026-03-03T10:00:00Z", remind_at = "2026-03-03T09:00:00Z" }
  t:expect { task = "By rule", priority = 70 }
  t:expect_none()
end)

test "mail to others, and in another language" (function(t)
  local anna = t:customer { email = "anna@example.com", lang = "de-AT" }
  anna:event("act.mail", { note = "x" })
  t:same(t:errors "mailer", {})
  t:expect { email = "plain", to = "maria@example.com", with = { word = "to the head" }, lang = "de" }
  t:expect { email = "plain", to = "sales@example.com", subject = "Another subject" }
  t:expect { email = "plain", to = "maria@example.com", class = "bulk" }
  t:expect { email = "plain", to = "other@example.com" }
  t:expect { email = "sub/nested", to = "anna@example.com", lang = "en" }
  t:advance "7h59m"; t:expect_none()
  t:advance "1m"; t:expect { email = "only-russian", lang = "ru", expires_at = "2026-03-02T20:00:00Z" }
end)

test "chains of events end at a depth" (function(t)
  local anna = t:customer {}
  anna:event("act.emit", { n = 0 })
  t:same(t:notes(), { "depth 0", "depth 1", "depth 2", "depth 3", "depth 4", "depth 5", "depth 6", "depth 7" })
  t:same(#t:errors "emitter", 1)
  t:same(#t:events "act.emit", 9)
end)

test "what a chain emits does not wake itself" (function(t)
  local anna = t:customer {}
  anna:event("act.once")
  t:same(t:notes(), { "heard mine" })
  t:advance "10m"
  anna:event("act.echo", { word = "yours" })
  t:same(t:notes(), { "heard mine", "yours", "heard yours" })
end)
