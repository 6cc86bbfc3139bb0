#!/bin/bash
# Plays an MP4, MOV or .mvinr file: playbin3 finds the elements itself and shows the first view.
#   examples/play.sh [FILE]                 default: out/out.mp4
#   examples/play.sh [FILE] all             every view and its depth, each in a window
set -euo pipefail
. "$(dirname "$0")/environment.sh"
need_build
file=$(realpath "${1:-$root/out/out.mp4}")
need_file "$file"
if [ "${2:-}" != all ]; then exec gst-launch-1.0 playbin3 uri="file://$file"; fi

case $file in
  *.mp4 | *.mov) source=(filesrc location="$file" ! qtdemux ! mvinrparse) ;;
  *) source=(filesrc location="$file" ! mvinrparse) ;;
esac
views=$(mvinr-info --brief -n 1 "$file" | sed -n 's/^access unit 0:.* \([0-9]*\) views.*/\1/p')
windows=()
for ((v = 0; v < views; ++v)); do
  # A queue behind every pad: the pads run at their own pace.
  windows+=("dec.texture_$v" ! queue ! videoconvert ! autovideosink
    "dec.depth_$v" ! queue ! videoconvert ! autovideosink)
done
exec gst-launch-1.0 "${source[@]}" ! mvinrdec name=dec "${windows[@]}"
