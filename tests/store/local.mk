# tests/store: what needs a real Postgres, and the cases that both makers of a store must pass
if HAVE_CMOCKA
check_PROGRAMS += tests/store/conn_test
tests_store_conn_test_SOURCES = tests/store/conn_test.c
TESTS += tests/store/run_pg.sh
endif
EXTRA_DIST += tests/store/run_pg.sh tests/system/cluster.py
