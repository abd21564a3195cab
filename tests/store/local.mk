# tests/store: what needs a real Postgres, and the cases that both makers of a store must pass
if HAVE_CMOCKA
check_PROGRAMS += tests/store/conn_test tests/store/pg_test tests/store/mem_test tests/store/join_race
tests_store_join_race_SOURCES = tests/store/join_race.c
tests_store_conn_test_SOURCES = tests/store/conn_test.c
tests_store_pg_test_SOURCES = tests/store/pg_test.c tests/store/cases.c tests/store/cases.h
tests_store_mem_test_SOURCES = tests/store/mem_test.c tests/store/cases.c tests/store/cases.h
TESTS += tests/store/mem_test tests/store/run_pg.sh
endif
EXTRA_DIST += tests/store/run_pg.sh tests/system/cluster.py
