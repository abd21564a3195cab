-- What is compared with what.

rule "types" {
  on   = { "order.placed", "order.paid" },
  when = function(order, customer)
    return order.total > "1000" and order.order_id == 7 and #order.products > 0
      or order.total + 1 > 2 and order.order_id .. "x" == "7x" and not order.coupon == true
  end,
  run = function(order, customer)
    if 10 < customer.orders.total and "a" <= customer.city and customer.orders.count >= 2 then note "right" end
    if "3" < customer.orders.count or customer.orders.last_at > "2026-01-01" then note "wrong" end
    if customer.consent.email == "yes" or customer.consent.sms == true then note "wrong" end
    if order.delivery_at ~= nil and order.reason == "late" and order.gift_id == "x" then note "right" end
    if order.gift_id > 3 or order.status == 1 then note "wrong" end
  end,
}

rule "types-of-own" {
  on   = "own.type",
  when = function(event) return event.level > "3" and event.own_id == 3 end,
  run  = function() end,
}

--! 6: error: total is a number, "1000" is a text: they can not be compared
--! 6: warning: order_id is a text, 7 is a number: they are never equal
--! 11: error: last_at is a time, "2026-01-01" is a text: they can not be compared
--! 11: error: count is a number, "3" is a text: they can not be compared
--! 12: warning: email is true or false, "yes" is a text: they are never equal
--! 14: error: gift_id is a text, 3 is a number: they can not be compared
--! 20: warning: own_id is a text, 3 is a number: they are never equal
