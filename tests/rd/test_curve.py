import pathlib
import shutil
import tempfile
import unittest

import numpy as np

import curve
import programs
import report
import synthesis
import testing
from cache import Store
from coders.base import Simulcast, Whole
from errors import Unavailable
from programs import Times


class Coarse(Simulcast):
    """Drops low bits: more for a larger setting. Its streams are as long as the setting says."""
    name = "coarse"

    def __init__(self, settings=(1, 2, 3)):  # pylint: disable=super-init-not-called
        self.settings, self.encoded, self.decoded, self.fail_at = settings, [], [], None

    def qualities(self):
        return list(self.settings)

    def identity(self, clip):
        return {"codec": self.name}

    def encode(self, clip, part, folder):
        if part == self.fail_at:
            raise KeyboardInterrupt
        self.encoded.append(part)
        size = (800 if part.component == "texture" else 400) // 2 ** int(part.setting // 5 + 2)
        for view in clip.views:
            (folder / f"{view}.bit").write_bytes(bytes(size + 20 - int(part.setting)))
        return Times(2, 3)

    def decode(self, clip, part, folder, out):
        self.decoded.append(part)
        for view in clip.views:
            dtype = np.dtype("u1" if part.component == "texture" else "<u2")
            step = dtype.type(2 + int(part.setting) + 5)
            values = np.fromfile(clip.original(view, part.component), dtype)
            (values // step * step).astype(dtype).tofile(clip.file(out, view, part.component))
        return Times(0.5, 0.25)


class Together(Whole, Coarse):
    name = "together"

    def encode(self, clip, part, folder):
        self.encoded.append(part)
        (folder / "all.bit").write_bytes(bytes(1000 - 10 * int(part.setting)))
        return Times(2, 3)

    def decode(self, clip, part, folder, out):
        for component in part.components:
            Coarse.decode(self, clip, type(part)(component, part.setting), folder, out)
        return Times(0.5, 0.25)


class CopyWarp:
    """Stands for mvinr-warp: "renders" by copying the first base."""

    def __init__(self):
        self.rendered = []

    def identity(self):
        return {"warp": 1}

    def render(self, clip, folder, target, out):
        self.rendered.append((str(folder), target.name))
        path = pathlib.Path(out) / f"{target.name}.yuv"
        shutil.copy(clip.file(folder, target.bases[0], "texture"), path)
        return path


# mvinr-warp: "renders" the first base, and says what it was asked for.
WARP = """
import sys, shutil, os
words = [w for w in sys.argv[1:] if w not in ('--no-depth', '-q')]
a = dict(zip(words[::2], words[1::2]))
name = a['--target'].replace(':', '-')
source = a['--views'].split(',')[0] + '_texture_64x48_yuv420p.yuv'
assert os.path.exists(a['--cameras']) and a['--frames'] == '2', a
shutil.copy(os.path.join(a['--input-dir'], source),
            os.path.join(a['-o'], name + '_texture_64x48_yuv420p.yuv'))
"""


class CurveTest(unittest.TestCase):
    def setUp(self):
        self.temporary = tempfile.TemporaryDirectory()
        self.addCleanup(self.temporary.cleanup)
        self.folder = pathlib.Path(self.temporary.name)
        self.clip = testing.raw_clip(self.folder, positions=[(0, -i, 0) for i in range(3)])
        self.store = Store(self.folder / "work")
        self.lines = []

    def measure(self, codec, warp):
        return curve.measure(codec, self.clip, self.store, warp, self.lines.append)

    def test_rate_is_every_byte_and_times_are_sums(self):
        rows = self.measure(Coarse((1,)), None)
        row = rows[0]
        self.assertEqual(row["bytes"], 3 * (200 + 19) + 3 * (100 + 19))
        self.assertEqual(row["bytes"], row["texture_bytes"] + row["depth_bytes"])
        self.assertEqual((row["encode_s"], row["decode_cpu_s"]), (4, 0.5))
        self.assertTrue(row["chosen"])

    def test_quality_falls_with_the_setting(self):
        rows = self.measure(Coarse(), None)
        for name in ("y_psnr", "yuv_psnr", "ms_ssim", "depth_psnr"):
            values = [row[name] for row in rows]
            self.assertEqual(values, sorted(values, reverse=True), name)

    def test_every_texture_setting_is_tried_with_every_depth_offset_and_one_is_chosen(self):
        warp = CopyWarp()
        rows = self.measure(Coarse((7, 12)), warp)
        self.assertEqual([(r["setting"], r["offset"]) for r in rows],
                         [(q, o) for q in (7, 12) for o in (-5, 0, 5, 10)])
        self.assertEqual(sum(r["chosen"] for r in rows if r["setting"] == 7), 1)
        # The stand-in ignores depth, so the cheapest depth is the best.
        self.assertEqual({r["offset"] for r in rows if r["chosen"]}, {10})
        self.assertEqual(len(report.curve(rows, "coarse", "synthesis_psnr")), 2)

    def test_parts_are_shared_between_points(self):
        codec = Coarse((7, 12))
        self.measure(codec, CopyWarp())
        # 2 textures; depth settings 2, 7, 12, 17 and 7, 12, 17, 22.
        self.assertEqual(len(codec.encoded), 2 + 5)

    def test_synthesis_is_compared_with_the_renderer_on_uncompressed_input(self):
        warp = CopyWarp()
        rows = self.measure(Coarse((1,)), warp)
        originals = [name for folder, name in warp.rendered if folder == str(self.clip.raw)]
        self.assertEqual(originals, ["v0-v1", "v1-v2"])
        # The stand-in shows view 0 and 1 themselves.
        self.assertLess(abs(rows[0]["synthesis_psnr"] - rows[0]["y_psnr"]), 1)

    def test_a_second_run_does_nothing(self):
        first = self.measure(Coarse((7, 12)), CopyWarp())
        codec, warp = Coarse((7, 12)), CopyWarp()
        self.assertEqual(self.measure(codec, warp), first)
        self.assertEqual((codec.encoded, codec.decoded, warp.rendered), ([], [], []))

    def test_an_interrupted_run_goes_on_where_it_was(self):
        codec = Coarse()
        codec.fail_at = codec.parts(2, 0)[1]
        with self.assertRaises(KeyboardInterrupt):
            self.measure(codec, None)
        self.assertEqual(len(codec.encoded), 3)
        left = [p.name for p in self.store.root.iterdir() if p.name.startswith(".")]
        self.assertEqual(left, [])
        again = Coarse()
        self.assertEqual(len(self.measure(again, None)), 3)
        self.assertEqual(again.encoded, [again.parts(2, 0)[1], *again.parts(3, 0)])

    def test_a_codec_without_separate_depth_has_one_stream(self):
        row = self.measure(Together((3,)), CopyWarp())[0]
        self.assertEqual((row["bytes"], row["all_bytes"]), (970, 970))
        self.assertIn("depth_psnr", row)
        self.assertIn("synthesis_psnr", row)

    def test_views_left_out_are_compared_with_the_real_picture(self):
        folder = self.folder / "second"
        self.clip = testing.raw_clip(folder, positions=[(0, -i, 0) for i in range(3)],
                                     left_out=["v1"])
        row = self.measure(Coarse((1,)), CopyWarp())[0]
        self.assertIn("left_out_psnr", row)
        self.assertLess(row["left_out_psnr"], 40)  # view 0 is not view 1
        self.assertIn("synthesis_psnr", row)

    def test_mvinr_warp_is_called_for_half_way_and_left_out_cameras(self):
        testing.script(self.folder / "mvinr-warp", WARP)
        found = programs.Programs({"mvinr-warp": str(self.folder / "mvinr-warp")}, "none")
        warp = synthesis.Warp(found)
        warp.check()
        for target in (synthesis.Target(("v1", "v2")), synthesis.Target(("v0", "v2"), "v1")):
            out = self.folder / f"out-{target.name}"
            out.mkdir()
            path = warp.render(self.clip, self.clip.raw, target, out)
            self.assertEqual(path.read_bytes(),
                             self.clip.original(target.bases[0], "texture").read_bytes())

    def test_without_mvinr_warp_the_message_names_it(self):
        warp = synthesis.Warp(programs.Programs({}, "none"))
        if not warp.path:
            with self.assertRaisesRegex(Unavailable, "--program mvinr-warp=PATH"):
                warp.check()
