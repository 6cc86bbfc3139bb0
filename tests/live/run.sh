#!/bin/sh
# A long live run of mvinrenc with strict limits: latency and PSNR per GOP, drift, drops.
#   tests/live/run.sh [SECONDS [MODE]]      default: 300 seconds of each mode (implicit, hybrid)
# BUILD_DIR (default: build) may name another build folder.
set -eu
cd "$(dirname "$0")/../.."
build=${BUILD_DIR:-build}
ninja -C "$build" tests/live/live-tests gst/mvinr/libgstmvinr.so gst/mvinrenc/libgstmvinrenc.so >/dev/null
MVINR_LIVE=${1:-300} exec meson devenv -C "$build" \
  tests/live/live-tests --gtest_filter="*/${2:-*}"
