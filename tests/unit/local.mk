# tests/unit: one cmocka program per pure room
# the rule state
if HAVE_CMOCKA
check_PROGRAMS += tests/unit/pattern_test
tests_unit_pattern_test_SOURCES = tests/unit/pattern_test.c
TESTS += tests/unit/pattern_test
check_PROGRAMS += tests/unit/script_test
tests_unit_script_test_SOURCES = tests/unit/script_test.c
TESTS += tests/unit/script_test
endif
if HAVE_CMOCKA
check_PROGRAMS += tests/unit/what_test
tests_unit_what_test_SOURCES = tests/unit/what_test.c
TESTS += tests/unit/what_test
endif
if HAVE_CMOCKA
check_PROGRAMS += tests/unit/rules_test
tests_unit_rules_test_SOURCES = tests/unit/rules_test.c
TESTS += tests/unit/rules_test
endif
if HAVE_CMOCKA
check_PROGRAMS += tests/unit/calendar_test
tests_unit_calendar_test_SOURCES = tests/unit/calendar_test.c
TESTS += tests/unit/calendar_test
endif
EXTRA_DIST += tests/data/lua_bombs.txt tests/data/endless/a.lua
if HAVE_CMOCKA
check_PROGRAMS += tests/unit/json_test
tests_unit_json_test_SOURCES = tests/unit/json_test.c
TESTS += tests/unit/json_test
endif
if HAVE_CMOCKA
check_PROGRAMS += tests/unit/conf_test
tests_unit_conf_test_SOURCES = tests/unit/conf_test.c
TESTS += tests/unit/conf_test
check_PROGRAMS += tests/unit/settings_test
tests_unit_settings_test_SOURCES = tests/unit/settings_test.c
TESTS += tests/unit/settings_test
endif
if HAVE_CMOCKA
check_PROGRAMS += tests/unit/clock_test
tests_unit_clock_test_SOURCES = tests/unit/clock_test.c
TESTS += tests/unit/clock_test
endif
if HAVE_CMOCKA
check_PROGRAMS += tests/unit/hash_test
tests_unit_hash_test_SOURCES = tests/unit/hash_test.c
TESTS += tests/unit/hash_test
endif
if HAVE_CMOCKA
check_PROGRAMS += tests/unit/phone_test
tests_unit_phone_test_SOURCES = tests/unit/phone_test.c
TESTS += tests/unit/phone_test
check_PROGRAMS += tests/unit/replay_test
tests_unit_replay_test_SOURCES = tests/unit/replay_test.c
TESTS += tests/unit/replay_test
endif
if HAVE_CMOCKA
check_PROGRAMS += tests/unit/vocabulary_test
tests_unit_vocabulary_test_SOURCES = tests/unit/vocabulary_test.c
TESTS += tests/unit/vocabulary_test
check_PROGRAMS += tests/unit/card_test
tests_unit_card_test_SOURCES = tests/unit/card_test.c
TESTS += tests/unit/card_test
check_PROGRAMS += tests/unit/admit_test
tests_unit_admit_test_SOURCES = tests/unit/admit_test.c
TESTS += tests/unit/admit_test
check_PROGRAMS += tests/unit/envelope_test
tests_unit_envelope_test_SOURCES = tests/unit/envelope_test.c
TESTS += tests/unit/envelope_test
check_PROGRAMS += tests/unit/loop_test
tests_unit_loop_test_SOURCES = tests/unit/loop_test.c
TESTS += tests/unit/loop_test
check_PROGRAMS += tests/unit/lookup_test
tests_unit_lookup_test_SOURCES = tests/unit/lookup_test.c
TESTS += tests/unit/lookup_test
check_PROGRAMS += tests/unit/http_head_test
tests_unit_http_head_test_SOURCES = tests/unit/http_head_test.c
TESTS += tests/unit/http_head_test
endif
if HAVE_CMOCKA
check_PROGRAMS += tests/unit/tz_test
tests_unit_tz_test_SOURCES = tests/unit/tz_test.c
TESTS += tests/unit/tz_test
endif
if HAVE_CMOCKA
check_PROGRAMS += tests/unit/duration_test
tests_unit_duration_test_SOURCES = tests/unit/duration_test.c
TESTS += tests/unit/duration_test
endif
if HAVE_CMOCKA
check_PROGRAMS += tests/unit/liquid_test
tests_unit_liquid_test_SOURCES = tests/unit/liquid_test.c
TESTS += tests/unit/liquid_test
endif
EXTRA_DIST += tests/data/liquid_golden.json
if HAVE_CMOCKA
check_PROGRAMS += tests/unit/supervise_test
tests_unit_supervise_test_SOURCES = tests/unit/supervise_test.c
TESTS += tests/unit/supervise_test
endif
if HAVE_CMOCKA
check_PROGRAMS += tests/unit/mailtext_test
tests_unit_mailtext_test_SOURCES = tests/unit/mailtext_test.c
TESTS += tests/unit/mailtext_test
endif
EXTRA_DIST += tests/data/mail/cart.html tests/data/mail/cart.txt \
	tests/data/mail/russian.html tests/data/mail/russian.txt
