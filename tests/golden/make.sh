#!/bin/sh
# Makes the golden streams anew, from the bundled clip, with the real encoder, and their MD5 with the
# reference kernels. Only after an intended change of the bitstream: the point of these files is
# that they do not change.
#   tests/golden/make.sh BUILD_FOLDER [NAME]
set -eu
build=$(cd "${1:?build folder}" && pwd)
only=${2:-}
here=$(cd "$(dirname "$0")" && pwd)
clip=$here/../../examples/clip
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# raw VIEW COMPONENT SIZE FORMAT FRAMES: a raw file of the bundled clip at another size and depth.
raw() {
  ffmpeg -nostdin -v error -y -i "$clip/v$1_$2.mkv" -frames:v "$5" \
    -vf "scale=$(echo "$3" | tr x :):flags=area+accurate_rnd+bitexact" -f rawvideo -pix_fmt "$4" \
    "$work/v$1_$2.yuv"
}

# stream NAME PROFILE SIZE TEXTURE_FORMAT DEPTH_FORMAT VIEWS FRAMES GOP LAMBDA PRUNE
stream() {
  name=$1 profile=$2 size=$3 texture=$4 depth=$5 views=$6 frames=$7 gop=$8 lambda=$9
  shift 9
  prune=$1
  [ -z "$only" ] || [ "$only" = "$name" ] || return 0
  set -- --size "$size" --fps 30 --texture-format "$texture"
  for v in $views; do
    raw "$v" texture "$size" "$texture" "$frames"
    set -- "$@" --texture "$work/v${v}_texture.yuv"
    [ "$depth" = none ] && continue
    raw "$v" depth "$size" "$depth" "$frames"
    set -- "$@" --depth "$work/v${v}_depth.yuv"
  done
  if [ "$depth" = none ]; then set -- "$@" --no-depth; else set -- "$@" --depth-format "$depth"; fi
  "$build/codec/tools/mvinr-encode" "$@" --frames "$frames" --gop "$gop" --profile "$profile" \
    --device cpu --seed 1 --lambda "$lambda" --prune "$prune" --time-budget "${seconds:-25}" --quiet \
    -o "$here/$name.mvinr"
  "$build/codec/tools/mvinr-decode" "$here/$name.mvinr" --kernels reference --quiet \
    --md5-pictures > "$here/$name.md5"
  ls -l "$here/$name.mvinr"
}

stream xxs-two-gops xxs 96x54 yuv420p gray16le "0 1 2" 8 4 0.02 0
stream xs-10-bit-odd xs 75x43 yuv420p10le gray10le "0 3" 6 6 0.08 0
stream s-texture-only s 64x36 yuv420p none "1" 4 4 0.06 0.6
stream mv-hinerv-xxs mv-hinerv-xxs 64x36 yuv420p gray "0 2" 4 4 0.04 0.15

if [ -z "$only" ] || [ "${only%-random}" != "$only" ] || [ "$only" = hybrid-moving ]; then
  ninja -C "$build" tests/golden/golden-hybrid > /dev/null
  "$build/tests/golden/golden-hybrid" "$here"
fi
