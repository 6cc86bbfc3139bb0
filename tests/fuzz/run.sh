#!/bin/sh
# Builds the fuzzers with clang, address and undefined-behaviour sanitizers, and runs all of them at
# once. Finds are left in tests/fuzz/finds/TARGET: commit each together with its fix.
#   tests/fuzz/run.sh [SECONDS] [TARGET...]     default: 600 seconds, all targets
# The target sei needs GStreamer's headers (scripts/install-deps.sh).
set -eu
cd "$(dirname "$0")/../.."
seconds=${1:-600}
[ $# = 0 ] || shift
[ $# -gt 0 ] || set -- header access_unit units cameras kernels sei
build=${FUZZ_BUILD_DIR:-build-fuzz}
cxx=${FUZZ_CXX:-$(command -v clang++ || command -v clang++-14 || true)}
[ -n "$cxx" ] || { echo "run.sh: needs clang++ (apt-get install clang)" >&2; exit 1; }
[ -d "$build/meson-info" ] || CXX=$cxx meson setup "$build" -Dfuzz=true -Dtorch=disabled \
  -Dcuda=disabled -Dbench=disabled -Dmatroska=disabled --buildtype=debugoptimized \
  -Db_sanitize=address,undefined -Db_lundef=false
programs=tests/fuzz/fuzz-seeds
for target in "$@"; do programs="$programs tests/fuzz/fuzz-$target"; done
# shellcheck disable=SC2086 # a list of targets
ninja -C "$build" $programs

pids=
for target in "$@"; do
  corpus=$build/fuzz-corpus/$target  # grows from run to run; only finds are kept in git
  mkdir -p "$corpus" "tests/fuzz/finds/$target"
  if [ -d "tests/fuzz/corpus/$target" ]; then cp "tests/fuzz/corpus/$target"/* "$corpus"; fi
  options=-max_len=40000
  case $target in
    cameras)
      cp examples/clip/cameras.json "$corpus"
      options="-max_len=8192 -dict=tests/fuzz/cameras.dict" ;;
    kernels) options=-max_len=128 ;;
    sei) ;;
    *)
      "$build/tests/fuzz/fuzz-seeds" "$corpus"
      cp tests/golden/*.mvinr "$corpus" ;;
  esac
  # shellcheck disable=SC2086 # several options
  UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1 nice -n 15 "$build/tests/fuzz/fuzz-$target" \
    -fork=1 -ignore_crashes=1 -ignore_timeouts=1 -timeout=30 -rss_limit_mb=2048 \
    -max_total_time="$seconds" $options -artifact_prefix="tests/fuzz/finds/$target/" "$corpus" \
    > "$build/fuzz-$target.log" 2>&1 &
  pids="$pids $!"
done
# shellcheck disable=SC2064 # these processes and no others
trap "kill $pids 2>/dev/null || true" INT TERM
wait || true

for target in "$@"; do
  printf '%-12s %s\n' "$target" "$(grep '^#[0-9]' "$build/fuzz-$target.log" | tail -n 1)"
  rmdir "tests/fuzz/finds/$target" 2>/dev/null || true
done
rmdir tests/fuzz/finds 2>/dev/null || exit 1  # something was found
