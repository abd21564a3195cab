#!/bin/sh
# hardening.sh: the programs are position independent, fully relocated read-only, without an executable stack.
set -eu
fail=0
for program in nudged nudgectl; do
  [ -x "$program" ] || continue
  readelf -h "$program" | grep -q 'Type:.*DYN' || { echo "$program is not position independent"; fail=1; }
  readelf -d "$program" | grep -q 'BIND_NOW' || { echo "$program binds lazily"; fail=1; }
  readelf -lW "$program" | grep -q 'GNU_RELRO' || { echo "$program has no RELRO"; fail=1; }
  if readelf -lW "$program" | grep 'GNU_STACK' | grep -q 'RWE'; then echo "$program has an executable stack"; fail=1; fi
done
exit $fail
