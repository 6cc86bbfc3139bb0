#!/bin/sh
# Checks the build itself: every combination of features compiles, the libraries need what they may
# need, an installation works. Prints "ok NAME" or "not ok NAME" for each check.
#   tests/builds.sh BUILD_DIR      BUILD_DIR: the full build, already compiled
set -u
root=$(cd "$(dirname "$0")/.." && pwd)
build=$(cd "${1:?usage: tests/builds.sh BUILD_DIR}" && pwd)
work=$(mktemp -d "${TMPDIR:-/tmp}/mvinr-builds.XXXXXX")
matrix=$root/build-matrix  # beside the ordinary build, so that ccache knows the commands
trap 'rm -rf "$work" "$matrix"' EXIT
failures=0

# check NAME COMMAND...: runs it, shows its output only if it fails.
check() {
  name=$1
  shift
  if "$@" >"$work/log" 2>&1; then
    echo "ok $name"
  else
    tail -40 "$work/log" | sed 's/^/  | /'
    echo "not ok $name"
    failures=$((failures + 1))
  fi
}

builds_with() {  # options of meson; then checks with `sh -c "$1"` in the build folder
  expectation=$1
  shift
  rm -rf "$matrix"
  meson setup "$matrix" "$root" -Dtests=disabled -Dbench=disabled "$@" && ninja -C "$matrix" &&
    (cd "$matrix" && sh -exc "$expectation")
}

needs_no_torch() {  # FILE
  [ -f "$1" ] || { echo "$1 is not there"; return 1; }
  ! readelf -d "$1" | grep -E 'NEEDED.*(torch|c10|libcu)' || return 1
  ldd "$1" | grep -E 'torch|c10' && return 1
  return 0
}

exports_only_the_api() {  # FILE: every exported name of ours is declared in the public headers
  names=$(nm -DC --defined-only "$1" |
    sed -n 's/^[0-9a-f]* [A-Za-z] mvinr::\([A-Za-z_0-9]*\).*/\1/p' | sort -u)
  [ -n "$names" ] || return 1
  for exported in $names; do
    grep -qw "$exported" "$root"/codec/include/mvinr/*.h || { echo "exports $exported"; return 1; }
  done
}

has_cuda_architectures() {  # FILE
  cuobjdump=$(command -v cuobjdump || echo /usr/local/cuda/bin/cuobjdump)
  "$cuobjdump" --list-elf --list-ptx "$1" >"$work/cuda" || return 1
  cat "$work/cuda"
  for kind in sm_80.cubin sm_90.cubin sm_90.ptx; do grep -q "$kind" "$work/cuda" || return 1; done
}

installs() {
  DESTDIR=$work/root meson install -C "$build" --no-rebuild --quiet || return 1
  prefix=$(meson introspect "$build" --buildoptions |
    python3 -c 'import json,sys; print(next(o["value"] for o in json.load(sys.stdin) if o["name"] == "prefix"))')
  top=$work/root$prefix
  libdir=$(dirname "$(find "$top" -name libmvinr.so)") || return 1
  "$top/bin/mvinr-info" --help && "$top/bin/mvinr-decode" --help &&
    "$top/bin/mvinr-warp" --help || return 1
  [ ! -f "$build/codec/tools/mvinr-encode" ] || "$top/bin/mvinr-encode" --help || return 1
  if [ -d "$libdir/gstreamer-1.0" ]; then
    for element in mvinrdec mvinrparse $([ ! -f "$build/gst/mvinrenc/libgstmvinrenc.so" ] || echo mvinrenc); do
      GST_PLUGIN_PATH=$libdir/gstreamer-1.0 GST_REGISTRY=$work/registry \
        gst-inspect-1.0 "$element" >/dev/null || return 1
    done
  fi
  cat >"$work/program.cpp" <<'PROGRAM'
#include <mvinr/decoder.h>
int main() {
  std::puts(mvinr::available_kernels().front().c_str());
  auto decoder = mvinr::Decoder::create({});
  return decoder && !(*decoder)->start_gop(mvinr::Bytes{}) ? 0 : 1;
}
PROGRAM
  # Not exported: the builds that follow must not see it.
  installed() { PKG_CONFIG_SYSROOT_DIR="$work/root" PKG_CONFIG_PATH="$libdir/pkgconfig" pkg-config "$@"; }
  # shellcheck disable=SC2046 # word splitting is meant
  c++ "$work/program.cpp" -o "$work/program" $(installed --cflags --libs mvinr) || return 1
  [ "$(LD_LIBRARY_PATH=$libdir "$work/program")" = reference ] || return 1
  if [ -f "$libdir/pkgconfig/mvinr-encoder.pc" ]; then
    cat >"$work/encoder.cpp" <<'PROGRAM'
#include <mvinr/encoder.h>
int main() { return mvinr::Encoder::create({}, {}) ? 1 : 0; }
PROGRAM
    # shellcheck disable=SC2046
    c++ "$work/encoder.cpp" -o "$work/encoder" $(installed --cflags --libs mvinr-encoder) || return 1
    LD_LIBRARY_PATH=$libdir "$work/encoder" || return 1
  fi
}

check "include rules" python3 "$root/tests/include_check.py"
check "libmvinr.so needs no LibTorch" needs_no_torch "$build/codec/libmvinr.so"
check "libmvinr.so exports only the API" exports_only_the_api "$build/codec/libmvinr.so"
if [ -f "$build/codec/libmvinr-encoder.so" ]; then
  check "libmvinr-encoder.so exports only the API" exports_only_the_api \
    "$build/codec/libmvinr-encoder.so"
fi
if [ -d "$build/gst/mvinr" ]; then
  check "libgstmvinr.so needs no LibTorch" needs_no_torch "$build/gst/mvinr/libgstmvinr.so"
fi
check "installation works" installs
if grep -q cudaMalloc "$build/codec/libmvinr.so" &&
  { command -v cuobjdump || [ -x /usr/local/cuda/bin/cuobjdump ]; } >/dev/null; then
  check "libmvinr.so has kernels for sm_80, sm_90 and later" \
    has_cuda_architectures "$build/codec/libmvinr.so"
fi

check "build of the decoder alone" builds_with \
  'test -x codec/tools/mvinr-decode && test ! -e gst/mvinr && test ! -e codec/libmvinr-encoder.so' \
  -Dtorch=disabled -Dgst=disabled -Dcuda=disabled
check "build without LibTorch" builds_with \
  'test -e gst/mvinr/libgstmvinr.so && test ! -e codec/libmvinr-encoder.so' -Dtorch=disabled
if [ -f "$build/codec/libmvinr-encoder.so" ]; then
  check "build without GStreamer" builds_with \
    'test -x codec/tools/mvinr-encode && test ! -e gst/mvinr' -Dgst=disabled -Dtorch=enabled
fi
check "build without CUDA" builds_with 'codec/tools/mvinr-info --version' \
  -Dcuda=disabled -Dtorch=disabled
[ "$failures" = 0 ]
