# bench: load programs; built on demand (make bench/load)
EXTRA_PROGRAMS = bench/load
bench_load_SOURCES = bench/load.c
EXTRA_DIST += bench/README.md bench/run bench/rules/bench.lua
