#!/usr/bin/env python3
"""Decoding speed of MV-INR beside other decoders, of the same clip at about the same PSNR.

  peers.py CLIP [--size 256x144] [--seconds 60]      CLIP: a folder as for tests/rd/rd.py

Every decoder decodes the whole clip, textures and depths of all views, LOOPS times in one process
and throws the pictures away, on one core and on two (taskset). Simulcast codecs get the quality at
which the textures' PSNR is nearest to that of MV-INR hybrid. Encodes are kept in the work folder.
The results go to OUT/peers.json and OUT/peers.md, and OUT/peers.png if there is matplotlib."""
import argparse
import json
import os
import pathlib
import statistics
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "rd"))
# pylint: disable=wrong-import-position,import-error
import coders
import metrics
import programs
from cache import Store
from clips import Clip
from coders.base import Part
from errors import RdError, Unavailable

COOL_CHIC = 5.2  # million pixels per second and core, as its authors published


def parse(arguments):
    top = argparse.ArgumentParser(description=__doc__,
                                  formatter_class=argparse.RawDescriptionHelpFormatter)
    add = top.add_argument
    add("clip")
    add("--size", default="", help="default: that of the clip")
    add("--frames", type=int, default=0, help="default: all")
    add("--seconds", type=float, default=60, help="MV-INR's training per GOP (%(default)s)")
    add("--profile", default="auto", help="of MV-INR (%(default)s)")
    add("--lambda", dest="lam", type=float, default=0.004, help="of MV-INR (%(default)s)")
    add("--loops", type=int, default=20, help="how often the clip is decoded (%(default)s)")
    add("--runs", type=int, default=3, help="the median of so many counts (%(default)s)")
    add("--only", default="", help="names of codecs, for example x265,mvinr-hybrid")
    add("--build", default="build")
    add("--program", action="append", default=[], metavar="NAME=PATH",
        help="where a program is: vvencapp and vvdecapp for VVC, ffmpeg, ...")
    add("--work", default="out/bench/work")
    add("--out", default="out/bench")
    options = top.parse_args(arguments)
    paths = dict(word.split("=", 1) for word in options.program)
    options.programs = programs.Programs(paths, options.build)
    # What the codecs of tests/rd expect.
    options.lambdas, options.crfs, options.qps = [options.lam], [], []
    options.effort, options.depth_weight = 5, 1.0
    options.base_views = options.base_encoder = ""
    options.x265_preset, options.x265_info = "slow", 0
    options.av1_preset, options.vvenc_preset = "6", "medium"
    return options


def joined(streams, target, loops):
    """One file with everything LOOPS times: all of these are elementary streams of closed GOPs."""
    data = pathlib.Path(streams).read_bytes()
    with open(target, "wb") as file:
        for _ in range(loops):
            file.write(data)
    return target


class Ffmpeg:
    """ffmpeg with one of its decoders, all streams in one process."""
    def __init__(self, decoder):
        self.decoder = decoder

    def command(self, codec, clip, files, threads):
        command = [codec.ffmpeg, "-v", "error", "-nostdin"]
        for file in files:
            command += ["-threads", threads, "-c:v", self.decoder, "-i", file]
        for i in range(len(files)):
            command += ["-map", f"{i}:v", "-c:v", "wrapped_avframe", "-vsync", "0", "-f", "null",
                        "-"]
        return command, {}


class Vvdec:
    def command(self, codec, clip, files, threads):
        words = " && ".join(f"'{codec.decoder}' -v 1 -t {threads} -b '{file}'" for file in files)
        return ["sh", "-c", words], {}


class MvinrDecode:
    def command(self, codec, clip, files, threads):
        return [codec.decoder, files[0], "-q", "--threads", threads], {}


