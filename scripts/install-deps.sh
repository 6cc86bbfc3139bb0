#!/bin/sh
# Installs what MV-INR needs on Debian 12: packages with apt, LibTorch into .cache/torch (from
# PyPI's wheel; nothing else on the machine is touched). Safe to run again: it then does nothing.
#
#   scripts/install-deps.sh              everything
#   scripts/install-deps.sh --no-torch   no LibTorch: decoder only
#   scripts/install-deps.sh --gpu        also the libraries that training on a GPU needs (3 GB)
#   scripts/install-deps.sh --rd         also what the plots of tests/rd need (matplotlib)
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
torch_version=2.11.0
cudart_version=13.0.96
cupti_version=13.0.85

want_torch=yes
want_gpu=no
want_rd=no
for option in "$@"; do
  case $option in
    --no-torch) want_torch=no ;;
    --gpu) want_gpu=yes ;;
    --rd) want_rd=yes ;;
    --help | -h) sed -n '2,9s/^# \{0,1\}//p' "$0"; exit 0 ;;
    *) echo "install-deps.sh: unknown option $option" >&2; exit 2 ;;
  esac
done

fail() { echo "install-deps.sh: $*" >&2; exit 1; }

# --- packages -------------------------------------------------------------------------------
packages="build-essential meson ninja-build pkg-config python3 python3-pip python3-numpy
  ca-certificates
  nlohmann-json3-dev libcli11-dev ccache libmd-dev libgtest-dev libbenchmark-dev
  libgstreamer1.0-dev libgstreamer-plugins-base1.0-dev libgstreamer-plugins-bad1.0-dev
  libgstrtspserver-1.0-dev
  gstreamer1.0-tools gstreamer1.0-plugins-base gstreamer1.0-plugins-good
  gstreamer1.0-plugins-bad gstreamer1.0-plugins-ugly gstreamer1.0-libav ffmpeg
  libmatroska-dev"
[ "$want_rd" = no ] || packages="$packages python3-matplotlib"
missing=
for package in $packages; do
  case $(dpkg-query -W -f '${Status}' "$package" 2>/dev/null) in
    *" installed") ;;
    *) missing="$missing $package" ;;
  esac
done
if [ -n "$missing" ]; then
  command -v apt-get >/dev/null ||
    fail "this is not Debian; install the counterparts of:$missing"
  sudo=
  if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null || fail "run as root, or install sudo; missing packages:$missing"
    sudo=sudo
  fi
  echo "installing packages:$missing"
  # shellcheck disable=SC2086 # word splitting is meant
  { $sudo apt-get -qq update &&
    $sudo env DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends $missing; } \
    >"${TMPDIR:-/tmp}/mvinr-apt.$$.log" 2>&1 || {
    tail -20 "${TMPDIR:-/tmp}/mvinr-apt.$$.log" >&2
    rm -f "${TMPDIR:-/tmp}/mvinr-apt.$$.log"
    fail "apt-get could not install the packages (messages above)"
  }
  rm -f "${TMPDIR:-/tmp}/mvinr-apt.$$.log"
fi

# --- LibTorch -------------------------------------------------------------------------------
[ "$want_torch" = yes ] || exit 0
[ -z "${LIBTORCH:-}" ] || { echo "LibTorch: using \$LIBTORCH ($LIBTORCH)"; exit 0; }
target=$root/.cache/torch
wanted="torch $torch_version cudart $cudart_version cupti $cupti_version gpu $want_gpu"
have=$(cat "$target/installed" 2>/dev/null || true)
[ "$have" != "$wanted" ] && [ "$have" != "${wanted%no}yes" ] || exit 0

machine=$(uname -m)
download=$root/.cache/wheels
free_kb=$(mkdir -p "$root/.cache" && df -Pk "$root/.cache" | awk 'NR == 2 {print $4}')
[ "$free_kb" -gt 2500000 ] || fail "LibTorch needs 2.5 GB free in $root/.cache"
echo "downloading LibTorch $torch_version (once, 0.5 GB) ..."
rm -rf "$target" "$download"
mkdir -p "$target"
fetch() {
  python3 -m pip --disable-pip-version-check download --quiet --no-cache-dir --no-deps \
    --only-binary=:all: --implementation cp --python-version 3.11 --abi cp311 --abi none \
    --platform "manylinux_2_28_$machine" --platform "manylinux_2_27_$machine" \
    --platform "manylinux_2_25_$machine" --platform "manylinux_2_17_$machine" \
    --platform "manylinux2014_$machine" --platform any \
    --dest "$download" "$@" || fail "pip could not download $*"
}
fetch "torch==$torch_version" "nvidia-cuda-runtime==$cudart_version" \
  "nvidia-cuda-cupti==$cupti_version"
if [ "$want_gpu" = yes ]; then
  # What the wheel of torch 2.11 asks for (its METADATA, and cuda-toolkit 13.0.2).
  fetch nvidia-cudnn-cu13==9.19.0.56 nvidia-cusparselt-cu13==0.8.0 nvidia-nccl-cu13==2.28.9 \
    nvidia-nvshmem-cu13==3.4.5 "nvidia-cublas>=13,<14" "nvidia-cufft>=12,<13" \
    "nvidia-cufile>=1,<2" "nvidia-curand>=10,<11" "nvidia-cusolver>=12,<13" \
    "nvidia-cusparse>=12,<13" "nvidia-nvjitlink>=13,<14" "nvidia-cuda-nvrtc>=13,<14" \
    "nvidia-nvtx>=13,<14"
fi
WANT_GPU=$want_gpu python3 - "$download" "$target" <<'PYTHON'
# Unpacks the wheels; without a GPU, only what the CPU build loads.
import os, pathlib, sys, zipfile
source, target = map(pathlib.Path, sys.argv[1:])
gpu = os.environ["WANT_GPU"] == "yes"
gpu_only = ("libtorch_cuda", "libtorch_nvshmem", "libtorch_python", "libcaffe2_nvrtc")
for wheel in sorted(source.glob("*.whl")):
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            if name.startswith("torch/"):
                wanted = name.startswith(("torch/include/", "torch/lib/", "torch/share/")) and (
                    gpu or not pathlib.Path(name).name.startswith(gpu_only))
            else:
                wanted = ".so" in name or "dist-info" in name
            if wanted or "LICENSE" in name:
                archive.extract(name, target)
    wheel.unlink()
PYTHON
rmdir "$download"
[ -f "$target/torch/lib/libtorch_cpu.so" ] || fail "the wheel of torch holds no libtorch_cpu.so"
echo "$wanted" >"$target/installed"
echo "LibTorch $torch_version is in .cache/torch"
