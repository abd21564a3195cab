# tests/fuzz: libFuzzer programs, built by `configure CC=clang-14 CXX=clang++-14 --enable-fuzzers --enable-sanitizers`;
# tests/fault/fuzz builds and runs them, by hand: `tests/fuzz/json_fuzz -max_total_time=60`
if FUZZERS
noinst_PROGRAMS += tests/fuzz/card_fuzz tests/fuzz/envelope_fuzz tests/fuzz/http_fuzz tests/fuzz/json_fuzz \
	tests/fuzz/lint_fuzz tests/fuzz/liquid_fuzz tests/fuzz/mqtt_fuzz tests/fuzz/rule_fuzz
tests_fuzz_card_fuzz_SOURCES = tests/fuzz/card_fuzz.c
tests_fuzz_card_fuzz_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
tests_fuzz_envelope_fuzz_SOURCES = tests/fuzz/envelope_fuzz.c
tests_fuzz_envelope_fuzz_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
tests_fuzz_http_fuzz_SOURCES = tests/fuzz/http_fuzz.c
tests_fuzz_http_fuzz_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
tests_fuzz_json_fuzz_SOURCES = tests/fuzz/json_fuzz.c
tests_fuzz_json_fuzz_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
tests_fuzz_lint_fuzz_SOURCES = tests/fuzz/lint_fuzz.c
tests_fuzz_lint_fuzz_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
tests_fuzz_liquid_fuzz_SOURCES = tests/fuzz/liquid_fuzz.c
tests_fuzz_liquid_fuzz_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
tests_fuzz_mqtt_fuzz_SOURCES = tests/fuzz/mqtt_fuzz.c
tests_fuzz_mqtt_fuzz_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
tests_fuzz_rule_fuzz_SOURCES = tests/fuzz/rule_fuzz.c
tests_fuzz_rule_fuzz_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
endif
EXTRA_DIST += tests/fuzz/corpus tests/fuzz/words
