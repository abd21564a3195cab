#!/bin/sh
# metrics.sh SRCDIR: nudged(8) names every metric of the table in src/door/metrics.c, and no other.
set -eu
src=${1:-${srcdir:-.}}
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
grep -oE '\{ "(nudged|process)_[a-z_]+"' "$src/src/door/metrics.c" | cut -d'"' -f2 | sort >"$dir/table"
sed -n '/^\.SH METRICS/,/^\.SH OPTIONS/p' "$src/doc/nudged.8" | grep -oE '^(nudged|process)_[a-z_]+' | sort >"$dir/man"
[ -s "$dir/table" ] || { echo "no metrics in src/door/metrics.c"; exit 1; }
fail=0
for name in $(comm -23 "$dir/table" "$dir/man"); do echo "doc/nudged.8 lacks $name"; fail=1; done
for name in $(comm -13 "$dir/table" "$dir/man"); do echo "doc/nudged.8 has $name, the table has not"; fail=1; done
exit $fail
