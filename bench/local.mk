# bench: load programs; built on demand (make bench/load bench/limit)
EXTRA_PROGRAMS = bench/load bench/limit
bench_load_SOURCES = bench/load.c
bench_limit_SOURCES = bench/limit.c
EXTRA_DIST += bench/README.md bench/run bench/build.py bench/rows.py bench/stand.py bench/intake.py bench/quiet.py \
	bench/peers bench/rules/bench.lua bench/templates/bench.en.html
