#!/bin/sh
# The tests of formats, kernels, warp, decoder and programs under the sanitizers: addresses and
# undefined behaviour in build-asan, data races in build-tsan, neither with LibTorch nor GStreamer.
# gst: the suite gst with addresses and undefined behaviour in build-asan-gst; TESTS: only these.
#   tests/sanitize.sh [address] [thread] [gst]      default: address thread
#   TESTS=gst-sei tests/sanitize.sh gst
set -eu
cd "$(dirname "$0")/.."
[ $# -gt 0 ] || set -- address thread
status=0
for kind in "$@"; do
  case $kind in
    address) build=build-asan sanitizers=address,undefined ;;
    thread) build=build-tsan sanitizers=thread ;;
    gst) build=build-asan-gst sanitizers=address,undefined ;;
    *) echo "sanitize.sh: $kind is neither address, thread nor gst" >&2; exit 2 ;;
  esac
  gst=disabled selection="--no-suite rd"
  # What GStreamer and its plugins keep is no leak of ours; a plugin cannot be looked at by the
  # scanner, a program without sanitizers.
  [ "$kind" != gst ] || {
    gst=enabled selection="--suite gst ${TESTS:-}"
    export GST_REGISTRY_FORK=no
  }
  # -O1 keeps lines apart and is quick enough; what is undefined ends the program. Not vptr: the
  # library has no RTTI, in which that looks for types.
  [ -d "$build/meson-info" ] || meson setup "$build" -Doptimization=1 -Ddebug=true \
    -Db_sanitize="$sanitizers" -Db_lundef=false "-Dcpp_args=-fno-sanitize-recover=all -fno-sanitize=vptr" \
    -Dtorch=disabled -Dgst=$gst -Dcuda=disabled -Dbench=disabled -Dtests=enabled >/dev/null
  ninja -C "$build" --quiet
  export TSAN_OPTIONS=halt_on_error=1
  export ASAN_OPTIONS=detect_stack_use_after_return=1
  [ "$kind" != gst ] || ASAN_OPTIONS=$ASAN_OPTIONS:detect_leaks=0
  # shellcheck disable=SC2086 # several words
  meson test -C "$build" --no-rebuild --num-processes 1 --timeout-multiplier 10 \
    --print-errorlogs $selection || status=1
done
exit $status
