"""Rate-distortion curves as PNG and SVG."""
import matplotlib

matplotlib.use("Agg")
# pylint: disable=wrong-import-position
from matplotlib import pyplot, ticker

import coders
import report

# Okabe and Ito's colours, distinct for colour-blind readers too, each with its own marker.
STYLES = [("#000000", "o"), ("#0072B2", "s"), ("#D55E00", "^"), ("#009E73", "D"), ("#CC79A7", "v"),
          ("#E69F00", "P"), ("#56B4E9", "X"), ("#8C8C00", "*")]
AXES = {"y_psnr": "Y-PSNR of coded textures, dB", "yuv_psnr": "YUV-PSNR (6:1:1) of textures, dB",
        "ms_ssim": "MS-SSIM of textures, dB", "depth_psnr": "PSNR of depth, dB",
        "synthesis_psnr": "Y-PSNR of synthesised views, dB",
        "left_out_psnr": "Y-PSNR of views left out, dB"}


def kilobytes(value, _=None):
    return f"{value:g}"


def style(codec):
    """The same for a codec in every plot."""
    known = list(coders.CODECS)
    return STYLES[known.index(codec) % len(STYLES)] if codec in known else ("#666666", ".")


def panel(axes, rows, measure, titles, table):
    rates = []
    for codec in report.codecs_of(rows):
        color, marker = style(codec)
        points = sorted(report.curve(rows, codec, measure))
        if not points:
            continue
        label = titles.get(codec, codec)
        value = table.get(codec, {}).get(measure)
        if value is not None:
            label += f"  ({value:+.1f} %)"
        x, y = [rate / 1000 for rate, _ in points], [quality for _, quality in points]
        rates += x
        axes.plot(x, y, color=color, marker=marker, markersize=6, linewidth=1.6, label=label)
    axes.set_xscale("log")
    ticks = [m * 10 ** e for e in range(-3, 7) for m in (1, 1.5, 2, 3, 5, 7)]
    axes.xaxis.set_major_locator(ticker.FixedLocator(ticks))
    axes.xaxis.set_minor_locator(ticker.NullLocator())
    axes.xaxis.set_major_formatter(kilobytes)
    axes.set_xlim(min(rates) / 1.15, max(rates) * 1.15)
    axes.set_xlabel("all textures and depths, kB (logarithmic)")
    axes.set_ylabel(AXES[measure])
    axes.grid(True, color="#dddddd", linewidth=0.7)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="lower right", fontsize=9)


def draw(path, rows, clip, anchor, titles):
    """One figure for a clip: a panel for each measure that was taken. Writes PATH.png, PATH.svg."""
    measures = [name for name in AXES if any(row.get(name) is not None for row in rows)]
    table = report.bd_table(rows, anchor)
    columns = min(2, len(measures))
    lines = (len(measures) + columns - 1) // columns
    figure, grid = pyplot.subplots(lines, columns, figsize=(6.4 * columns, 4.6 * lines),
                                   squeeze=False, layout="constrained")
    cells = list(grid.flat)
    for axes, measure in zip(cells, measures):
        panel(axes, rows, measure, titles, table)
    for axes in cells[len(measures):]:
        axes.set_visible(False)
    figure.suptitle(f"{clip}\nin brackets: BD-rate against {titles.get(anchor, anchor)}",
                    fontsize=12)
    for suffix in (".png", ".svg"):
        figure.savefig(str(path) + suffix, dpi=130)
    pyplot.close(figure)
