#!/bin/sh
# The suites kernels and geometry for 64-bit ARM, run by QEMU on any machine: compiles the kernels,
# the warp and their tests with Debian's cross compiler.
#   tests/kernels/neon.sh [FOLDER]      FOLDER (default: build-neon) is for what is compiled
# Debian packages: g++-aarch64-linux-gnu qemu-user googletest
set -eu
cd "$(dirname "$0")/../.."
build=${1:-build-neon}
gtest=/usr/src/googletest/googletest
compiler=${CXX:-aarch64-linux-gnu-g++}
for program in "$compiler" qemu-aarch64; do
  command -v "$program" >/dev/null || {
    echo "neon.sh: $program is missing: apt install g++-aarch64-linux-gnu qemu-user" >&2
    exit 1
  }
done
[ -d "$gtest" ] || { echo "neon.sh: $gtest is missing: apt install googletest" >&2; exit 1; }
mkdir -p "$build"
flags="-std=c++20 -O2 -Wall -Wextra -Werror -Wno-unused-parameter -Wno-missing-field-initializers
  -Wno-psabi -Wno-restrict -Wno-uninitialized -Wno-maybe-uninitialized -ffp-contract=off -pthread
  -DMVINR_NEON_KERNELS -Icodec -Icodec/include -Itests -Itests/kernels -I$gtest/include"
objects=
compile() {  # FILE [FLAGS...]
  file=$1
  shift
  object=$build/$(echo "$file" | tr / _).o
  # shellcheck disable=SC2086 # word splitting is meant
  "$compiler" $flags "$@" -c "$file" -o "$object"
  objects="$objects $object"
}

# shellcheck disable=SC2086 # word splitting is meant, below too
{
  compile $gtest/src/gtest-all.cc -I$gtest -w
  compile $gtest/src/gtest_main.cc
  test_main=$objects
  compile codec/kernels/neondot.cpp -O3 -march=armv8.2-a+dotprod
  for file in codec/kernels/dispatch.cpp codec/kernels/reference.cpp tests/kernels/cases.cpp \
      tests/kernels/kernels_test.cpp; do
    compile $file
  done
  "$compiler" -static -pthread $objects -o "$build/kernels-test"

  # Of geometry the rows: the other tests need an MD5 library.
  objects=$test_main
  for file in interpolate merge rows sample splat fill; do
    compile codec/geometry/$file.cpp -O3 -fno-trapping-math -fno-math-errno
  done
  for file in codec/geometry/output.cpp codec/geometry/prepare.cpp codec/geometry/view_map.cpp \
      codec/geometry/warp.cpp codec/base/thread_pool.cpp codec/base/error.cpp \
      tests/geometry/rows_test.cpp; do
    compile $file
  done
  "$compiler" -static -pthread $objects -o "$build/geometry-test"
}
qemu-aarch64 -cpu max "$build/kernels-test"
qemu-aarch64 -cpu max "$build/geometry-test"
