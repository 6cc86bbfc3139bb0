#!/bin/bash
# Raw YUV files in, MP4 out: two views with depth of the bundled clip, through GStreamer's
# rawvideoparse, in GOPs of 8 frames.
#   examples/raw-input.sh [OUTPUT]          default: out/raw.mp4
set -euo pipefail
. "$(dirname "$0")/environment.sh"
need_build
output=${1:-$root/out/raw.mp4}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$(dirname "$output")"

pads=()
for v in 0 1; do
  texture=$work/v${v}_texture_256x144_yuv420p.yuv depth=$work/v${v}_depth_256x144_gray16le.yuv
  ffmpeg -v error -i "$clip/v${v}_texture.mkv" -f rawvideo -pix_fmt yuv420p "$texture"
  ffmpeg -v error -i "$clip/v${v}_depth.mkv" -f rawvideo -pix_fmt gray16le "$depth"
  pads+=(filesrc location="$texture" ! rawvideoparse format=i420 width=256 height=144 framerate=30/1 !
    queue ! "enc.texture_$v")
  pads+=(filesrc location="$depth" ! rawvideoparse format=gray16-le width=256 height=144
    framerate=30/1 ! queue ! "enc.depth_$v")
done
gst-launch-1.0 -m -e mvinrenc name=enc gop-size=8 time-budget="${TRAIN_SECONDS:-15}" \
  cameras="$clip/cameras.json" ! mvinrparse ! mp4mux ! filesink location="$output" \
  "${pads[@]}" 2>&1 | show_progress

# The same with the command-line tool; its names of files and cameras.json say the rest.
mvinr-encode --input-dir "$work" --cameras "$clip/cameras.json" --views v0,v1 --gop 8 \
  --time-budget "${TRAIN_SECONDS:-15}" -o "${output%.*}.mvinr"
