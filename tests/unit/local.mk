# tests/unit: one cmocka program per pure room
# what the judge and the histories share
UNIT_WORLD = tests/unit/world.c tests/unit/world.h tests/unit/effects.c tests/unit/effects.h
UNIT_TESTS = \
	tests/unit/address_test \
	tests/unit/admit_test \
	tests/unit/calendar_test \
	tests/unit/card_test \
	tests/unit/clock_test \
	tests/unit/conf_test \
	tests/unit/courier_test \
	tests/unit/duration_test \
	tests/unit/envelope_test \
	tests/unit/flow_test \
	tests/unit/handover_test \
	tests/unit/hash_test \
	tests/unit/histories_test \
	tests/unit/http_head_test \
	tests/unit/http_peers_test \
	tests/unit/json_test \
	tests/unit/judge_test \
	tests/unit/lint_test \
	tests/unit/liquid_test \
	tests/unit/lookup_test \
	tests/unit/loop_test \
	tests/unit/mailtext_test \
	tests/unit/metrics_test \
	tests/unit/mime_test \
	tests/unit/mqtt_message_test \
	tests/unit/pattern_test \
	tests/unit/phone_test \
	tests/unit/replay_test \
	tests/unit/replay_modes_test \
	tests/unit/rig_test \
	tests/unit/rule_test_test \
	tests/unit/rules_test \
	tests/unit/script_test \
	tests/unit/settings_test \
	tests/unit/str_test \
	tests/unit/supervise_test \
	tests/unit/timeline_test \
	tests/unit/tz_test \
	tests/unit/unsubscribe_test \
	tests/unit/vocabulary_test \
	tests/unit/waits_test \
	tests/unit/what_test
if HAVE_CMOCKA
check_PROGRAMS += $(UNIT_TESTS)
TESTS += $(UNIT_TESTS)
endif
tests_unit_address_test_SOURCES = tests/unit/address_test.c
tests_unit_admit_test_SOURCES = tests/unit/admit_test.c
tests_unit_calendar_test_SOURCES = tests/unit/calendar_test.c
tests_unit_card_test_SOURCES = tests/unit/card_test.c
tests_unit_clock_test_SOURCES = tests/unit/clock_test.c
tests_unit_conf_test_SOURCES = tests/unit/conf_test.c
tests_unit_courier_test_SOURCES = tests/unit/courier_test.c
tests_unit_duration_test_SOURCES = tests/unit/duration_test.c
tests_unit_envelope_test_SOURCES = tests/unit/envelope_test.c
tests_unit_flow_test_SOURCES = tests/unit/flow_test.c
tests_unit_handover_test_SOURCES = tests/unit/handover_test.c
tests_unit_hash_test_SOURCES = tests/unit/hash_test.c
tests_unit_histories_test_SOURCES = tests/unit/histories_test.c $(UNIT_WORLD)
tests_unit_http_head_test_SOURCES = tests/unit/http_head_test.c
tests_unit_http_peers_test_SOURCES = tests/unit/http_peers_test.c
tests_unit_json_test_SOURCES = tests/unit/json_test.c
tests_unit_judge_test_SOURCES = tests/unit/judge_test.c $(UNIT_WORLD)
tests_unit_lint_test_SOURCES = tests/unit/lint_test.c
tests_unit_liquid_test_SOURCES = tests/unit/liquid_test.c
tests_unit_lookup_test_SOURCES = tests/unit/lookup_test.c
tests_unit_loop_test_SOURCES = tests/unit/loop_test.c
tests_unit_mailtext_test_SOURCES = tests/unit/mailtext_test.c
tests_unit_metrics_test_SOURCES = tests/unit/metrics_test.c
tests_unit_mime_test_SOURCES = tests/unit/mime_test.c
tests_unit_mqtt_message_test_SOURCES = tests/unit/mqtt_message_test.c
tests_unit_pattern_test_SOURCES = tests/unit/pattern_test.c
tests_unit_phone_test_SOURCES = tests/unit/phone_test.c
tests_unit_replay_test_SOURCES = tests/unit/replay_test.c
tests_unit_replay_modes_test_SOURCES = tests/unit/replay_modes_test.c
tests_unit_rig_test_SOURCES = tests/unit/rig_test.c
tests_unit_rule_test_test_SOURCES = tests/unit/rule_test_test.c
tests_unit_rules_test_SOURCES = tests/unit/rules_test.c
tests_unit_script_test_SOURCES = tests/unit/script_test.c
tests_unit_settings_test_SOURCES = tests/unit/settings_test.c
tests_unit_str_test_SOURCES = tests/unit/str_test.c
tests_unit_supervise_test_SOURCES = tests/unit/supervise_test.c
tests_unit_timeline_test_SOURCES = tests/unit/timeline_test.c
tests_unit_tz_test_SOURCES = tests/unit/tz_test.c
tests_unit_unsubscribe_test_SOURCES = tests/unit/unsubscribe_test.c
tests_unit_vocabulary_test_SOURCES = tests/unit/vocabulary_test.c
tests_unit_waits_test_SOURCES = tests/unit/waits_test.c
tests_unit_what_test_SOURCES = tests/unit/what_test.c
EXTRA_DIST += tests/data/lua_bombs.txt tests/data/endless/a.lua tests/data/liquid_golden.json \
	tests/data/mail/cart.html tests/data/mail/cart.txt \
	tests/data/mail/russian.html tests/data/mail/russian.txt \
	tests/rules tests/lint tests/histories
