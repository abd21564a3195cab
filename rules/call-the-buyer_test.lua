test "a call in time is all there is" (function(t)
  local anna = t:customer { phone = "+4930123456" }
  anna:event("order.placed", { order_id = "7", total = 100 })
  local call = t:expect { task = "Call the buyer", group = "sales", call = "+4930123456", order = "7" }
  t:advance "5m"
  t:done(call, "ok")
  t:advance "1d"; t:expect_none()
end)

test "a missed deadline is a second, urgent task" (function(t)
  local anna = t:customer { phone = "+4930123456" }
  anna:event("order.placed", { order_id = "7", total = 100 })
  t:expect { task = "Call the buyer" }
  t:advance "9m";  t:expect_none()
  t:advance "1m";  t:expect { task = "The buyer was not called", order = "7", priority = 90 }
end)

test "a cancelled order needs no call" (function(t)
  local anna = t:customer { phone = "+4930123456" }
  anna:event("order.placed", { order_id = "7", total = 100 })
  t:expect { task = "Call the buyer" }
  t:advance "2m"
  anna:event("order.cancelled", { order_id = "7" })
  t:advance "1d"; t:expect_none()
end)

test "two orders are two calls" (function(t)
  local anna = t:customer { phone = "+4930123456" }
  anna:event("order.placed", { order_id = "7", total = 100 })
  anna:event("order.placed", { order_id = "8", total = 100 })
  t:expect { task = "Call the buyer", order = "7" }
  t:expect { task = "Call the buyer", order = "8" }
end)
