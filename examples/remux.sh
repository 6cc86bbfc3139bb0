#!/bin/bash
# Moves the stream between containers without decoding it.
#   examples/remux.sh IN OUT     each .mvinr, .mp4 or .mov; default: out/out.mp4 -> out/out.mov
set -euo pipefail
. "$(dirname "$0")/environment.sh"
need_build
in=${1:-$root/out/out.mp4} out=${2:-$root/out/out.mov}
need_file "$in"
case $in in *.mp4 | *.mov) demux=(qtdemux !) ;; *) demux=() ;; esac
case $out in
  *.mp4) mux=(! mp4mux) ;;
  *.mov) mux=(! qtmux) ;;
  *) mux=(! "video/x-mvinr,parsed=true") ;;
esac
gst-launch-1.0 -q -e filesrc location="$in" ! "${demux[@]}" mvinrparse "${mux[@]}" ! \
  filesink location="$out"
mvinr-info --brief "$out"
