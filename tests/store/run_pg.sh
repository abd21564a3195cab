#!/bin/sh
# Runs the programs that need a real Postgres, each on a private cluster of its own.
# Skips (77) when there is no Postgres or no Python; called by `make check` in the build directory.
srcdir=${srcdir:-.}
python=/usr/bin/python3
[ -x "$python" ] || python=$(command -v python3) || exit 77
NUDGED_SQL_DIR=$(cd "$srcdir/sql" && pwd) || exit 1
export NUDGED_SQL_DIR
for program in ${*:-tests/store/conn_test tests/store/pg_test tests/store/join_race}; do
	"$python" -B "$srcdir/tests/system/cluster.py" "./$program" || exit $?
done
