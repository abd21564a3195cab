# src/main: see README.md beside this file
libnudged_a_SOURCES += \
	src/main/settings_check.c src/main/settings_check.h \
	src/main/settings_table.c src/main/settings_table.h \
	src/main/settings.c src/main/settings.h
libnudged_a_SOURCES += \
	src/main/lockfile.c src/main/lockfile.h \
	src/main/listen.c src/main/listen.h \
	src/main/role.c src/main/role.h \
	src/main/check.c src/main/check.h \
	src/main/engine.c src/main/engine.h \
	src/main/courier_main.c src/main/courier_main.h \
	src/main/supervise.c src/main/supervise.h
sbin_PROGRAMS += nudged
nudged_SOURCES = src/main/nudged.c src/main/dev.h
