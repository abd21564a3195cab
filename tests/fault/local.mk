# tests/fault: the fault suites (tests/fault/README.md); the C programs that they run stand here
EXTRA_DIST += tests/fault/README.md tests/fault/run
EXTRA_DIST += tests/fault/fuzz
EXTRA_DIST += tests/fault/table.py tests/fault/abuse
