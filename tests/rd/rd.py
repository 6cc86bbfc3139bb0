#!/usr/bin/env python3
"""Rate-distortion curves of MV-INR beside other codecs (docs/evaluation.md).

  rd.py curve CLIP...                     all codecs that are found here: tables, CSV, plots
  rd.py curve CLIP --codecs x265,mvinr-implicit --size 256x144 --frames 11 --seconds 60
  rd.py floor CLIP --views 4 --frames 11 --seconds 180 --lambda 0.002

CLIP is a folder with v{i}_texture.mkv, v{i}_depth.mkv and cameras.json. Finished points are kept
in the work folder: the same command again goes on where it was interrupted."""
import argparse
import importlib.util
import pathlib
import shutil
import signal
import sys
import tempfile
import time

MISSING = [name for name in ("numpy", "matplotlib") if not importlib.util.find_spec(name)]
if MISSING:
    sys.exit(f"Python has no {' and no '.join(MISSING)}: run tests/rd/run.sh instead, which "
             "installs it, or scripts/install-deps.sh --rd")

# pylint: disable=wrong-import-position
import coders
import curve
import report
import synthesis
from cache import Store
from clips import Clip
from errors import RdError, Unavailable
from programs import Programs


def numbers(text):
    try:
        return [float(word) for word in text.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text} is not a list of numbers") from None


def names(text):
    return [word for word in text.split(",") if word]


def views(text):
    """A number of views or their names."""
    return int(text) if text.isdigit() else names(text)


def size(text):
    try:
        width, height = map(int, text.split("x"))
        if width < 16 or height < 16:
            raise ValueError
        return width, height
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text} is not a size such as 256x144") from None


def program(text):
    name, separator, path = text.partition("=")
    if not separator:
        raise argparse.ArgumentTypeError(f"{text} is not NAME=PATH")
    return name, path


def codec_names(text):
    for name in names(text):
        if name not in coders.CODECS:
            raise argparse.ArgumentTypeError(
                f"no codec {name}; there are {', '.join(coders.CODECS)}")
    return names(text)


