#!/bin/sh
# Made the clip in this folder from the 512x288 render of the same scene (not in the repository).
#   make-clip.sh FOLDER     FOLDER holds v0..v3_{texture,depth}.mkv and cameras.json
set -eu
[ $# = 1 ] && [ -f "$1/cameras.json" ] || { sed -n '2,3s/^# //p' "$0" >&2; exit 2; }
here=$(cd "$(dirname "$0")" && pwd)
for view in 0 1 2 3; do
  for part in texture:yuv420p depth:gray16le; do
    ffmpeg -v error -y -i "$1/v${view}_${part%:*}.mkv" -vf scale=256x144:flags=area \
      -pix_fmt "${part#*:}" -c:v ffv1 -level 3 -coder 1 -context 1 -g 32 -slices 4 \
      -map_metadata -1 -fflags +bitexact -flags +bitexact "$here/v${view}_${part%:*}.mkv"
  done
done
python3 - "$1/cameras.json" "$here/cameras.json" <<'PYTHON'
import json, sys
file = json.load(open(sys.argv[1]))
file["Informative"]["Note"] = "rendered with Blender Cycles (bpy 5.0.1), true depth, scaled to 256x144; see README.md"
for camera in file["cameras"]:
    scale = [256 / camera["Resolution"][0], 144 / camera["Resolution"][1]]
    camera["Resolution"] = [256, 144]
    for field in ("Focal", "Principle_point"):
        camera[field] = [a * b for a, b in zip(camera[field], scale)]
json.dump(file, open(sys.argv[2], "w"), indent=1)
open(sys.argv[2], "a").write("\n")
PYTHON
