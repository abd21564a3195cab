-- Events about nobody, patterns over everything, the daemon's own events.

rule "price-drop" {
  about = "About nobody: no customer, no mail, but tasks and MQTT",
  on    = on("price.changed", { price = { max = 100 } }),
  key   = "product_id",
  run = function(event)
    publish("prices", { product_id = event.product_id, price = event.price })
    wait "1h"
    task { title = "Look at the price of " .. event.product_id, group = "sales" }
  end,
}

rule "order-of-judging" {
  about = "The daemon's own work comes first, then what follows from the event",
  on    = { "order.placed", "product.bought", "order.status_changed" },
  mode  = "parallel",
  when  = function(event) return event.order_id == "judging" end,
  run = function(event, customer)
    note(event.meta.type .. " " .. customer.orders.count .. " " .. count "order.placed")
  end,
}

rule "types" {
  about = "What fields are",
  on    = "order.updated",
  run = function(order, customer)
    note(type(order.order_id) .. " " .. order.order_id)
    note(type(order.total) .. " " .. order.total)
    note(#order.products .. " products")
    note(order.nothing == nil and "nil" or "not nil")
    note(order.delivery_at:format "%d.%m.%Y" .. " " .. order.delivery_at.hour .. " " .. order.delivery_at.weekday)
    note(tostring(order.delivery_at > order.meta.time) .. " " .. (order.delivery_at - order.meta.time) // 3600)
    note(order.own_at.year .. " " .. type(order.own_id))
    note(order.meta.store .. " " .. order.meta.source .. " " .. order.meta.type)
    local keys = {}
    for k in pairs(order.extra) do keys[#keys + 1] = k end
    note(table.concat(keys, ","))
  end,
}
