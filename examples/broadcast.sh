#!/bin/bash
# Sends a scene where only ordinary video goes: as H.264 or H.265 that any player shows (the base
# view), with all views inside (docs/sei.md).
#   examples/broadcast.sh [IN] [OUT]      IN: hybrid MV-INR (.mp4, .mov, .mvinr); default: a short
#                                         encoding of the bundled clip, out/hybrid.mp4
#                                         OUT: .mp4, .mkv, .ts, .flv, or srt://:PORT?mode=listener;
#                                         default: out/everywhere.mp4
#   examples/broadcast.sh --play IN [VIEW...]    shows these views (default: 0 1) of such a file or
#                                         of srt://HOST:PORT
# FLV needs H.264: BASE_ENCODER=x264enc (the default is x265enc). TRAIN_SECONDS (20) is how long the
# network of the default input trains.
set -euo pipefail
. "$(dirname "$0")/environment.sh"
need_build

play() {  # IN VIEW...
  local in=$1 v sinks=() source
  shift
  case $in in
    *.mp4 | *.mov) source=(filesrc "location=$in" ! qtdemux) ;;
    *.mkv) source=(filesrc "location=$in" ! matroskademux) ;;
    *.flv) source=(filesrc "location=$in" ! flvdemux) ;;
    *.ts) source=(filesrc "location=$in" ! tsdemux) ;;
    srt://*) source=(srtsrc "uri=$in" ! tsdemux) ;;
    *) echo "${0##*/}: $in is no .mp4, .mov, .mkv, .flv, .ts or srt://…" >&2; exit 2 ;;
  esac
  for v in "${@:-0 1}"; do
    for v in $v; do sinks+=("dec.texture_$v" ! queue ! videoconvert ! autovideosink); done
  done
  # parsebin puts in h264parse or h265parse, whichever fits.
  exec gst-launch-1.0 "${source[@]}" ! parsebin ! mvinrseiextract ! mvinrdec name=dec "${sinks[@]}"
}
if [ "${1:-}" = --play ]; then play "${@:2}"; fi

in=${1:-$root/out/hybrid.mp4} out=${2:-$root/out/everywhere.mp4}
if [ $# = 0 ] && [ ! -e "$in" ]; then
  echo "== encoding the bundled clip: ${TRAIN_SECONDS:=20} s of training"
  mkdir -p "$root/out"
  pads=() base=()
  [ -z "${BASE_ENCODER:-}" ] || base=("base-encoder=$BASE_ENCODER")
  for v in 0 1 2 3; do
    for component in texture depth; do
      pads+=(filesrc "location=$clip/v${v}_$component.mkv" ! matroskademux ! avdec_ffv1 ! queue !
        "enc.${component}_$v")
    done
  done
  gst-launch-1.0 -m -e mvinrenc name=enc mode=hybrid "${base[@]}" gop-size=16 \
    time-budget="$TRAIN_SECONDS" cameras="$clip/cameras.json" ! mvinrparse ! mp4mux ! \
    filesink location="$in" "${pads[@]}" 2>&1 | show_progress
fi
need_file "$in"
codec=$(grep -aom1 'video/x-h26[45]' "$in" | head -1 | tail -c 5) # the caps of the base view
[ -n "$codec" ] || { echo "${0##*/}: $in is no hybrid stream with H.264 or H.265" >&2; exit 1; }
case $in in *.mp4 | *.mov) demux=(qtdemux !) ;; *) demux=() ;; esac
case $out in
  *.mp4) mux=(mp4mux ! filesink "location=$out") ;;
  *.mkv) mux=(matroskamux ! filesink "location=$out") ;;
  *.ts) mux=(mpegtsmux ! filesink "location=$out") ;;
  *.flv)
    [ "$codec" = h264 ] || { echo "${0##*/}: FLV needs H.264, encode with BASE_ENCODER=x264enc" >&2; exit 1; }
    mux=(flvmux ! filesink "location=$out") ;;
  srt://*) mux=(mpegtsmux alignment=7 ! identity sync=true ! srtsink "uri=$out") ;;
  *) echo "${0##*/}: $out is no .mp4, .mkv, .ts, .flv or srt://…" >&2; exit 2 ;;
esac
echo "== $in -> $out"
gst-launch-1.0 -q -e filesrc location="$in" ! "${demux[@]}" mvinrparse ! mvinrseiinsert ! \
  "${codec}parse" ! "${mux[@]}"
case $out in
  srt://*) ;;
  *) echo "any player shows the base view of $out; all views: examples/broadcast.sh --play $out" ;;
esac