def parse(arguments):
    top = argparse.ArgumentParser(description=__doc__,
                                  formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = top.add_subparsers(dest="command", required=True)
    shared = argparse.ArgumentParser(add_help=False)
    add = shared.add_argument_group("clip").add_argument
    add("--views", type=views, default=0, help="number or names of the views to code; default all")
    add("--frames", type=int, default=0, help="default: all")
    add("--gop", type=int, default=32, help="frames per GOP, for every codec (%(default)s)")
    add = shared.add_argument_group("MV-INR").add_argument
    add("--seconds", type=float, default=0, help="training per GOP; 0: by --effort")
    add("--effort", type=int, default=5)
    add("--profile", default="auto")
    add("--depth-weight", type=float, default=1)
    add = shared.add_argument_group("programs and places").add_argument
    add("--build", default="build", help="build folder of this project (%(default)s)")
    add("--program", type=program, action="append", default=[], metavar="NAME=PATH",
        help="where a program is: mvinr-encode, mvinr-decode, mvinr-warp, ffmpeg, vvencapp, "
        "vvdecapp, htm-encoder, htm-decoder, tmiv-encoder, tmiv-decoder, gst-launch-1.0")
    add("--tool", help="the same as --program mvinr-encode=PATH")

    floor = commands.add_parser("floor", parents=[shared], help="MV-INR implicit at one lambda")
    floor.add_argument("clip", nargs=1)
    floor.add_argument("--size", type=size, default=(256, 144), help="default: 256x144")
    floor.add_argument("--lambda", dest="lam", type=float, default=0.002)

    add = commands.add_parser("curve", parents=[shared], help="curves of several codecs")
    add.add_argument("clip", nargs="+")
    add = add.add_argument
    add("--codecs", type=codec_names, default=coders.DEFAULT,
        help=f"of {', '.join(coders.CODECS)}; default: all but mvinr-auto and av1")
    add("--anchor", default="x265", help="codec that BD-rate refers to (%(default)s)")
    add("--size", type=size, help="default: that of the clip")
    add("--left-out", type=names, default=[], metavar="NAME,...",
        help="views that are not coded but rendered from the coded ones and compared")
    add("--lambdas", type=numbers, default="0.001,0.002,0.005,0.012", help="(%(default)s)")
    add("--crfs", type=numbers, default="27,32,37,42", help="x265 (%(default)s)")
    add("--qps", type=numbers, default="25,30,35,40", help="VVenC, HTM, TMIV (%(default)s)")
    add("--motion", default="", help="of mvinrenc mode=hybrid; default: its own choice")
    add("--base-views", default="", help="of mvinrenc mode=hybrid; default: its own choice")
    add("--base-encoder", default="", help="of mvinrenc mode=hybrid; default: its own choice")
    add("--x265-preset", default="slow")
    add("--av1-preset", default="6", help="SVT-AV1 (%(default)s)")
    add("--x265-info", type=int, choices=[0, 1], default=0, help="1: with the SEI in which x265 "
        "writes its settings, 2.3 kB in every stream")
    add("--vvenc-preset", default="medium")
    add("--mv-hevc-config", metavar="FILE", help="HTM's cfg/MV-HEVC/baseCfg_2view.cfg")
    add("--3d-hevc-config", metavar="FILE", help="of HTM, for exactly the coded views")
    add("--tmiv-config", metavar="DIR", help="TMIV's config folder")
    add("--work", default="out/rd/work", help="finished points (%(default)s)")
    add("--out", default="out/rd", help="tables and plots (%(default)s)")
    options = top.parse_args(arguments)
    paths = dict(options.program)
    if options.tool:
        paths["mvinr-encode"] = options.tool
    options.programs, options.failed = Programs(paths, options.build), False
    return options


def run_floor(options):
    codec = coders.CODECS["mvinr-implicit"](options)
    codec.check()
    clip = Clip(options.clip[0], options.size, options.frames, options.views, (), options.gop)
    with tempfile.TemporaryDirectory() as folder:
        clip.extract(Store(folder))
        gops = codec.floor(clip, options.lam, pathlib.Path(folder))
    for gop in gops:
        print(f"mvinr  {options.lam:8g} {gop['bytes']:9d} bytes  Y {gop['mean_texture_psnr']:6.2f} "
              f"dB  depth {gop['mean_depth_psnr']:6.2f} dB  {gop['train_seconds']:.0f} s")


class Progress:
    def __init__(self, total, store):
        self.total, self.store, self.done, self.worked = total, store, 0, 0
        self.start = self.last = time.monotonic()
        self.made = store.made

    def __call__(self, row):
        now = time.monotonic()
        self.done += 1
        took, self.last = now - self.last, now
        stored, self.made = self.store.made == self.made, self.store.made
        self.worked += not stored
        left = (now - self.start) / max(self.worked, 1) * (self.total - self.done) / 60
        note = "stored" if stored else f"{took:.0f} s, about {left:.0f} min left"
        print(f"[{self.done}/{self.total}] {report.describe(row)}  ({note})", flush=True)


def run_clip(options, folder, usable, left_out, warp):
    """Measures all codecs on one clip; returns its rows. A codec that fails is left out, so that
    a night's run does not end with it; then options.failed is set."""
    clip = Clip(folder, options.size, options.frames, options.views, options.left_out, options.gop)
    store = Store(pathlib.Path(options.work) / clip.name)
    print(f"{clip.name}: {len(clip.views)} views, {clip.frames} frames of {clip.size}", flush=True)
    clip.extract(store)
    progress = Progress(sum(len(codec.qualities()) * (len(codec.depth_offsets) if warp else 1)
                            for codec in usable), store)
    rows = []
    for codec in usable:
        try:
            found = curve.measure(codec, clip, store, warp, progress)
        except RdError as error:
            left_out[codec.name] = str(error).splitlines()[-1]
            options.failed |= not isinstance(error, Unavailable)
            print(f"{codec.name} is left out: {error}", flush=True)
            continue
        rows += [{"clip": clip.name, **row} for row in found]
    return clip, rows


def run_curve(options):
    import plots  # pylint: disable=import-outside-toplevel
    usable, left_out = [], {}
    for name in options.codecs:
        codec = coders.CODECS[name](options)
        try:
            codec.check()
            usable.append(codec)
        except Unavailable as error:
            left_out[name] = str(error)
            print(f"{name} is left out: {error}", flush=True)
    warp = synthesis.Warp(options.programs)
    try:
        warp.check()
    except Unavailable as error:
        print(f"no synthesised views, depth offset 0 everywhere: {error}", flush=True)
        warp = None
    if not usable:
        raise RdError("none of the codecs can run here")
    out = pathlib.Path(options.out)
    out.mkdir(parents=True, exist_ok=True)
    all_rows, tables = [], {}
    for folder in options.clip:
        clip, rows = run_clip(options, folder, usable, left_out, warp)
        all_rows += rows
        tables[clip.name] = report.bd_table(rows, options.anchor)
        if rows:
            plots.draw(out / clip.name, rows, f"{clip.name}, {len(clip.views)} views, "
                       f"{clip.frames} frames of {clip.size}", options.anchor,
                       {c.name: c.title for c in usable})
        # After every clip: an interrupted run leaves the tables of the clips before.
        report.write_points(out / "points.csv", all_rows)
        report.write_bd(out / "bd-rate.csv", tables, options.anchor)
        text = report.markdown(tables, options.anchor, left_out)
        (out / "bd-rate.md").write_text(text, encoding="utf-8")
    print(f"\n{text}\n{out}/points.csv, bd-rate.csv, bd-rate.md, CLIP.png, CLIP.svg", flush=True)


def main(arguments=None):
    options = parse(arguments)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if not shutil.which("ffmpeg"):
        sys.exit("rd.py: program ffmpeg is not found: install the package ffmpeg")
    try:
        (run_floor if options.command == "floor" else run_curve)(options)
    except KeyboardInterrupt:
        print("\ninterrupted; finished points are kept, the same command goes on from here",
              file=sys.stderr)
        sys.exit(130)
    except RdError as error:
        sys.exit(f"rd.py: {error}")
    except OSError as error:  # a full disk, a folder that may not be written
        sys.exit(f"rd.py: {error.filename or 'writing'}: {error.strerror}; finished points are "
                 "kept")
    sys.exit(1 if options.failed else 0)


if __name__ == "__main__":
    main()