class MvinrDec:
    def command(self, codec, clip, files, threads):
        command = [codec.launch, "--no-fault", "-q", "filesrc", f"location={files[0]}", "!",
                   "mvinrparse", "!", "mvinrdec", "name=d", f"threads={threads}"]
        for number in range(len(clip.views)):
            for component in ("texture", "depth"):
                command += [f"d.{component}_{number}", "!", "queue", "!", "fakesink", "sync=false"]
        return command, codec.environment()


DECODERS = {"mvinr-hybrid": ("MV-INR hybrid, mvinrdec", MvinrDec()),
            "mvinr-implicit": ("MV-INR implicit, mvinr-decode", MvinrDecode()),
            "x265": ("HEVC (x265 slow), ffmpeg", Ffmpeg("hevc")),
            "av1": ("AV1 (SVT-AV1 preset 6), dav1d in ffmpeg", Ffmpeg("libdav1d")),
            "vvenc": ("VVC (VVenC medium), VVdeC", Vvdec())}


def encode(codec, clip, store, part):
    key = {"clip": clip.identity(), "codec": codec.identity(clip),
           "part": [part.component, part.setting, part.offset]}

    def produce(folder):
        codec.encode(clip, part, folder)
        return [p.name for p in codec.streams(folder)]
    folder, names = store.make(codec.name, key, produce)
    return [folder / name for name in names]


def quality(codec, clip, store, parts, streams):
    """Mean PSNR over the views of what the decoder gives: texture luma, depth."""
    key = {"kind": "quality", "of": [str(s) for s in streams]}

    def produce(folder):
        for part, files in zip(parts, group(parts, streams)):
            codec.decode(clip, part, files[0].parent, folder)
        values = {}
        for name, function in (("texture", metrics.texture_quality),
                               ("depth", metrics.depth_quality)):
            if not any(name in part.components for part in parts):
                continue
            more = {"with_ssim": False} if name == "texture" else {}
            found = [function(clip.original(v, name), clip.file(folder, v, name), clip.width,
                              clip.height, clip.frames, **more) for v in clip.views]
            values[name] = statistics.mean(f["y_psnr" if name == "texture" else "depth_psnr"]
                                           for f in found)
        for file in list(folder.iterdir()):
            file.unlink()
        return values
    return store.make("quality", key, produce)[1]


def group(parts, streams):
    count = len(streams) // len(parts)
    return [streams[i * count:(i + 1) * count] for i in range(len(parts))]


def nearest_setting(codec, clip, store, component, wanted):
    """The whole quantiser whose PSNR is nearest to the wanted one; PSNR falls with it."""
    low, high = 10, codec.highest

    def psnr(setting):
        part = Part(component, setting)
        return quality(codec, clip, store, [part], encode(codec, clip, store, part))[component]
    while high - low > 1:
        middle = (low + high) // 2
        if psnr(middle) > wanted:
            low = middle
        else:
            high = middle
    return min((low, high), key=lambda setting: abs(psnr(setting) - wanted))


def measure(command, environment, runs):
    """Median wall and CPU seconds."""
    times = [programs.run(command, environment) for _ in range(runs)]
    return statistics.median(t.wall for t in times), statistics.median(t.cpu for t in times)


def bench(codec, clip, store, options, wanted):
    title, decoder = DECODERS[codec.name]
    if codec.name.startswith("mvinr"):
        parts = [Part("all", options.lam)]
    else:
        parts = [Part(c, nearest_setting(codec, clip, store, c, wanted[c]))
                 for c in ("texture", "depth")]
    streams = [file for part in parts for file in encode(codec, clip, store, part)]
    psnr = quality(codec, clip, store, parts, streams)
    row = {"name": codec.name, "title": title, "bytes": sum(s.stat().st_size for s in streams),
           "texture": psnr["texture"], "depth": psnr["depth"],
           "settings": [part.setting for part in parts]}
    folder = store.root / "loop"
    folder.mkdir(exist_ok=True)
    files = [joined(s, folder / f"{i}{s.suffix}", options.loops) for i, s in enumerate(streams)]
    pictures = len(clip.views) * clip.frames * options.loops
    for cores in sorted({1, min(2, os.cpu_count() or 1)}):
        command, environment = decoder.command(codec, clip, files, cores)
        wall, cpu = measure(["taskset", "-c", "0" if cores == 1 else "0,1", *command], environment,
                            options.runs)
        row[f"per second, {cores}"] = pictures / wall
        row[f"per cpu second, {cores}"] = pictures / cpu
    row["mpixel"] = row["per cpu second, 1"] * clip.width * clip.height / 1e6
    for file in files:
        file.unlink()
    return row


