#!/bin/sh
# unit.sh: the unit is one that systemd takes, and exposes little (at most 1.5).
set -eu
unit=${NUDGED_BUILD:-.}/systemd/nudged.service
[ -e "$unit" ] || { echo "no $unit: skipped"; exit 77; }
command -v systemd-analyze >/dev/null || { echo "no systemd-analyze: skipped"; exit 77; }
out=$(systemd-analyze security --offline=true --no-pager "$unit" 2>&1) || true
level=$(echo "$out" | sed -n 's/.*Overall exposure level for nudged.service: \([0-9.]*\) .*/\1/p')
[ -n "$level" ] || { echo "$out"; echo "systemd-analyze names no exposure level"; exit 1; }
echo "exposure level $level"
awk "BEGIN { exit !($level <= 1.5) }" || { echo "must be at most 1.5"; exit 1; }
for line in Type=notify 'ExecReload=/bin/kill -HUP $MAINPID' WatchdogSec= NoNewPrivileges=yes; do
  grep -q "^$line" "$unit" || { echo "the unit lacks $line"; exit 1; }
done
if grep '@' "$unit" | grep -qv '^SystemCallFilter'; then echo "a variable is left"; exit 1; fi
