#!/usr/bin/env python3
"""Measures decoding and writes the tables and plots of docs/performance.md.

  performance.py [--sections decode,growth,kernels,warp,entropy,ranks,peers] [--clip CLIP] [--update]

Builds the benchmark programs of tests/bench in --build and runs them. Each section is measured by
itself; --update puts the new tables between the marks of docs/performance.md (the others stay), and
the plots into docs/plots. Without it everything goes to --out only. On a machine that does other
things look at the figures per second of processor time."""
import argparse
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
DOC = ROOT / "docs" / "performance.md"


def parse(arguments):
    top = argparse.ArgumentParser(description=__doc__,
                                  formatter_class=argparse.RawDescriptionHelpFormatter)
    add = top.add_argument
    add("--sections", default=",".join(SECTIONS), help="(%(default)s)")
    add("--clip", help="folder of a clip, for ranks and peers; without it they are left out")
    add("--build", default=str(ROOT / "build"))
    add("--out", default=str(ROOT / "out" / "bench"))
    add("--seconds", type=float, default=1, help="per figure (%(default)s)")
    add("--train-seconds", type=float, default=60, help="of peers, per GOP (%(default)s)")
    add("--update", action="store_true", help="docs/performance.md too")
    options = top.parse_args(arguments)
    options.sections = options.sections.split(",")
    for name in options.sections:
        if name not in SECTIONS:
            top.error(f"no section {name}; there are {', '.join(SECTIONS)}")
    options.out = pathlib.Path(options.out)
    return options


def run(command, environment=None):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True,
                          check=False, env={**os.environ, **(environment or {})})
    if done.returncode != 0:
        sys.exit(f"performance.py: {' '.join(map(str, command))} failed:\n{done.stderr[-3000:]}")
    return done.stdout


def program(options, name):
    path = pathlib.Path(options.build) / name
    run(["ninja", "-C", options.build, name])
    return path


def table(header, rows):
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    return "\n".join(lines + ["| " + " | ".join(map(str, row)) + " |" for row in rows])


def plot(options, name, draw):
    try:
        import matplotlib  # pylint: disable=import-outside-toplevel
        matplotlib.use("Agg")
        from matplotlib import pyplot  # pylint: disable=import-outside-toplevel
    except ImportError:
        return ""
    figure, axes = pyplot.subplots(figsize=(7, 4))
    draw(axes)
    folder = ROOT / "docs" / "plots" if options.update else options.out
    folder.mkdir(parents=True, exist_ok=True)
    matplotlib.rcParams["svg.hashsalt"] = "mvinr"
    figure.savefig(folder / f"{name}.svg", bbox_inches="tight", metadata={"Date": None})
    return f"\n![](plots/{name}.svg)\n"


def peaks_and_kernels(options):
    """[(set, case, GMAC/s, share of peak)], {set: peak}"""
    bench = program(options, "tests/bench/kernels-bench")
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder) / "out.json"
        text = run([bench, "--benchmark_filter=pointwise_gelu|pointwise_add",
                    f"--benchmark_min_time={options.seconds / 5}", f"--benchmark_out={file}",
                    "--benchmark_out_format=json"])
        data = json.loads(file.read_text())["benchmarks"]
    peaks = {name: float(value)
             for name, value in re.findall(r"peak of (\w+): (\d+) GMAC/s", text)}
    rows = []
    for b in data:
        name, operation, layer = b["name"].split("/")[:3]
        rows.append((name, operation, layer, b["MAC/s"] / 1e9, b.get("%peak", 0)))
    return rows, peaks


def kernels(options):
    rows, peaks = peaks_and_kernels(options)
    layers = ["16->48", "48->16", "32->96", "96->32", "64->192", "192->64"]
    found = {(r[0], r[2]): r for r in rows}
    body = [[f"{name} ({peak:.0f})"] + [f"{found[name, layer][3]:.0f} ({found[name, layer][4]:.0f} %)"
                                        for layer in layers]
            for name, peak in peaks.items()]
    def title(layer):
        inputs, outputs = map(int, layer.split("->"))
        return ("gelu " if outputs > inputs else "") + f"{inputs}→{outputs}"
    header = ["set (peak)"] + [title(layer) for layer in layers]
    return ("GMAC/s of one thread at 128×72 (share of the int8 peak that the same program "
            "measures):\n\n" + table(header, body))


