-- A new order is confirmed by phone within ten minutes; a missed deadline is a second, urgent task.

rule "call-the-buyer" {
  about   = "Has every new order called within 10 working minutes, and makes a second, urgent task when it was not",
  on      = "order.placed",
  key     = "order_id",
  exit_on = "order.cancelled",
  run = function(order, customer)
    local call = task {
      title    = "Call the buyer",
      text     = "Order " .. (order.number or order.order_id),
      group    = "sales",
      deadline = working "10m",
      order    = order.order_id,
      call     = customer.phone,
    }
    if wait(call.done) then return end
    task {
      title    = "The buyer was not called",
      text     = "Order " .. (order.number or order.order_id) .. " has waited for ten minutes",
      group    = "sales",
      priority = 90,
      deadline = working "20m",
      order    = order.order_id,
      call     = customer.phone,
    }
  end,
}
