"""Tables: all points as CSV, BD-rate as CSV and Markdown."""
import csv
import math

import bdrate

COLUMNS = ("clip", "codec", "setting", "offset", "chosen", "bytes", "texture_bytes", "depth_bytes",
           "y_psnr", "yuv_psnr", "ms_ssim", "depth_psnr", "synthesis_psnr", "left_out_psnr",
           "y_psnr_pictures", "depth_psnr_pictures",
           "encode_s", "encode_cpu_s", "decode_s", "decode_cpu_s")
# (column, heading); the first three and the last two are what issue and papers ask for.
MEASURES = (("y_psnr", "Y-PSNR"), ("yuv_psnr", "YUV-PSNR"), ("ms_ssim", "MS-SSIM"),
            ("depth_psnr", "depth PSNR"), ("synthesis_psnr", "synthesised views"),
            ("left_out_psnr", "views left out"))


def decibel(name, value):
    """MS-SSIM on a scale on which equal steps look equal: -10 log10(1 - x)."""
    return -10 * math.log10(max(1 - value, 1e-10)) if name == "ms_ssim" else value


def curve(rows, codec, measure):
    """(bytes, quality) of the chosen points."""
    return [(row["bytes"], decibel(measure, row[measure])) for row in rows
            if row["codec"] == codec and row["chosen"] and row.get(measure) is not None]


def codecs_of(rows):
    return list(dict.fromkeys(row["codec"] for row in rows))


def bd_table(rows, anchor):
    """{codec: {measure: per cent, or the reason why there is none}}"""
    table = {}
    for codec in codecs_of(rows):
        if codec == anchor:
            continue
        table[codec] = {}
        for measure, _ in MEASURES:
            test, base = curve(rows, codec, measure), curve(rows, anchor, measure)
            if not test or not base:
                continue
            try:
                table[codec][measure] = bdrate.bd_rate(base, test)
            except bdrate.NoOverlap:
                table[codec][measure] = None
    return table


def number(value):
    if isinstance(value, float):
        return f"{value:.6g}" if abs(value) < 1e4 else f"{value:.1f}"
    return value


def write_points(path, rows):
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, extrasaction="ignore", restval="")
        writer.writeheader()
        for row in rows:
            writer.writerow({name: number(value) for name, value in row.items()})


def write_bd(path, tables, anchor):
    """tables: {clip: bd_table}"""
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["clip", "anchor", "codec"] + [name for name, _ in MEASURES])
        for clip, table in tables.items():
            for codec, values in table.items():
                writer.writerow([clip, anchor, codec] + [
                    "" if values.get(name) is None else f"{values[name]:.2f}"
                    for name, _ in MEASURES])


def markdown(tables, anchor, left_out):
    """The BD-rate table; left_out: {codec: message} of codecs that could not run."""
    lines = [f"BD-rate against {anchor}, per cent more (+) or fewer (-) bytes at equal quality.",
             "", "| clip | codec | " + " | ".join(heading for _, heading in MEASURES) + " |",
             "|---|---|" + "---|" * len(MEASURES)]
    for clip, table in tables.items():
        for codec, values in table.items():
            cells = ["-" if name not in values else "no overlap" if values[name] is None
                     else f"{values[name]:+.1f}" for name, _ in MEASURES]
            lines.append(f"| {clip} | {codec} | " + " | ".join(cells) + " |")
    lines += [""] + [f"Left out: {codec}: {message}" for codec, message in left_out.items()]
    return "\n".join(lines).rstrip() + "\n"


def describe(row):
    """One line for the terminal."""
    offset = f" depth {row['offset']:+g}" if row["offset"] else ""
    parts = [f"{row['codec']} {row['setting']:g}{offset}: {row['bytes'] / 1000:.1f} kB",
             f"Y {row['y_psnr']:.2f}", f"depth {row['depth_psnr']:.2f}"]
    for name, heading in (("synthesis_psnr", "synthesised"), ("left_out_psnr", "left out")):
        if row.get(name) is not None:
            parts.append(f"{heading} {row[name]:.2f}")
    return "  ".join(parts) + " dB"
