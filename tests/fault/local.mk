# tests/fault: the fault suites (tests/fault/README.md); the C programs that they run stand here
EXTRA_DIST += tests/fault/README.md tests/fault/run
EXTRA_DIST += tests/fault/table.py tests/fault/abuse
# sim: the deterministic simulator
check_PROGRAMS += tests/fault/sim_run
tests_fault_sim_run_SOURCES = tests/fault/sim.c tests/fault/sim_int.h tests/fault/sim_world.c \
	tests/fault/sim_store.c tests/fault/sim_copy.c tests/fault/sim_daemon.c \
	tests/fault/sim_client.c tests/fault/sim_courier.c tests/fault/sim_judge.c \
	tests/fault/sim_model.c tests/fault/sim_model.h
EXTRA_DIST += tests/fault/sim tests/fault/sim_rules
EXTRA_DIST += tests/fault/fuzz tests/fault/replay tests/fault/planted
# the worlds that crash and many kill, and the checker that compares
EXTRA_DIST += tests/fault/suite.py tests/fault/checker.py tests/fault/world.py tests/fault/crash tests/fault/many
EXTRA_DIST += tests/fault/outage tests/fault/overload tests/fault/flood.c
EXTRA_DIST += tests/fault/bombs tests/fault/torture tests/fault/torture_malloc.c
EXTRA_DIST += tests/fault/static tests/static/analyze.h