def decode_rows(options, *more):
    bench = program(options, "tests/bench/decode-bench")
    text = run([bench, "--seconds", options.seconds, *more])
    rows = []
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) >= 10 and "x" in cells[1] and cells[1][0].isdigit():
            rows.append({"profile": cells[0], "size": cells[1], "mac": float(cells[2]),
                         "cpu": float(cells[3]), "one": float(cells[4]), "two": float(cells[5]),
                         "two_cpu": float(cells[6]), "shared": float(cells[7]),
                         "shared_cpu": float(cells[8]), "gmac": float(cells[9]),
                         "memory": float(cells[10])})
    return rows


def best_peak(options, kernel_set=None):
    _, peaks = peaks_and_kernels(options)
    return peaks[kernel_set] if kernel_set else list(peaks.values())[-1]


def decode(options):
    rows = decode_rows(options)
    peak = best_peak(options)
    sizes = {}
    for r in rows:
        sizes.setdefault(r["profile"], {})[r["size"]] = r
    body = []
    for name, by_size in sizes.items():
        small, large = by_size.get("256x144"), by_size["512x288"]
        body.append([name, f"{small['cpu']:.0f}", f"{large['cpu']:.0f}", f"{large['two']:.0f}",
                     f"{large['two_cpu'] / large['cpu']:.2f}", f"{large['shared_cpu'] / large['cpu']:.2f}",
                     f"{large['gmac']:.0f} ({100 * large['gmac'] / peak:.0f} %)",
                     f"{large['memory']:.0f}"])
    with_avx2 = decode_rows(options, "--kernels", "avx2", "--size", "512x288")
    ratio = {r["profile"]: r["cpu"] / sizes[r["profile"]]["512x288"]["cpu"] for r in with_avx2}
    text = table(["profile", "256×144 per CPU s", "512×288 per CPU s", "512×288 per s, 2 threads",
                  "CPU time of 2 threads, 2 pictures", "sharing each picture",
                  f"GMAC/s (share of {peak:.0f})", "MB"], body)
    drawn = plot(options, "decode", lambda axes: bars(axes, sizes))
    return (text + "\n\n“CPU time of 2 threads”: pictures per second of processor time, as a share "
            "of what one thread does; what is below 1 is lost to sharing or to the other core. MB: "
            "largest resident memory of the process at 512×288, two threads included.\n\nWith `--kernels avx2`, share of "
            "the speed above at 512×288: " +
            ", ".join(f"{name} {value:.2f}" for name, value in ratio.items()) + ".\n" + drawn)


def bars(axes, sizes):
    for size in ("256x144", "512x288"):
        axes.plot(list(sizes), [by_size[size]["cpu"] for by_size in sizes.values()], "o-",
                  label=size.replace("x", "×"))
    axes.set_yscale("log")
    axes.set_ylabel("pictures per CPU second, one core")
    axes.tick_params(axis="x", rotation=40)
    axes.grid(True, which="both", alpha=0.3)
    axes.legend()


def growth(options):
    sizes = ["128x72", "256x144", "512x288", "1024x576", "1920x1080"]
    body, lines = [], {}
    for profile in ("xxs", "s"):
        rows = [decode_rows(options, "--profile", profile, "--size", size)[0] for size in sizes]
        lines[profile] = [r["cpu"] for r in rows]
        body.append([f"{profile}, pictures per CPU s"] + [f"{r['cpu']:.1f}" for r in rows])
        body.append([f"{profile}, MB"] + [f"{r['memory']:.0f}" for r in rows])
    text = table(["size"] + [s.replace("x", "×") for s in sizes], body)
    more = []
    for name, values in (("views", (1, 2, 4, 8, 16)), ("frames", (8, 16, 32, 64))):
        rows = [decode_rows(options, "--profile", "xs", "--size", "256x144", f"--{name}", value)[0]
                for value in values]
        more.append(table([f"xs, 256×144, {name}"] + list(map(str, values)),
                          [["pictures per CPU s"] + [f"{r['cpu']:.0f}" for r in rows],
                           ["MB"] + [f"{r['memory']:.0f}" for r in rows]]))

    def draw(axes):
        pixels = [eval(s.replace("x", "*")) for s in sizes]  # pylint: disable=eval-used
        for profile, values in lines.items():
            axes.loglog(pixels, values, "o-", label=profile)
        axes.set_xlabel("pixels of a picture")
        axes.set_ylabel("pictures per CPU second, one core")
        axes.grid(True, which="both", alpha=0.3)
        axes.legend()
    return text + "\n\n" + "\n\n".join(more) + "\n" + plot(options, "growth", draw)


