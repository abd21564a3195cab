# src/model: the nouns of the field as plain structs, and the words of their states
libnudged_a_SOURCES += \
	src/model/event.c src/model/event.h \
	src/model/customer.c src/model/customer.h \
	src/model/order.h \
	src/model/chain.c src/model/chain.h \
	src/model/message.c src/model/message.h \
	src/model/task.c src/model/task.h \
	src/model/rule_set.h src/model/shop.h src/model/staff.h src/model/switches.h \
	src/model/batch.c src/model/batch.h
