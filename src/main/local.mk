# src/main: see README.md beside this file
libnudged_a_SOURCES += \
	src/main/settings_check.c src/main/settings_check.h \
	src/main/settings_table.c src/main/settings_table.h \
	src/main/settings.c src/main/settings.h
