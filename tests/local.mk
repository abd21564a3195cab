# Unit tests are cmocka programs, one per pure room; the system tests are pytest (tests/system).
include tests/unit/local.mk
include tests/store/local.mk
include tests/static/local.mk
include tests/fuzz/local.mk
include tests/fault/local.mk
check_PROGRAMS += tests/http_echo
tests_http_echo_SOURCES = tests/http_echo.c
EXTRA_DIST += tests/system/test_supervise.py
EXTRA_DIST += tests/system/test_http_server.py
EXTRA_DIST += tests/system/test_nudgectl.py tests/system/test_nudgectl_live.py tests/system/test_reload.py
check_PROGRAMS += tests/courier_run
tests_courier_run_SOURCES = tests/courier_run.c
EXTRA_DIST += tests/system/smtpd.py tests/system/test_courier.py
check_PROGRAMS += tests/mqtt_gate
tests_mqtt_gate_SOURCES = tests/mqtt_gate.c
EXTRA_DIST += tests/system/broker.py tests/system/test_mqtt.py
check_PROGRAMS += tests/api_run
tests_api_run_SOURCES = tests/api_run.c
EXTRA_DIST += tests/system/test_api.py
EXTRA_DIST += tests/rules
EXTRA_DIST += tests/system/daemon.py tests/system/ports.py tests/system/test_kill.py
EXTRA_DIST += tests/system/test_outage.py
EXTRA_DIST += tests/system/test_clock.py tests/system/test_timers.py
EXTRA_DIST += tests/system/test_partitions.py
EXTRA_DIST += tests/system/test_fleet_mqtt.py
EXTRA_DIST += tests/system/test_crash.py tests/system/test_limits.py
EXTRA_DIST += tests/system/conftest.py
EXTRA_DIST += tests/system/test_lasting.py
