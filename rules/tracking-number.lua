-- The parcel is on its way: the customer gets the number at once.

rule "tracking-number" {
  about = "Sends the tracking number as soon as the order ships",
  on    = "order.shipped",
  key   = "order_id",
  class = "transactional",      -- part of the order: needs no consent for marketing
  when  = function(order) return order.tracking_number ~= nil end,
  run = function(order)
    email { template = "tracking-number", with = { order = order } }
  end,
}