if HAVE_CMOCKA
check_PROGRAMS += tests/unit/metrics_test
tests_unit_metrics_test_SOURCES = tests/unit/metrics_test.c
TESTS += tests/unit/metrics_test
endif
if HAVE_CMOCKA
check_PROGRAMS += tests/unit/http_peers_test
tests_unit_http_peers_test_SOURCES = tests/unit/http_peers_test.c
TESTS += tests/unit/http_peers_test
endif
if HAVE_CMOCKA
check_PROGRAMS += tests/unit/flow_test
tests_unit_flow_test_SOURCES = tests/unit/flow_test.c
TESTS += tests/unit/flow_test
check_PROGRAMS += tests/unit/judge_test
tests_unit_judge_test_SOURCES = tests/unit/judge_test.c tests/unit/world.c tests/unit/world.h \
	tests/unit/effects.c tests/unit/effects.h
TESTS += tests/unit/judge_test
endif
if HAVE_CMOCKA
check_PROGRAMS += tests/unit/address_test tests/unit/mime_test
tests_unit_address_test_SOURCES = tests/unit/address_test.c
tests_unit_mime_test_SOURCES = tests/unit/mime_test.c
TESTS += tests/unit/address_test tests/unit/mime_test
check_PROGRAMS += tests/unit/unsubscribe_test tests/unit/courier_test
tests_unit_unsubscribe_test_SOURCES = tests/unit/unsubscribe_test.c
tests_unit_courier_test_SOURCES = tests/unit/courier_test.c
TESTS += tests/unit/unsubscribe_test tests/unit/courier_test
endif
if HAVE_CMOCKA
check_PROGRAMS += tests/unit/mqtt_message_test
tests_unit_mqtt_message_test_SOURCES = tests/unit/mqtt_message_test.c
TESTS += tests/unit/mqtt_message_test
endif
if HAVE_CMOCKA
check_PROGRAMS += tests/unit/replay_modes_test
tests_unit_replay_modes_test_SOURCES = tests/unit/replay_modes_test.c
TESTS += tests/unit/replay_modes_test
endif
EXTRA_DIST += tests/rules
if HAVE_CMOCKA
check_PROGRAMS += tests/unit/waits_test
tests_unit_waits_test_SOURCES = tests/unit/waits_test.c
TESTS += tests/unit/waits_test
endif
if HAVE_CMOCKA
check_PROGRAMS += tests/unit/timeline_test
tests_unit_timeline_test_SOURCES = tests/unit/timeline_test.c
TESTS += tests/unit/timeline_test
endif
if HAVE_CMOCKA
check_PROGRAMS += tests/unit/rule_test_test tests/unit/rig_test
tests_unit_rig_test_SOURCES = tests/unit/rig_test.c
tests_unit_rule_test_test_SOURCES = tests/unit/rule_test_test.c
TESTS += tests/unit/rule_test_test tests/unit/rig_test
endif
if HAVE_CMOCKA
check_PROGRAMS += tests/unit/lint_test
tests_unit_lint_test_SOURCES = tests/unit/lint_test.c
TESTS += tests/unit/lint_test
endif
EXTRA_DIST += tests/lint
if HAVE_CMOCKA
check_PROGRAMS += tests/unit/histories_test
tests_unit_histories_test_SOURCES = tests/unit/histories_test.c tests/unit/world.c tests/unit/world.h \
	tests/unit/effects.c tests/unit/effects.h
TESTS += tests/unit/histories_test
endif
EXTRA_DIST += tests/histories
