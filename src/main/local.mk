# src/main: the programs: settings, processes, and the commands for operators and marketers
libnudged_a_SOURCES += \
	src/main/settings_check.c src/main/settings_check.h \
	src/main/settings_table.c src/main/settings_table.h \
	src/main/settings.c src/main/settings.h \
	src/main/rule_files.c src/main/rule_files.h \
	src/main/rig.c src/main/rig_trace.c src/main/rig.h \
	src/main/rule_test.c src/main/rule_test.h src/main/rule_test_int.h \
	src/main/rule_test_look.c \
	src/main/rule_check.c src/main/rule_check.h
libnudged_a_SOURCES += \
	src/main/lockfile.c src/main/lockfile.h \
	src/main/handover.c src/main/handover.h \
	src/main/unix_path.c src/main/unix_path.h \
	src/main/listen.c src/main/listen.h \
	src/main/accepted.c src/main/accepted.h \
	src/main/role.c src/main/role.h \
	src/main/check.c src/main/check.h \
	src/main/engine.c src/main/engine.h \
	src/main/engine_doors.c src/main/engine_doors.h \
	src/main/engine_mqtt.c src/main/engine_mqtt.h \
	src/main/courier_main.c src/main/courier_main.h \
	src/main/supervise.c src/main/supervise.h
sbin_PROGRAMS += nudged
nudged_SOURCES = src/main/nudged.c \
	src/main/dev.c src/main/dev.h \
	src/main/dev_parts.c src/main/dev_parts.h \
	src/main/dev_smtp.c src/main/dev_smtp.h
libnudged_a_SOURCES += src/main/activate.c src/main/activate.h
bin_PROGRAMS += nudgectl
nudgectl_SOURCES = src/main/nudgectl.c src/main/ctl.h src/main/ctl_rules.c \
	src/main/ctl_db.c src/main/ctl_db.h src/main/ctl_text.c src/main/ctl_text.h src/main/ctl_set.c src/main/ctl_pause.c \
	src/main/ctl_customer.c src/main/ctl_customer.h src/main/ctl_render.c \
	src/main/ctl_chains.c src/main/ctl_doubt.c src/main/ctl_import.c src/main/import_store.c src/main/import_store.h \
	src/main/ctl_why.c
