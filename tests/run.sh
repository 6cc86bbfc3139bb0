#!/bin/sh
# All tests, from a fresh Debian 12 machine: installs what is needed, builds, runs every suite and
# the checks of tests/builds.sh. The last line is "N passed, N failed[, N skipped]".
#   tests/run.sh [--quick]      --quick: without the build matrix
# BUILD_DIR (default: build) may name another build folder.
set -eu
cd "$(dirname "$0")/.."
build=${BUILD_DIR:-build}
scripts/install-deps.sh
if [ -d "$build/meson-info" ]; then
  meson configure "$build" -Dwerror=true -Dtests=enabled -Dgst=enabled -Dtorch=enabled
else
  meson setup "$build" -Dwerror=true -Dtests=enabled -Dgst=enabled -Dtorch=enabled
fi
ninja -C "$build"

status=0
rm -f "$build"/meson-logs/testlog.junit.xml "$build"/meson-logs/testlog.json
# One at a time: the suites use all cores themselves, and some of them measure time.
meson test -C "$build" --no-rebuild --num-processes 1 --print-errorlogs || status=1
: >"$build/builds.log"
if [ "${1:-}" != --quick ]; then
  # A pipe would hide the exit status.
  tests/builds.sh "$build" >"$build/builds.log" 2>&1 || status=1
  cat "$build/builds.log"
fi
python3 tests/count.py "$build" || status=1
exit $status
