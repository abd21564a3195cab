# shipped rules and templates: examples to start from
rulesdir = $(pkgdatadir)/rules
dist_rules_DATA = rules/abandoned-cart.lua rules/abandoned-cart_test.lua \
	rules/call-the-buyer.lua rules/call-the-buyer_test.lua \
	rules/delivery-question.lua rules/delivery-question_test.lua \
	rules/tracking-number.lua rules/tracking-number_test.lua
templatesdir = $(pkgdatadir)/templates
dist_templates_DATA = templates/cart-reminder.en.html templates/cart-reminder.ru.html \
	templates/delivery-question.en.html templates/delivery-question.ru.html \
	templates/tracking-number.en.html templates/tracking-number.ru.html
