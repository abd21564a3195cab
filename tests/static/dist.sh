#!/bin/sh
# dist.sh SRCDIR: every source file stands in a local.mk, so that it is built and goes into the tarball.
set -eu
src=${1:-${srcdir:-.}}
cd "$src"
fail=0
lists=$(ls Makefile.am src/*/local.mk tests/local.mk tests/*/local.mk */local.mk | sort -u)
for f in $(find src sql rules templates lua demo doc etc systemd tests bench tools -type f ! -name 'local.mk' ! -name '*.pyc' ! -name '.*' 2>/dev/null | sort); do
  case $f in *.orig | *.rej | */__pycache__/*) continue ;; esac
  found=no part=$f
  while [ "$part" != . ]; do
    grep -qE "(^|[[:space:]])$part([[:space:]]|\$|/?\\\\)" $lists && found=yes && break
    part=$(dirname "$part")
  done
  [ $found = yes ] && continue
  echo "$f stands in no local.mk"; fail=1
done
exit $fail
