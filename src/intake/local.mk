# src/intake: from admitted events to a committed batch; knows struct store and the engine, no sockets, no SQL
libnudged_a_SOURCES += \
	src/intake/who.c src/intake/who.h \
	src/intake/flow.c src/intake/flow.h src/intake/flow_int.h \
	src/intake/flow_who.c src/intake/flow_join.c src/intake/flow_form.c src/intake/flow_due.c \
	src/intake/flow_lane.c src/intake/flow_sift.c src/intake/flow_claim.c src/intake/flow_set.c
libnudged_a_SOURCES += src/intake/admit.c src/intake/admit.h \
	src/intake/admit_keys.c src/intake/admit_keys.h
libnudged_a_SOURCES += src/intake/unsubscribe.c src/intake/unsubscribe.h
