#!/bin/sh
# headers.sh SRCDIR: every header compiles alone, and has a guard named after its place.
set -eu
src=${1:-${srcdir:-.}}
build=$(pwd)
cd "$src"
fail=0
flags=$(pkg-config --cflags lua5.4 libpq gmime-3.0 libmosquitto 2>/dev/null || true)
for h in src/*/*.h; do
  guard=$(echo "${h#src/}" | tr 'a-z/.' 'A-Z__')
  head -1 "$h" | grep -qx "#ifndef $guard" || { echo "$h: the guard is not $guard"; fail=1; }
  # shellcheck disable=SC2086
  echo "#include \"${h#src/}\"" | ${CC:-cc} -std=gnu11 -D_GNU_SOURCE -Isrc -I"$build" $flags -Wall -Werror -fsyntax-only -x c - 2>/tmp/headers.$$ ||
    { echo "$h does not compile alone:"; head -3 /tmp/headers.$$; fail=1; }
done
rm -f /tmp/headers.$$
exit $fail
