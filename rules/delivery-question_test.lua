local function delivered(t)
  local anna = t:customer { email = "anna@example.com", consent = { email = true } }
  anna:event("order.delivered", { order_id = "7" })
  t:advance "2d23h"; t:expect_none()
  t:advance "1h"
  t:expect { email = "delivery-question", with = { order_id = "7" } }
  return anna
end

test "the question comes three days after the delivery" (function(t)
  delivered(t)
  t:advance "30d"; t:expect_none()
end)

test "a low mark is a task" (function(t)
  local anna = delivered(t)
  t:advance "1d"
  anna:event("survey.answered", { order_id = "7", score = 3, text = "broken" })
  t:expect { task = "A customer is not content", text = "broken" }
end)

test "a high mark is nothing to do" (function(t)
  local anna = delivered(t)
  anna:event("survey.answered", { order_id = "7", score = 10 })
  t:advance "30d"; t:expect_none()
end)

test "the answer about another order is none" (function(t)
  local anna = delivered(t)
  anna:event("survey.answered", { order_id = "8", score = 1 })
  t:advance "30d"; t:expect_none()
end)

test "a refunded order is not asked about" (function(t)
  local anna = t:customer { email = "anna@example.com", consent = { email = true } }
  anna:event("order.delivered", { order_id = "7" })
  t:advance "1d"
  anna:event("order.refunded", { order_id = "7" })
  t:advance "30d"; t:expect_none()
end)
