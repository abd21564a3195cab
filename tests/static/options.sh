#!/bin/sh
# options.sh SRCDIR: nudged.conf(5) and etc/nudged.conf name every option of the table with its default,
# and nothing else.  The table speaks through "nudged --show-config --defaults" ($NUDGED_BUILD/nudged).
set -eu
src=${1:-${srcdir:-.}}
nudged=${NUDGED_BUILD:-.}/nudged
[ -x "$nudged" ] || { echo "no $nudged: skipped"; exit 77; }
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

# each becomes lines "[section] key = default", sorted; a missing default leaves "key ="
"$nudged" --show-config --defaults >"$dir/out"
conf=$(sed -n 's|^rules = \(.*\)/rules$|\1|p' "$dir/out")
awk '/^#/ { next } /^\[/ { section = $0; next } / =/ { print section " " $0 }' "$dir/out" |
  sed "s|$conf|/etc/nudged|" | sort >"$dir/table"
sed -n 's/\\-/-/g; s/\\e/\\/g; s/^\.SH "\(\[.*\]\)"$/\1/p; s/^\.B "\([a-z_]* =.*\)"$/\1/p' \
  "$src/doc/nudged.conf.5" |
  awk '/^\[/ { section = $0; next } { print section " " $0 }' | sort >"$dir/man"
sed -n 's/^#\{0,1\}\(\[.*\]\)$/\1/p; s/^#\{0,1\}\([a-z_]* =.*\)$/\1/p' "$src/etc/nudged.conf" |
  awk '/^\[/ { section = $0; next } { print section " " $0 }' | sort >"$dir/sample"

fail=0
[ -s "$dir/table" ] || { echo "nudged shows no options"; exit 1; }
for what in man sample; do
  case $what in man) name=doc/nudged.conf.5 ;; *) name=etc/nudged.conf ;; esac
  for line in $(comm -23 "$dir/table" "$dir/$what" | tr ' ' '~'); do
    echo "$name lacks: $(echo "$line" | tr '~' ' ')"; fail=1
  done
  for line in $(comm -13 "$dir/table" "$dir/$what" | tr ' ' '~'); do
    echo "$name has what the table has not: $(echo "$line" | tr '~' ' ')"; fail=1
  done
done

# the sample must be a good configuration as it is
"$nudged" --config "$src/etc/nudged.conf" --show-config >/dev/null || fail=1
# and with everything in it switched on, so that no commented line is wrong
sed 's/^#\(\[.*\]\)$/\1/; s/^#\([a-z_]* =.*\)$/\1/' "$src/etc/nudged.conf" |
  sed 's/^\[\([a-z]*\) NAME\]$/[\1 sample-\1]/' >"$dir/all.conf"
"$nudged" --config "$dir/all.conf" --show-config >/dev/null || fail=1
exit $fail
