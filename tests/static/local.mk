TESTS += tests/static/dist.sh tests/static/floors.sh tests/static/headers.sh tests/static/hardening.sh
EXTRA_DIST += tests/static/dist.sh tests/static/floors.sh tests/static/headers.sh tests/static/hardening.sh tests/static/format.sh
TESTS += tests/static/options.sh tests/static/unit.sh
EXTRA_DIST += tests/static/options.sh tests/static/unit.sh
TESTS += tests/static/ctl.sh
EXTRA_DIST += tests/static/ctl.sh
TESTS += tests/static/luadoc.sh
EXTRA_DIST += tests/static/luadoc.sh tests/static/luadoc.lua
