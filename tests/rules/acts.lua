-- What a chain does beside messages: the card, notes, events, MQTT, tasks.

rule "card-writer" {
  on = "act.card",
  run = function(event, customer)
    note("city " .. (customer.city or "none"))
    set { city = "Berlin", first_name = "Anna", favourite = "tea", size = 42, list = { 1, 2 } }
    note("city " .. customer.city .. " " .. customer.attributes.favourite .. " " .. customer.attributes.size)
    tag "vip"; tag "big"; tag "vip"
    note("tags " .. table.concat(customer.tags, ","))
    wait "1h"
    untag "big"
    set { consent = { email = true, sms = false } }
    note("tags " .. table.concat(customer.tags, ",") .. " " .. tostring(customer.consent.email)
      .. " " .. tostring(customer.consent.sms) .. " " .. tostring(customer.consent.push))
    email { template = "plain" }
  end,
}

rule "publisher" {
  on  = "act.publish",
  run = function(event)
    publish("prices/" .. event.sku, { sku = event.sku, price = event.price, at = event.meta.time })
    publish("words", "as it is")
  end,
}

rule "tasker" {
  on       = "act.task",
  priority = 70,
  run = function(event)
    task {
      title = "Everything", text = "All fields", assign = "paul", group = "sales", deadline = "1d",
      remind = "1h", priority = 5, order = event.order_id, call = "+4930123456", results = { "ok", "fraud" }, keep = true,
    }
    task { title = "By rule" }
  end,
}

rule "mailer" {
  on    = "act.mail",
  class = "transactional",
  run = function(event)
    email { template = "plain", with = { word = "to the head" }, to = "head" }
    email { template = "plain", to = "sales", subject = "Another subject" }
    email { template = "plain", to = "maria", class = "bulk" }
    email { template = "plain", to = "other@example.com" }
    email { template = "sub/nested" }
    email { template = "only-russian", with = { total = 12.5 }, expires = "2h", at = today "18:00" }
  end,
}

rule "emitter" {
  about = "Events cause events, up to a depth",
  on    = "act.emit",
  mode  = "parallel",
  run = function(event)
    note("depth " .. event.n)
    emit("act.emit", { n = event.n + 1 })
  end,
}

rule "emits-once" {
  about = "Hears what it emitted later, not while it emits; its own event does not wake it",
  on    = "act.once",
  run = function()
    emit("act.echo", { word = "mine" })
    local e = wait("1h", "act.echo")
    note(e and e.word or "nobody")
  end,
}

rule "echoes" {
  on   = "act.echo",
  mode = "parallel",
  run = function(event) note("heard " .. event.word) end,
}
