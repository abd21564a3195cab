-- Three days after the delivery we ask how it went; a low mark becomes a task.

rule "delivery-question" {
  about   = "Asks for a mark three days after the delivery, and has low marks looked after",
  on      = "order.delivered",
  key     = "order_id",
  exit_on = { "order.refunded", "order.cancelled" },
  run = function(order, customer)
    wait "3d"
    email { template = "delivery-question", with = { order_id = order.order_id } }
    local answer = wait("14d", "survey.answered")
    if answer and answer.score and answer.score <= 6 then
      task {
        title    = "A customer is not content",
        text     = answer.text,
        group    = "sales",
        priority = 80,
        deadline = working "4h",
        order    = order.order_id,
        call     = customer.phone,
      }
    end
  end,
}
