# src/store: where cards, events, chains and messages are kept: one contract, two makers
libnudged_a_SOURCES += \
	src/store/store.c src/store/store.h \
	src/store/mem.c src/store/mem.h src/store/mem_int.h src/store/mem_copy.c src/store/mem_load.c src/store/mem_save.c \
	src/store/pg.c src/store/pg.h src/store/pg_int.h \
	src/store/pg_cols.c src/store/pg_identify.c src/store/pg_load.c \
	src/store/pg_fetch.c src/store/pg_save.c src/store/pg_set.c
