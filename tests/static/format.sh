#!/bin/sh
# format.sh SRCDIR: C sources stand as .clang-format says.
set -eu
src=${1:-${srcdir:-.}}
tool=$(command -v clang-format-14 || command -v clang-format || true)
[ -n "$tool" ] || { echo "clang-format is missing; on Debian: apt-get install clang-format-14"; exit 77; }
cd "$src"
# shellcheck disable=SC2046
"$tool" --dry-run -Werror $(find src tests bench -name '*.c' -o -name '*.h' -o -name '*.cc')
