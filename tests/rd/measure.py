#!/usr/bin/env python3
"""Rate and distortion of MV-INR beside x265 simulcast, on raw clips (docs/training.md, "Figures").

  measure.py floor CLIP --views 4 --frames 11 --seconds 180 --lambda 0.002
  measure.py curve CLIP --frames 32 --seconds 300 --lambdas 0.001,0.002,0.005,0.012 --csv curve.csv

CLIP is a folder with v{i}_texture.mkv, v{i}_depth.mkv and cameras.json; pictures are scaled to --size
(area filter). Rate counts every byte of all textures and depths. PSNR is the mean over the views of
10 log10(peak^2 / mean MSE over the frames). x265: preset slow, tune psnr, crf, one intra picture;
depth as 10-bit monochrome, compared at 16 bit.
"""
import argparse
import csv
import json
import math
import os
import shutil
import subprocess
import sys
import tempfile

import numpy as np


def run(command):
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode:
        sys.exit(f"{' '.join(command)}\nfailed: {result.stderr[-2000:]}")
    return result


def extract(clip, views, frames, size, folder):
    """Raw files in MIV naming, frames 0..frames-1."""
    for v in range(views):
        for component, fmt in (("texture", "yuv420p"), ("depth", "gray16le")):
            run(["ffmpeg", "-v", "error", "-y", "-i", f"{clip}/v{v}_{component}.mkv", "-vf",
                 f"scale={size.replace('x', ':')}:flags=area", "-frames:v", str(frames), "-f",
                 "rawvideo", "-pix_fmt", fmt, f"{folder}/v{v}_{component}_{size}_{fmt}.yuv"])
    shutil.copy(f"{clip}/cameras.json", folder)


def mvinr(tool, folder, args, lam, views, stats):
    names = ",".join(f"v{v}" for v in range(views))
    command = [tool, "--input-dir", folder, "--cameras", f"{folder}/cameras.json", "--views", names,
               "--size", args.size, "--frames", str(args.frames), "--gop", str(args.frames),
               "--lambda", str(lam), "--depth-weight", str(args.depth_weight), "--profile",
               args.profile, "--stats", stats, "-q", "-o", f"{folder}/out.mvinr"]
    if args.seconds:
        command += ["--time-budget", str(args.seconds)]
    run(command)
    with open(stats) as f:
        return json.load(f)


def psnr(a, b, peak):
    mse = np.mean((a.astype(np.float64) - b) ** 2)
    return 100.0 if mse == 0 else 10 * math.log10(peak * peak / mse)


def x265(folder, args, crf, views):
    """Total bytes, mean Y-PSNR, mean depth PSNR."""
    width, height = map(int, args.size.split("x"))
    total, texture, depth = 0, [], []
    params = f"crf={crf}:keyint={args.frames}:min-keyint={args.frames}:scenecut=0:log-level=none"
    for v in range(views):
        for component, fmt, coded in (("texture", "yuv420p", "yuv420p"),
                                      ("depth", "gray16le", "gray10le")):
            source = f"{folder}/v{v}_{component}_{args.size}_{fmt}.yuv"
            raw = ["-f", "rawvideo", "-s", args.size, "-r", "30", "-pix_fmt", fmt, "-i", source]
            run(["ffmpeg", "-v", "error", "-y", *raw, "-pix_fmt", coded, "-c:v", "libx265",
                 "-preset", "slow", "-tune", "psnr", "-x265-params", params, "-f", "hevc",
                 f"{folder}/x.hevc"])
            total += os.path.getsize(f"{folder}/x.hevc")
            run(["ffmpeg", "-v", "error", "-y", "-i", f"{folder}/x.hevc", "-pix_fmt", fmt, "-f",
                 "rawvideo", f"{folder}/x.yuv"])
            if component == "texture":
                shape = (args.frames, height * width * 3 // 2)
                a, b = (np.fromfile(p, np.uint8).reshape(shape)[:, :height * width]
                        for p in (source, f"{folder}/x.yuv"))
                texture.append(psnr(a, b, 255))
            else:
                a, b = (np.fromfile(p, np.uint16) for p in (source, f"{folder}/x.yuv"))
                depth.append(psnr(a, b, 65535))
    return total, float(np.mean(texture)), float(np.mean(depth))


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["floor", "curve"])
    parser.add_argument("clip")
    parser.add_argument("--tool", default=shutil.which("mvinr-encode") or "build/codec/tools/mvinr-encode")
    parser.add_argument("--views", type=int, default=0, help="0: as many as there are files")
    parser.add_argument("--frames", type=int, default=32)
    parser.add_argument("--size", default="256x144")
    parser.add_argument("--seconds", type=float, default=0, help="training per GOP; 0: by effort")
    parser.add_argument("--profile", default="auto")
    parser.add_argument("--depth-weight", type=float, default=1)
    parser.add_argument("--lambda", dest="lam", type=float, default=0.002)
    parser.add_argument("--lambdas", default="0.001,0.002,0.005,0.012")
    parser.add_argument("--crfs", default="27,32,37,42")
    parser.add_argument("--csv")
    args = parser.parse_args()
    views = args.views
    while not args.views and os.path.exists(f"{args.clip}/v{views}_texture.mkv"):
        views += 1
    lambdas = [args.lam] if args.what == "floor" else map(float, args.lambdas.split(","))
    rows = []

    def report(codec, point, total, y, depth, seconds=0.0):
        rows.append([codec, point, total, round(y, 2), round(depth, 2), round(seconds, 1)])
        print(f"{codec:6} {point:>8} {total:9d} bytes  Y {y:6.2f} dB  depth {depth:6.2f} dB", flush=True)

    with tempfile.TemporaryDirectory() as folder:
        extract(args.clip, views, args.frames, args.size, folder)
        for lam in lambdas:
            s = mvinr(args.tool, folder, args, lam, views, f"{folder}/stats.json")
            g = s["gops"][0]
            report("mvinr", lam, g["bytes"], g["mean_texture_psnr"], g["mean_depth_psnr"],
                   g["train_seconds"])
        if args.what == "curve":
            for crf in args.crfs.split(","):
                report("x265", crf, *x265(folder, args, crf, views))
    if args.csv:
        with open(args.csv, "w", newline="") as f:
            writer = csv.writer(f)
            writer.writerow(["codec", "lambda or crf", "bytes", "Y dB", "depth dB", "seconds"])
            writer.writerows(rows)


if __name__ == "__main__":
    main()
