#!/bin/sh
# Makes tests/fuzz/corpus/sei anew, for a new version of the bitstream: two GOPs of three frames,
# coded by the built elements, as H.264 and H.265, the messages even or all with the first frame,
# behind start codes or lengths. The first byte: see sei() in sei_target.cpp.
#   tests/fuzz/make-sei.sh      BUILD_DIR (default: build) may name another build folder
set -eu
cd "$(dirname "$0")/../.."
build=${BUILD_DIR:-build}
corpus=tests/fuzz/corpus/sei
stream=$(mktemp)
trap 'rm -f "$stream"' EXIT
mkdir -p "$corpus"

source() { # view
  raw="videotestsrc num-buffers=6 pattern=$1 ! video/x-raw,width=64,height=36,framerate=25/1"
  echo "$raw,format=I420 ! e.texture_$1 $raw,format=GRAY16_LE ! e.depth_$1"
}
video() { # encoder, spread
  # shellcheck disable=SC2046 # a pipeline in words
  meson devenv -C "$build" --workdir . gst-launch-1.0 -q -e mvinrenc name=e mode=hybrid \
    base-views=1 base-encoder="$1" gop-size=3 effort=1 time-budget=1 profile=xxs \
    cameras=examples/clip/cameras.json ! mvinrparse \
    ! mvinrseiinsert max-message-bytes=512 spread="$2" ! filesink location="$stream" \
    $(source 0) $(source 1)
}
for codec in h264:x264enc:0 h265:x265enc:1; do
  name=${codec%%:*}
  encoder=${codec#*:}
  encoder=${encoder%:*}
  for spread in true false; do
    video "$encoder" $spread
    { printf "\\00${codec##*:}"; cat "$stream"; } > "$corpus/$name-spread-$spread"
  done
  python3 - "$stream" "$corpus/$name-lengths" "${codec##*:}" <<'PYTHON'
import re, sys
stream, to, codec = sys.argv[1:]
units = [u for u in re.split(b"\x00\x00\x00?\x01", open(stream, "rb").read()) if u]
with open(to, "wb") as file:
    file.write(bytes([6 | int(codec)]))  # four bytes of length
    for unit in units:
        file.write(len(unit).to_bytes(4, "big") + unit)
PYTHON
done
