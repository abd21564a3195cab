# Unit tests are cmocka programs, one per pure room; the system tests are pytest (tests/system).
include tests/unit/local.mk
include tests/store/local.mk
include tests/static/local.mk
include tests/fuzz/local.mk
check_PROGRAMS += tests/http_echo
tests_http_echo_SOURCES = tests/http_echo.c
EXTRA_DIST += tests/system/test_supervise.py
EXTRA_DIST += tests/system/test_http_server.py
EXTRA_DIST += tests/system/test_nudgectl.py
