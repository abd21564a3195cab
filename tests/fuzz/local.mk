# tests/fuzz: libFuzzer programs, built by `configure CC=clang CXX=clang++ --enable-fuzzers`, run
# by hand: `tests/fuzz/json_fuzz -max_total_time=60`
if FUZZERS
noinst_PROGRAMS += tests/fuzz/json_fuzz
tests_fuzz_json_fuzz_SOURCES = tests/fuzz/json_fuzz.c
tests_fuzz_json_fuzz_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
noinst_PROGRAMS += tests/fuzz/http_fuzz
tests_fuzz_http_fuzz_SOURCES = tests/fuzz/http_fuzz.c
tests_fuzz_http_fuzz_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
endif
if FUZZERS
noinst_PROGRAMS += tests/fuzz/liquid_fuzz
tests_fuzz_liquid_fuzz_SOURCES = tests/fuzz/liquid_fuzz.c
tests_fuzz_liquid_fuzz_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
noinst_PROGRAMS += tests/fuzz/envelope_fuzz
tests_fuzz_envelope_fuzz_SOURCES = tests/fuzz/envelope_fuzz.c
tests_fuzz_envelope_fuzz_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
noinst_PROGRAMS += tests/fuzz/card_fuzz
tests_fuzz_card_fuzz_SOURCES = tests/fuzz/card_fuzz.c
tests_fuzz_card_fuzz_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
noinst_PROGRAMS += tests/fuzz/lint_fuzz
tests_fuzz_lint_fuzz_SOURCES = tests/fuzz/lint_fuzz.c
tests_fuzz_lint_fuzz_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
endif
