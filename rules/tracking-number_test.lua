test "the number goes out when the order ships" (function(t)
  local anna = t:customer { email = "anna@example.com" }
  anna:event("order.placed", { order_id = "7", total = 100 })
  anna:event("order.shipped", { order_id = "7", tracking_number = "RR123456785DE", carrier = "DHL" })
  local mail = t:expect { email = "tracking-number", to = "anna@example.com", class = "transactional" }
  t:same(mail.with.order.tracking_number, "RR123456785DE", "the number in the mail")
  t:advance "7d"; t:expect_none()
end)

test "without a number there is nothing to send" (function(t)
  local anna = t:customer { email = "anna@example.com" }
  anna:event("order.shipped", { order_id = "7" })
  t:advance "1d"; t:expect_none()
end)