def markdown(clip, rows, left_out, options):
    lines = [f"{clip.name}, {len(clip.views)} views with depth, {clip.frames} frames of "
             f"{clip.size}, decoded {options.loops} times; a picture is texture and depth of one "
             "view at one instant.", "",
             "| decoder | bytes | texture, depth dB | pictures per CPU second, 1 core | "
             "pictures/s on 1 core, 2 cores | Mpixel/s per core | × Cool-chic's 5.2 |",
             "|---|---|---|---|---|---|---|"]
    for r in rows:
        two = f"{r['per second, 2']:.0f}" if "per second, 2" in r else "–"
        lines.append(f"| {r['title']} | {r['bytes']} | {r['texture']:.2f}, {r['depth']:.2f} | "
                     f"{r['per cpu second, 1']:.0f} | {r['per second, 1']:.0f}, {two} | "
                     f"{r['mpixel']:.0f} | {r['mpixel'] / COOL_CHIC:.1f} |")
    lines += [f"\n{DECODERS[name][0]}: left out, {why}." for name, why in left_out.items()]
    return "\n".join(lines) + "\n"


def plot(path, rows):
    try:
        import matplotlib  # pylint: disable=import-outside-toplevel
        matplotlib.use("Agg")
        from matplotlib import pyplot  # pylint: disable=import-outside-toplevel
    except ImportError:
        return
    figure, axes = pyplot.subplots(figsize=(8, 0.6 + 0.5 * len(rows)))
    axes.barh([r["title"] for r in rows], [r["mpixel"] for r in rows])
    axes.axvline(COOL_CHIC, color="black", linestyle="--", label="Cool-chic, published")
    axes.set_xlabel("million luma pixels (with depth) per CPU second, one core")
    axes.invert_yaxis()
    axes.legend()
    figure.savefig(path, bbox_inches="tight", dpi=120)


def main(arguments=None):
    options = parse(arguments)
    size = tuple(map(int, options.size.split("x"))) if options.size else None
    clip = Clip(options.clip, size, options.frames)
    out = pathlib.Path(options.out)
    out.mkdir(parents=True, exist_ok=True)
    store = Store(pathlib.Path(options.work) / clip.name)
    clip.extract(store)
    names = options.only.split(",") if options.only else list(DECODERS)
    rows, left_out, wanted = [], {}, None
    for name in DECODERS:
        if name not in names:
            continue
        codec = coders.CODECS[name](options)
        try:
            codec.check()
            if wanted is None and not name.startswith("mvinr"):
                raise Unavailable("there is no MV-INR stream whose PSNR it would match")
            row = bench(codec, clip, store, options, wanted)
        except Unavailable as error:
            left_out[name] = str(error)
            print(f"{name} is left out: {error}", flush=True)
            continue
        wanted = wanted or row
        rows.append(row)
        print(json.dumps(row), flush=True)
    text = markdown(clip, rows, left_out, options)
    (out / "peers.json").write_text(json.dumps(rows, indent=1), encoding="utf-8")
    (out / "peers.md").write_text(text, encoding="utf-8")
    plot(out / "peers.png", rows)
    print(text)


if __name__ == "__main__":
    try:
        main()
    except (RdError, OSError) as error:
        sys.exit(f"peers.py: {error}")
