#!/bin/sh
# The tests of formats, kernels, warp, decoder and programs under the sanitizers: addresses and
# undefined behaviour in build-asan, data races in build-tsan. Needs neither LibTorch nor GStreamer.
#   tests/sanitize.sh [address] [thread]      default: both
set -eu
cd "$(dirname "$0")/.."
[ $# -gt 0 ] || set -- address thread
status=0
for kind in "$@"; do
  case $kind in
    address) build=build-asan sanitizers=address,undefined ;;
    thread) build=build-tsan sanitizers=thread ;;
    *) echo "sanitize.sh: $kind is neither address nor thread" >&2; exit 2 ;;
  esac
  # -O1 keeps lines apart and is quick enough; what is undefined ends the program. Not vptr: the
  # library has no RTTI, in which that looks for types.
  [ -d "$build/meson-info" ] || meson setup "$build" -Doptimization=1 -Ddebug=true \
    -Db_sanitize="$sanitizers" -Db_lundef=false "-Dcpp_args=-fno-sanitize-recover=all -fno-sanitize=vptr" \
    -Dtorch=disabled -Dgst=disabled -Dcuda=disabled -Dbench=disabled -Dtests=enabled >/dev/null
  ninja -C "$build" --quiet
  export ASAN_OPTIONS=detect_stack_use_after_return=1 TSAN_OPTIONS=halt_on_error=1
  meson test -C "$build" --no-rebuild --num-processes 1 --timeout-multiplier 10 \
    --print-errorlogs --no-suite rd || status=1
done
exit $status