def warp(options):
    bench = program(options, "tests/bench/warp-bench")
    return ("Pictures (texture and depth of one target) per second:\n\n" +
            run([bench, "--seconds", options.seconds]).strip())


def entropy(options):
    bench = program(options, "tests/bench/entropy-bench")
    return "```\n" + run([bench]).strip() + "\n```"


def ranks(options):
    """One clip of eight GOPs of four frames by 1, 2 and 4 processes, and with a killed one."""
    if not options.clip:
        return None
    encoder = program(options, "codec/tools/mvinr-encode")
    body, seconds, first = [], {}, None
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        for path in pathlib.Path(options.clip).glob("v[01]_*.mkv"):
            depth = "depth" in path.name
            raw = folder / f"{path.stem}_512x288_{'gray16le' if depth else 'yuv420p'}.yuv"
            run(["ffmpeg", "-v", "error", "-i", path, "-f", "rawvideo", "-pix_fmt",
                 "gray16le" if depth else "yuv420p", raw])
        command = [encoder, "--input-dir", folder, "--cameras",
                   pathlib.Path(options.clip) / "cameras.json", "--views", "v0,v1", "--gop", 4,
                   "--effort", 1, "--profile", "xxs", "--device", "cpu", "--threads", 1, "-q"]
        for workers in (1, 2, 4):
            output = folder / f"{workers}.mvinr"
            start = time.monotonic()
            run([*command, "--workers", workers, "-o", output])
            seconds[workers] = time.monotonic() - start
            first = first or output.read_bytes()
            body.append([f"{workers}", f"{seconds[workers]:.1f}",
                         f"{seconds[1] / seconds[workers]:.2f}",
                         "same" if output.read_bytes() == first else "DIFFERENT"])
        output, share = folder / "killed.mvinr", folder / "parts"
        start = time.monotonic()
        two = [subprocess.Popen([str(w) for w in [*command, "--share", share, "-o", output]])
               for _ in range(2)]
        while not (share / "part-000002").exists():
            time.sleep(0.05)
        two[0].kill()
        for process in two:
            process.wait()
        took = time.monotonic() - start
        body.append(["2, one killed after three GOPs", f"{took:.1f}", f"{seconds[1] / took:.2f}",
                     "same" if output.read_bytes() == first else "DIFFERENT"])
    return ("Eight GOPs of four frames of two views with depth, 512×288, `--effort 1 --threads 1`, "
            f"on {os.cpu_count()} cores:\n\n" +
            table(["processes", "seconds", "speed-up", "bytes"], body))


def peers(options):
    if not options.clip:
        return None
    run([sys.executable, ROOT / "tests" / "bench" / "peers.py", options.clip, "--build",
         options.build, "--out", options.out, "--work", options.out / "work", "--seconds",
         options.train_seconds])
    return (options.out / "peers.md").read_text()


SECTIONS = {f.__name__: f for f in (decode, growth, kernels, warp, entropy, ranks, peers)}


def update(name, text):
    document = DOC.read_text(encoding="utf-8")
    begin, end = f"<!-- begin {name} -->", f"<!-- end {name} -->"
    if begin not in document:
        sys.exit(f"performance.py: {DOC} has no mark {begin}")
    before, rest = document.split(begin)
    DOC.write_text(before + begin + "\n" + text + "\n" + end + rest.split(end)[1],
                   encoding="utf-8")


def main(arguments=None):
    options = parse(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    for name in options.sections:
        text = SECTIONS[name](options)
        if text is None:
            print(f"{name}: left out: needs --clip", flush=True)
            continue
        text = f"Measured on {time.strftime('%-d %B %Y')}.\n\n{text}"
        print(f"## {name}\n\n{text}\n", flush=True)
        (options.out / f"{name}.md").write_text(text + "\n", encoding="utf-8")
        if options.update:
            update(name, text)


if __name__ == "__main__":
    main()
