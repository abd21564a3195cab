# src/courier: ways out: claim, render, hand over, record; every room here may block
libnudged_a_SOURCES += \
	src/courier/address.c src/courier/address.h \
	src/courier/mime.c src/courier/mime.h \
	src/courier/render.c src/courier/render.h \
	src/courier/decide.c src/courier/decide.h \
	src/courier/claim.c src/courier/claim.h \
	src/courier/retry.c src/courier/retry.h \
	src/courier/deadline.c src/courier/deadline.h \
	src/courier/mail.c src/courier/mail.h \
	src/courier/mqttout.c src/courier/mqttout.h \
	src/courier/courier.c src/courier/courier.h src/courier/courier_end.h
