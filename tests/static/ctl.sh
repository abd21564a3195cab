#!/bin/sh
# ctl.sh SRCDIR: nudgectl(1) has a paragraph for every command of nudgectl and names each of its options, and has
# no paragraph for anything else.  The table speaks through "nudgectl --help" ($NUDGED_BUILD/nudgectl).
set -eu
src=${1:-${srcdir:-.}}
ctl=${NUDGED_BUILD:-.}/nudgectl
[ -x "$ctl" ] || { echo "no $ctl: skipped"; exit 77; }
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
fail=0

"$ctl" --help >"$dir/help"
sed -n 's/^  \([a-z][a-z]*\) .*/\1/p' "$dir/help" | sort >"$dir/table"
[ -s "$dir/table" ] || { echo "nudgectl --help lists no commands"; exit 1; }

# the page as a reader sees it: no fonts, no escapes
sed 's/\\f[A-Z]//g; s/\\-/-/g; s/"//g' "$src/doc/nudgectl.1" >"$dir/page"
# the paragraphs of the chapters between OPTIONS and EXIT STATUS, and their first words
awk '/^\.SH/ { on = !/NAME|SYNOPSIS|DESCRIPTION|OPTIONS|EXIT|EXAMPLES|ENVIRONMENT|SEE/; next }
     on && /^\.TP/ { getline; sub(/^\.[A-Z]* /, ""); print $1 }' "$dir/page" | sort >"$dir/man"

for command in $(comm -23 "$dir/table" "$dir/man"); do
  echo "doc/nudgectl.1 has no paragraph for: $command"; fail=1
done
for command in $(comm -13 "$dir/table" "$dir/man"); do
  echo "doc/nudgectl.1 describes what nudgectl has not: $command"; fail=1
done
for option in $(grep -o -e '--[a-z][a-z-]*' "$dir/help" | sort -u); do
  grep -q -e "$option" "$dir/page" || { echo "doc/nudgectl.1 does not name $option"; fail=1; }
done
if command -v man >/dev/null; then
  warnings=$(MANWIDTH=80 man --warnings -E UTF-8 -l -Tutf8 -Z "$src/doc/nudgectl.1" 2>&1 >/dev/null) || true
  [ -z "$warnings" ] || { echo "$warnings"; fail=1; }
fi
exit $fail
