"""Measures the points of a codec's curve. Whatever is finished is kept in the store and not made
again: bitstreams, times and quality of every Part, and the synthesised views of every point."""
import dataclasses
import pathlib
import shutil
import tempfile

import hull
import metrics
import programs
import synthesis

SUMS = ("bytes", "encode_s", "encode_cpu_s", "decode_s", "decode_cpu_s")


class Bench:
    """A folder of decoded pictures that holds one Part per component at a time."""

    def __init__(self, codec, clip, root):
        self.codec, self.clip = codec, clip
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix=".decoded-", dir=root))
        self.held = {}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.folder, ignore_errors=True)

    def decode(self, part, streams):
        if all(self.held.get(c) == part for c in part.components):
            return programs.Times()
        for component in part.components:
            self.held.pop(component, None)
            for view in self.clip.views:
                self.clip.file(self.folder, view, component).unlink(missing_ok=True)
        times = self.codec.decode(self.clip, part, streams, self.folder)
        self.clip.check_decoded(self.folder, part.components)
        self.held.update({component: part for component in part.components})
        return times


class Curve:
    def __init__(self, codec, clip, store, warp, bench):
        self.codec, self.clip, self.store, self.warp, self.bench = codec, clip, store, warp, bench
        self.key = {"clip": clip.identity(), "codec": codec.identity(clip)}

    def label(self, part):
        offset = f"{part.offset:+g}" if part.offset else ""
        return f"{self.codec.name}-{part.component}-{part.setting:g}{offset}"

    def part(self, part):
        """Bitstreams' folder, and bytes, times and quality."""
        def produce(folder):
            encode = self.codec.encode(self.clip, part, folder)
            size = sum(path.stat().st_size for path in self.codec.streams(folder))
            decode = self.bench.decode(part, folder)
            result = {"bytes": size, "encode_s": encode.wall, "encode_cpu_s": encode.cpu,
                      "decode_s": decode.wall, "decode_cpu_s": decode.cpu}
            for component in part.components:
                measure = getattr(metrics, component + "_quality")
                result.update(metrics.mean(
                    measure(self.clip.original(view, component),
                            self.clip.file(self.bench.folder, view, component),
                            self.clip.width, self.clip.height, self.clip.frames)
                    for view in self.clip.views))
            return result

        return self.store.make(self.label(part), {**self.key, "part": dataclasses.asdict(part)},
                               produce)

    def point(self, quality, offset):
        """One point: sums of bytes and times, all figures of quality."""
        parts = self.codec.parts(quality, offset)
        made = [self.part(part) for part in parts]
        row = {"codec": self.codec.name, "setting": quality, "offset": offset}
        for name in SUMS:
            row[name] = sum(result[name] for _, result in made)
        for part, (_, result) in zip(parts, made):
            row[f"{part.component}_bytes"] = result["bytes"]
            row.update({k: v for k, v in result.items() if k not in SUMS})
        if self.warp:
            row.update(self.synthesis(parts, [folder for folder, _ in made]))
        return row

    def synthesis(self, parts, folders):
        targets = synthesis.targets(self.clip)
        if not targets:
            return {}

        def produce(scratch):
            for part, folder in zip(parts, folders):
                self.bench.decode(part, folder)
            return synthesis.measure(self.clip, self.store, self.warp, self.bench.folder, scratch)

        key = {**self.key, "parts": [dataclasses.asdict(part) for part in parts],
               "targets": [dataclasses.asdict(t) for t in targets], **self.warp.identity()}
        label = "synthesis-" + "-".join(self.label(p) for p in parts[-1:])
        return self.store.make(label, key, produce)[1]


def measure(codec, clip, store, warp, report):
    """All points of a codec; `report(row)` is called for each. The rows say with "chosen" which
    depth offset belongs to the curve."""
    # Without synthesised views there is nothing to choose by.
    offsets = codec.depth_offsets if warp and synthesis.targets(clip) else (0,)
    rows = []
    with Bench(codec, clip, store.root) as bench:
        curve = Curve(codec, clip, store, warp, bench)
        for quality in codec.qualities():
            for offset in offsets:
                rows.append(curve.point(quality, offset))
                report(rows[-1])
    name = "synthesis_psnr" if "synthesis_psnr" in rows[0] else "left_out_psnr"
    points = {}
    for row in rows:
        points.setdefault(row["setting"], {})[row["offset"]] = (row["bytes"], row.get(name, 0.0))
    chosen = hull.choose_offsets(points)
    for row in rows:
        row["chosen"] = chosen[row["setting"]] == row["offset"]
    return rows
