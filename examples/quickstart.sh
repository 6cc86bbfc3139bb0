#!/bin/bash
# The main job in one command, on a fresh Debian 12 machine: installs what is needed, builds, encodes
# the bundled clip (4 views with depth) to an MP4 file through GStreamer, decodes it again, prints
# PSNR and size, and draws source, decoded and difference of every view.
#   examples/quickstart.sh [OUTPUT_DIR]       default: out
# TRAIN_SECONDS (150) is how long the network trains; more is better.
set -euo pipefail
. "$(dirname "$0")/environment.sh"
out=${1:-$root/out}
train_seconds=${TRAIN_SECONDS:-150}
views="0 1 2 3"
frames=32 width=256 height=144

echo "== 1/5 dependencies"
"$root/scripts/install-deps.sh"

echo "== 2/5 build"
[ -d "$build/meson-info" ] || meson setup "$build" "$root" -Dtests=disabled -Dbench=disabled >/dev/null ||
  { tail -30 "$build/meson-logs/meson-log.txt" >&2; exit 1; }
ninja -C "$build" --quiet
need_build

mkdir -p "$out"
echo "== 3/5 encode $frames frames of 4 views with depth: $train_seconds s of training"
pads=()
for v in $views; do
  for component in texture depth; do
    pads+=(filesrc "location=$clip/v${v}_$component.mkv" ! matroskademux ! avdec_ffv1 ! queue !
      "enc.${component}_$v")
  done
done
gst-launch-1.0 -m -e mvinrenc name=enc gop-size=$frames time-budget="$train_seconds" \
  cameras="$clip/cameras.json" ! mvinrparse ! mp4mux ! filesink location="$out/out.mp4" \
  "${pads[@]}" 2>&1 | show_progress

echo "== 4/5 decode"
sinks=()
for v in $views; do
  sinks+=("dec.texture_$v" ! queue ! filesink location="$out/v${v}_texture_${width}x${height}_yuv420p.yuv"
    "dec.depth_$v" ! queue ! filesink location="$out/v${v}_depth_${width}x${height}_gray16le.yuv")
done
gst-launch-1.0 -q filesrc location="$out/out.mp4" ! qtdemux ! mvinrparse ! mvinrdec name=dec "${sinks[@]}"

echo "== 5/5 measure"
raw_input() {  # COMPONENT VIEW: FFmpeg's options that read the decoded file
  local format=yuv420p
  [ "$1" = texture ] || format=gray16le
  printf '%s ' -f rawvideo -pix_fmt $format -video_size ${width}x$height -framerate 30 \
    -i "$out/v${2}_${1}_${width}x${height}_$format.yuv"
}
psnr() {  # COMPONENT VIEW FIELD...: PSNR of the decoded file, by FFmpeg
  local log field component=$1 view=$2
  # shellcheck disable=SC2046 # word splitting is meant
  log=$(ffmpeg -hide_banner -nostats $(raw_input "$component" "$view") \
    -i "$clip/v${view}_$component.mkv" -lavfi '[0][1]psnr' -f null - 2>&1 | grep 'PSNR y:')
  for field in "${@:3}"; do
    [[ $log =~ (^|[ ])$field:([0-9.a-z]+) ]] && printf '%9.2f' "${BASH_REMATCH[2]}"
  done
}
printf '%-6s%9s%9s%9s%10s   (PSNR in dB over all frames, by FFmpeg)\n' view Y U V depth
for v in $views; do
  printf 'v%-5s%s %s\n' "$v" "$(psnr texture "$v" y u v)" "$(psnr depth "$v" y)"
done
bytes=$(stat -c %s "$out/out.mp4")
echo "out.mp4: $bytes bytes for $frames frames of 4 views with depth," \
  "$((8 * bytes * 30 / frames / 1000)) kbit/s"
# The plain reference kernels must give the same pictures.
sinks=()
for v in $views; do
  for component in texture depth; do
    sinks+=("dec.${component}_$v" ! queue ! filesink "location=$out/reference_v${v}_$component.yuv")
  done
done
gst-launch-1.0 -q filesrc location="$out/out.mp4" ! qtdemux ! mvinrparse ! \
  mvinrdec name=dec kernels=reference "${sinks[@]}"
for v in $views; do
  for component in texture depth; do
    cmp "$out/reference_v${v}_$component.yuv" "$out/v${v}_${component}"_*.yuv
    rm "$out/reference_v${v}_$component.yuv"
  done
done
echo "the reference kernels and the fast ones give the same pictures, bit for bit"

# One row per view: source, decoded, difference x 4 of texture, then of depth.
inputs=() graph= rows= i=0
for v in $views; do
  for component in texture depth; do
    # shellcheck disable=SC2207
    inputs+=(-i "$clip/v${v}_$component.mkv" $(raw_input $component "$v"))
    graph+="[$i]select=eq(n\\,16),format=gbrp,split[s$i][t$i];"
    graph+="[$((i + 1))]select=eq(n\\,16),format=gbrp,split[d$i][e$i];"
    graph+="[t$i][e$i]blend=all_mode=difference,lutrgb=r=4*val:g=4*val:b=4*val[x$i];"
    rows+="[s$i][d$i][x$i]"
    i=$((i + 2))
  done
done
ffmpeg -v error -y "${inputs[@]}" -filter_complex \
  "$graph${rows}xstack=inputs=24:grid=6x4[sheet]" -map '[sheet]' -frames:v 1 "$out/sheet.png"
echo "$out/sheet.png: frame 16; per view (row): texture source, decoded, difference x 4; depth likewise"
