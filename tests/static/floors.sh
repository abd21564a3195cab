#!/bin/sh
# floors.sh SRCDIR: floors include downwards only; each foreign library has its one owner.
set -eu
src=${1:-${srcdir:-.}}
cd "$src"
fail=0

rank() {
  case $1 in
    base) echo 0 ;; model) echo 1 ;; engine) echo 2 ;; db) echo 3 ;; store) echo 4 ;;
    intake) echo 5 ;; door | courier) echo 6 ;; main) echo 7 ;; *) echo "" ;;
  esac
}

for file in src/*/*.c src/*/*.h src/*/*.cc; do
  [ -e "$file" ] || continue
  floor=${file#src/}; floor=${floor%%/*}
  own=$(rank "$floor")
  for inc in $(sed -n 's/^#[ ]*include "\([a-z_]*\)\/[^"]*".*/\1/p' "$file" | sort -u); do
    other=$(rank "$inc")
    [ -n "$other" ] || continue
    if [ "$other" -gt "$own" ] || { [ "$other" = "$own" ] && [ "$inc" != "$floor" ]; }; then
      echo "$file: includes $inc/, which is not below $floor/"; fail=1
    fi
  done
done

# pure floors: no clock, no random, no processes, no loop, no database
for what in base/now.h base/loop.h base/proc.h base/conf.h base/notify.h base/heart.h; do
  grep -n "#include \"$what\"" src/engine/*.[ch] src/model/*.[ch] && { echo "engine/ and model/ are pure: no $what"; fail=1; }
done
grep -nE '\b(time|gettimeofday|clock_gettime|rand|random|getenv)\(' src/engine/*.c src/model/*.c &&
  { echo "engine/ and model/ are pure: no clock, no random, no environment"; fail=1; }
grep -nE '\bhash_random\(' src/engine/*.c src/model/*.c && { echo "engine/ makes no random bytes"; fail=1; }

# owner HEADER-PATTERN FILE-PATTERN...: only these files may include such a header
owner() {
  pattern=$1; shift
  for file in $(grep -lE "#[ ]*include <($pattern)" src/*/*.c src/*/*.h src/*/*.cc 2>/dev/null); do
    ok=0
    for allowed in "$@"; do
      # shellcheck disable=SC2254
      case $file in $allowed) ok=1 ;; esac
    done
    [ $ok = 1 ] || { echo "$file: <$pattern> belongs to $*"; fail=1; }
  done
}
owner 'libpq-fe\.h|postgresql/' 'src/db/*'
owner 'lua\.h|lauxlib\.h|lualib\.h' 'src/engine/*' 'src/main/rule_test*' 'src/door/hooks*' 'src/courier/*_http*'
owner 'libesmtp\.h|auth-client\.h|auth-plugin\.h' 'src/courier/mail*'
owner 'gmime/' 'src/courier/mime*'
owner 'mosquitto\.h|mqtt_protocol\.h' 'src/door/mqtt*' 'src/courier/mqttout*'
owner 'event2/|event\.h' 'src/base/loop*'
owner 'openssl/' 'src/base/hash*' 'src/courier/mail*'
owner 'unicode/' 'src/engine/format*' 'src/engine/liquid*'
owner 'ini\.h' 'src/base/conf*'
owner 'phonenumbers/' 'src/base/phone*'
owner 'zlib\.h' 'src/door/*'

# blocking libpq calls stand in one room (PITFALLS: a turn of the loop never waits)
grep -nE '\bPQ(exec|execParams|execPrepared|prepare|connectdb|connectdbParams|reset|cancel)\(' src/*/*.c |
  grep -v '^src/db/block' && { echo "blocking libpq calls belong to db/block"; fail=1; }
grep -nE '\b(strcpy|strcat|sprintf|gets|alloca|vsprintf)\(' src/*/*.c src/*/*.h | grep -vE ':[[:space:]]*(/\*|\*)' &&
  { echo "unbounded string functions are not used"; fail=1; }
exit $fail
