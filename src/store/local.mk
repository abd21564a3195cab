# src/store: where cards, events, chains and messages are kept: one contract, two makers
libnudged_a_SOURCES += \
	src/store/store.c src/store/store.h \
	src/store/mem.c src/store/mem.h
