#!/bin/sh
# Rate-distortion curves with one command: finds a Python with numpy and matplotlib (or installs
# Debian's packages) and runs rd.py in it, from any folder.
#   tests/rd/run.sh curve CLIP...        tests/rd/run.sh --help
set -eu
here=$(cd "$(dirname "$0")" && pwd)
fits() { command -v "$1" >/dev/null && "$1" -c 'import numpy, matplotlib' 2>/dev/null; }
for python in "${PYTHON:-python3}" /usr/bin/python3; do
  fits "$python" && command -v ffmpeg >/dev/null && exec "$python" "$here/rd.py" "$@"
done
"$here/../../scripts/install-deps.sh" --no-torch --rd
fits /usr/bin/python3 || { echo "run.sh: no Python with numpy and matplotlib" >&2; exit 1; }
exec /usr/bin/python3 "$here/rd.py" "$@"
