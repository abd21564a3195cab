# src/base: the ground floor: knows nothing of events, rules or Postgres
libnudged_a_SOURCES += \
	src/base/err.c src/base/err.h \
	src/base/mem.c src/base/mem.h \
	src/base/str.c src/base/str.h \
	src/base/log.c src/base/log.h \
	src/base/json.c src/base/json_walk.c src/base/json.h
libnudged_a_SOURCES += \
	src/base/suggest.c src/base/suggest.h \
	src/base/conf_value.c src/base/conf_value.h \
	src/base/conf.c src/base/conf.h
libnudged_a_SOURCES += src/base/clock.c src/base/clock.h src/base/now.c src/base/now.h
libnudged_a_SOURCES += src/base/hash.c src/base/hash.h
libnudged_a_SOURCES += src/base/phone.cc src/base/phone.h
libnudged_a_SOURCES += src/base/map.c src/base/map.h
libnudged_a_SOURCES += src/base/loop.c src/base/loop.h
libnudged_a_SOURCES += src/base/lookup.c src/base/lookup.h
libnudged_a_SOURCES += src/base/tz.c src/base/tz.h src/base/duration.c src/base/duration.h
libnudged_a_SOURCES += \
	src/base/heart.c src/base/heart.h \
	src/base/crashnote.c src/base/crashnote.h \
	src/base/notify.c src/base/notify.h \
	src/base/proc.c src/base/proc.h
libnudged_a_SOURCES += src/base/failpoint.c src/base/failpoint.h
libnudged_a_SOURCES += src/base/planted.c src/base/planted.h
