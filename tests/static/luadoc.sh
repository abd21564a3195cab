#!/bin/sh
# luadoc.sh: nudged-rules(7) has all that rules, tests and templates can name, and every page renders without a warning.
set -eu
src=${1:-${srcdir:-.}}
command -v lua5.4 >/dev/null || { echo "no lua5.4: skipped"; exit 77; }
fail=0
lua5.4 "$src/tests/static/luadoc.lua" "$src" || fail=1
command -v groff >/dev/null || { echo "no groff: pages are not rendered"; exit $fail; }
for page in "$src"/doc/*.[1-8]; do
  said=$(LC_ALL=C.UTF-8 groff -t -man -Tutf8 -ww -rLL=100n "$page" 2>&1 >/dev/null) || fail=1
  if [ -n "$said" ]; then echo "${page##*/}: $said"; fail=1; fi
done
exit $fail
