#!/bin/bash
# Random access: decodes frames 8..15 only, from one view, without its neighbours.
#   examples/seek.sh [FILE]                 default: out/raw.mp4 (see raw-input.sh)
set -euo pipefail
. "$(dirname "$0")/environment.sh"
need_build
file=${1:-$root/out/raw.mp4}
need "$file" "run examples/raw-input.sh first, or give another file"
mvinr-decode "$file" --views 1 --component texture --start-frame 8 --frames 8 --md5-pictures
