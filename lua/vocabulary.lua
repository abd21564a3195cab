--[[
The event vocabulary: names and fields that rules, adapters, the card and the reports agree on.

This file is the one truth; it is data only.  `nudgectl check`, the documentation, the editor
definitions and the mappings of the adapters are made from it; the daemon's own table
(src/engine/vocabulary.c) repeats types and fields, and a test compares the two.  Other types are
accepted as they are and may stand in `on`.

Returns a table:
  types       list of { name=, fields=, does=, and what others call it: segment=, calls=, woo=,
              shopify= }; made: only the daemon itself makes them; nobody: about no customer
  common      fields that every type may have
  suffixes    kinds that follow from the end of a name, where nothing else says so
  identities  customer keys, strongest first, with the fields that bring them
  card        fields of `customer` in rules
  columns     columns of the view customer_card, for segments
  order       fields of the order rows that orders{} gives
  status      types that move an order to a status of their own
  aliases     other spellings of fields, for adapters: ours = { theirs, ... }

A field is { path, kind }.  The place in a list is left out: products.price is the price of each.
Kinds: text (ids, numbers of orders, phones, words), money (major units), number, bool,
time (RFC 3339), list and object (empty when missing), any.
]]

-- Puts the fields of several lists behind one another.
local function join(...)
	local all = {}
	for _, list in ipairs { ... } do
		for _, field in ipairs(list) do all[#all + 1] = field end
	end
	return all
end

-- The fields of a list below a prefix.
local function below(prefix, list)
	local all = {}
	for _, field in ipairs(list) do all[#all + 1] = { prefix .. "." .. field[1], field[2] } end
	return all
end

local product = {
	{ "product_id", "text" }, { "sku", "text" }, { "name", "text" }, { "category", "text" },
	{ "brand", "text" }, { "price", "money" }, { "url", "text" }, { "image_url", "text" },
}
local line = join(product, { { "quantity", "number" } })
local products = join({ { "products", "list" } }, below("products", line))
local basket = join(products,
	{ { "total", "money" }, { "currency", "text" }, { "url", "text" } })

local consent = {
	{ "consent", "object" }, { "consent.email", "bool" }, { "consent.sms", "bool" },
	{ "consent.call", "bool" }, { "consent.push", "bool" }, { "consent.messenger", "bool" },
}
local traits = join({
	{ "id", "text" }, { "customer_id", "text" }, { "email", "text" }, { "phone", "text" },
	{ "first_name", "text" }, { "last_name", "text" }, { "name", "text" },
	{ "birthday", "text" }, { "gender", "text" }, { "lang", "text" }, { "timezone", "text" },
	{ "address", "object" }, { "address.country", "text" }, { "address.city", "text" },
	{ "address.street", "text" }, { "address.postal_code", "text" },
	{ "address.state", "text" },
}, consent)
local shipment = {
	{ "tracking_number", "text" }, { "carrier", "text" }, { "tracking_url", "text" },
}
local delivery = { { "delivery_at", "time" }, { "delivery_until", "time" } }
local order = join({
	{ "order_id", "text" }, { "number", "text" }, { "total", "money" }, { "revenue", "money" },
	{ "shipping", "money" }, { "tax", "money" }, { "discount", "money" }, { "coupon", "text" },
	{ "currency", "text" }, { "status", "text" }, { "payment", "text" }, { "channel", "text" },
}, products, delivery)
local stage = join({ { "order_id", "text" } }, shipment,
	{ { "reason", "text" }, { "total", "money" } })
local parcel = {
	{ "order_id", "text" }, { "tracking_number", "text" }, { "place", "text" },
	{ "keep_until", "time" },
}
local lead = { { "form", "text" }, { "text", "text" }, { "source", "text" } }
local call = {
	{ "from", "text" }, { "to", "text" }, { "manager", "text" }, { "seconds", "number" },
	{ "recording_url", "text" }, { "result", "text" },
}
local opinion = {
	{ "order_id", "text" }, { "product_id", "text" }, { "survey", "text" },
	{ "rating", "number" }, { "score", "number" }, { "text", "text" },
}
local message = {
	{ "message_id", "text" }, { "rule", "text" }, { "channel", "text" },
	{ "direction", "text" }, { "url", "text" }, { "link", "text" }, { "code", "text" },
	{ "address", "text" }, { "permanent", "bool" },
}
local task = {
	{ "task_id", "text" }, { "rule", "text" }, { "manager", "text" }, { "result", "text" },
}
local goods = {
	{ "product_id", "text" }, { "sku", "text" }, { "stock", "number" }, { "price", "money" },
}
local silence = { { "store", "text" }, { "minutes", "number" } }

local types = {
	{ name = "call.finished", fields = call, does = "finds the card by number" },
	{ name = "call.incoming", fields = call, does = "finds the card by number" },
	{ name = "call.missed", fields = call, does = "finds the card by number" },
	{ name = "callback.requested", fields = lead },
	{ name = "cart.updated", fields = join({ { "cart_id", "text" } }, basket),
		does = "the card's cart",
		segment = { "Product Added", "Product Removed", "Cart Viewed" },
		shopify = { "carts/update" } },
	{ name = "category.viewed", fields = { { "category", "text" } },
		does = "activity for count", segment = { "Product List Viewed" } },
	{ name = "chat.message", fields = lead },
	{ name = "checkout.started",
		fields = join({ { "checkout_id", "text" }, { "order_id", "text" } }, basket),
		segment = { "Checkout Started" }, shopify = { "checkouts/create" } },
	{ name = "coupon.used", fields = { { "coupon", "text" }, { "order_id", "text" } },
		does = "ledger", segment = { "Coupon Applied" } },
	{ name = "customer.created", fields = traits,
		does = "makes or changes the card, joins identities",
		woo = { "customer.created" }, shopify = { "customers/create" } },
	{ name = "customer.erase_requested", fields = {},
		does = "task for the operator, or at once if configured",
		shopify = { "customers/redact" } },
	{ name = "customer.export_requested", fields = {},
		does = "task for the operator, or at once if configured",
		shopify = { "customers/data_request" } },
	{ name = "customer.merged", fields = { { "previous_id", "text" } },
		does = "joins two cards", calls = { "alias" } },
	{ name = "customer.updated", fields = traits,
		does = "makes or changes the card, joins identities",
		calls = { "identify" }, woo = { "customer.updated" },
		shopify = { "customers/update" } },
	{ name = "form.submitted", fields = lead },
	{ name = "lead.created", fields = lead },
	{ name = "message.bounced", fields = message, does = "suppression when permanent",
		segment = { "Email Bounced" } },
	{ name = "message.clicked", fields = message, does = "moves the message",
		segment = { "Email Link Clicked" } },
	{ name = "message.complained", fields = message,
		does = "suppression, consent taken back", segment = { "Email Marked as Spam" } },
	{ name = "message.delivered", fields = message, does = "moves the message",
		segment = { "Email Delivered" } },
	{ name = "message.failed", fields = message, does = "moves the message" },
	{ name = "message.in_doubt", fields = message },
	{ name = "message.opened", fields = message, does = "moves the message",
		segment = { "Email Opened" } },
	{ name = "message.replied", fields = message, does = "moves the message" },
	{ name = "message.sent", fields = message, does = "moves the message",
		segment = { "Email Sent" } },
	{ name = "message.unsubscribed", fields = message,
		does = "suppression, consent taken back", segment = { "Unsubscribed" } },
	{ name = "order.cancelled", fields = stage,
		does = "order row, aggregates, also order.status_changed",
		segment = { "Order Cancelled" }, shopify = { "orders/cancelled" } },
	{ name = "order.delivered", fields = stage,
		does = "order row, also order.status_changed" },
	{ name = "order.delivery_scheduled", fields = join({ { "order_id", "text" } }, delivery),
		does = "order row" },
	{ name = "order.paid", fields = stage, does = "order row, also order.status_changed",
		shopify = { "orders/paid" } },
	{ name = "order.placed", fields = order, does = "order row, aggregates, cart emptied",
		segment = { "Order Completed" }, woo = { "order.created" },
		shopify = { "orders/create" } },
	{ name = "order.refunded", fields = stage,
		does = "order row, aggregates, also order.status_changed",
		segment = { "Order Refunded" } },
	{ name = "order.shipped", fields = stage, does = "order row, also order.status_changed",
		shopify = { "orders/fulfilled" } },
	{ name = "order.status_changed", fields = {
		{ "order_id", "text" }, { "status", "text" }, { "previous", "text" },
	}, does = "stage history; times per stage" },
	{ name = "order.updated", fields = join(order, shipment, { { "reason", "text" } }),
		does = "order row", segment = { "Order Updated" }, woo = { "order.updated" },
		shopify = { "orders/updated" } },
	{ name = "page.viewed", fields = {
		{ "name", "text" }, { "url", "text" }, { "referrer", "text" },
		{ "campaign", "object" }, { "campaign.source", "text" },
		{ "campaign.medium", "text" }, { "campaign.name", "text" },
	}, does = "last seen, first source", calls = { "page", "screen" } },
	{ name = "parcel.arrived", fields = parcel },
	{ name = "parcel.moved", fields = parcel },
	{ name = "parcel.returned", fields = parcel },
	{ name = "payment.failed", fields = { { "order_id", "text" }, { "reason", "text" } } },
	{ name = "price.changed", fields = join(goods, { { "previous", "money" } }),
		nobody = true },
	{ name = "product.bought", fields = join({ { "order_id", "text" } }, line), made = true,
		does = "made by the daemon from order.placed, one per line" },
	{ name = "product.searched", fields = { { "query", "text" } },
		does = "activity for count", segment = { "Products Searched" } },
	{ name = "product.viewed", fields = product, does = "activity for count",
		segment = { "Product Viewed" } },
	{ name = "product.wished", fields = product, segment = { "Product Added to Wishlist" } },
	{ name = "review.posted", fields = opinion, does = "NPS, CSI",
		segment = { "Product Reviewed" } },
	{ name = "segment.entered", fields = { { "segment", "text" } }, made = true },
	{ name = "segment.left", fields = { { "segment", "text" } }, made = true },
	{ name = "stock.changed", fields = join(goods, { { "previous", "number" } }),
		nobody = true },
	{ name = "store.resumed", fields = silence, nobody = true, made = true,
		does = "it speaks again" },
	{ name = "store.silent", fields = silence, nobody = true, made = true,
		does = "no event from a store for unusually long" },
	{ name = "supplier.answered", fields = {
		{ "order_id", "text" }, { "supplier", "text" }, { "answer", "text" },
	} },
	{ name = "survey.answered", fields = opinion, does = "NPS, CSI" },
	{ name = "task.cancelled", fields = task, does = "moves the task" },
	{ name = "task.created", fields = task, made = true },
	{ name = "task.done", fields = task, does = "moves the task" },
	{ name = "task.escalated", fields = task, made = true },
	{ name = "task.overdue", fields = task, made = true },
	{ name = "task.taken", fields = task, does = "moves the task" },
}

local common = {
	{ "customer", "object" }, { "customer.id", "text" }, { "customer.email", "text" },
	{ "customer.phone", "text" }, { "customer.anonymous_id", "text" },
	{ "customer.name", "text" }, { "customer.first_name", "text" },
	{ "customer.last_name", "text" }, { "customer.lang", "text" },
}

local identities = {
	{ "id", from = { "subject", "customer.id", "id, customer_id of customer.*" } },
	{ "email", from = { "subject", "customer.email", "email of customer.*" } },
	{ "phone",
		from = { "subject", "customer.phone", "phone of customer.*", "from of call.*" } },
	{ "anonymous", from = { "customer.anonymous_id" } },
	{ "order", from = { "order_id" }, per_store = true },
	{ "parcel", from = { "tracking_number" }, per_store = true },
}

local card = join({
	{ "id", "text" }, { "name", "text" }, { "first_name", "text" }, { "last_name", "text" },
	{ "email", "text" }, { "phone", "text" }, { "lang", "text" }, { "tz", "text" },
	{ "city", "text" }, { "birthday", "text" }, { "gender", "text" }, { "tags", "list" },
	{ "attributes", "object" }, { "segments", "list" }, { "manager", "text" },
	{ "orders", "object" }, { "orders.count", "number" }, { "orders.total", "money" },
	{ "orders.average", "money" }, { "orders.first_at", "time" }, { "orders.last_at", "time" },
	{ "orders.last_id", "text" }, { "value", "object" }, { "value.m6", "money" },
	{ "value.m12", "money" }, { "value.m24", "money" }, { "value.life", "money" },
	{ "created_at", "time" }, { "last_seen_at", "time" },
	{ "cart", "object" }, { "cart.cart_id", "text" },
}, below("cart", basket), consent)

local columns = {
	{ "id", "number" }, { "name", "text" }, { "first_name", "text" }, { "last_name", "text" },
	{ "email", "text" }, { "phone", "text" }, { "lang", "text" }, { "tz", "text" },
	{ "city", "text" }, { "birthday", "text" }, { "gender", "text" }, { "tags", "list" },
	{ "attributes", "object" }, { "consent", "object" }, { "suppressed", "object" },
	{ "cart", "object" }, { "manager", "text" }, { "first_source", "text" },
	{ "orders_count", "number" }, { "orders_total", "money" }, { "orders_average", "money" },
	{ "first_order_at", "time" }, { "last_order_at", "time" }, { "last_order_id", "text" },
	{ "value_m6", "money" }, { "value_m12", "money" }, { "value_m24", "money" },
	{ "value_life", "money" }, { "created_at", "time" }, { "last_seen_at", "time" },
}

local order_row = join({
	{ "id", "text" }, { "store", "text" }, { "number", "text" }, { "status", "text" },
	{ "total", "money" }, { "refunded", "money" }, { "currency", "text" },
	{ "payment", "text" }, { "channel", "text" }, { "coupon", "text" },
	{ "cancelled", "bool" }, { "placed_at", "time" }, { "updated_at", "time" },
}, delivery, shipment, products)

return {
	types = types,
	common = common,
	suffixes = { _id = "text", _at = "time", _until = "time" },
	identities = identities,
	card = card,
	columns = columns,
	order = order_row,
	status = {
		["order.paid"] = "paid", ["order.shipped"] = "shipped",
		["order.delivered"] = "delivered", ["order.cancelled"] = "cancelled",
		["order.refunded"] = "refunded",
	},
	aliases = {
		first_name = { "firstName" }, last_name = { "lastName" },
		birthday = { "birthDate", "dob" }, lang = { "language", "locale" },
		timezone = { "tz", "timeZone" }, created_at = { "createdAt" },
		postal_code = { "postalCode", "zip" }, email = { "email_address" },
		phone = { "phone_number", "mobile" }, order_id = { "orderId" },
		product_id = { "productId" }, image_url = { "image", "imageUrl" },
		tracking_number = { "trackingNumber" }, query = { "search" }, total = { "value" },
	},
}
