"""The whole tool, from clip folder to tables and plots, with x265."""
import contextlib
import csv
import io
import pathlib
import shutil
import subprocess
import tempfile
import unittest

import numpy as np

import programs
import testing


def write_videos(folder, views=2, size=(64, 48), frames=2):
    """A clip of moving gratings, as FFV1."""
    testing.write_clip(folder, [(0, -0.1 * v, 0) for v in range(views)], frames, size)
    width, height = size
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    for v in range(views):
        luma = [128 + 90 * np.sin((x + 3 * n + 5 * v) / 6) * np.cos(y / 9) for n in range(frames)]
        texture = b"".join(p.astype("u1").tobytes() + bytes([128]) * (width * height // 2)
                           for p in luma)
        depth = b"".join((p * 200).astype("<u2").tobytes() for p in luma)
        for component, pixels, data in (("texture", "yuv420p", texture),
                                        ("depth", "gray16le", depth)):
            subprocess.run(["ffmpeg", "-v", "error", "-y", "-f", "rawvideo", "-s",
                            f"{width}x{height}", "-r", "30", "-pix_fmt", pixels, "-i", "-", "-c:v",
                            "ffv1", str(folder / f"v{v}_{component}.mkv")], input=data, check=True)


class Tool(unittest.TestCase):
    def setUp(self):
        try:
            import rd
        except (ImportError, SystemExit):
            self.skipTest("matplotlib is missing")
        if not shutil.which("ffmpeg") or "x265" not in programs.output(
                ["ffmpeg", "-hide_banner", "-h", "encoder=libx265"]):
            self.skipTest("ffmpeg with libx265 is missing")
        self.main = rd.main
        self.temporary = tempfile.TemporaryDirectory()
        self.addCleanup(self.temporary.cleanup)
        self.folder = pathlib.Path(self.temporary.name)
        write_videos(self.folder / "grating")

    def run_tool(self, *arguments, status=0):
        output = io.StringIO()
        with contextlib.redirect_stdout(output), self.assertRaises(SystemExit) as end:
            self.main([*arguments, "--work", str(self.folder / "work"), "--out",
                       str(self.folder / "out"), "--build", str(self.folder)])
        self.assertEqual(end.exception.code or 0, status)
        return output.getvalue()

    def test_curve_of_a_clip_folder(self):
        command = ("curve", str(self.folder / "grating"), "--codecs", "x265,tmiv", "--crfs",
                   "20,40", "--x265-preset", "ultrafast", "--size", "32x24")
        first = self.run_tool(*command)
        self.assertIn("grating: 2 views, 2 frames of 32x24", first)
        self.assertIn("tmiv is left out: program tmiv-encoder", first)
        self.assertIn("no synthesised views", first)
        with open(self.folder / "out" / "points.csv", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        self.assertEqual([row["setting"] for row in rows], ["20", "40"])
        self.assertGreater(int(rows[0]["bytes"]), int(rows[1]["bytes"]))
        self.assertGreater(float(rows[0]["y_psnr"]), float(rows[1]["y_psnr"]))
        self.assertGreater(float(rows[0]["depth_psnr"]), 30)
        for name in ("bd-rate.csv", "bd-rate.md", "grating.png", "grating.svg"):
            self.assertTrue((self.folder / "out" / name).exists(), name)
        self.assertIn("(stored)", self.run_tool(*command))

    def test_a_folder_that_cannot_be_written_is_named(self):
        (self.folder / "work").write_text("a file")
        with self.assertRaises(SystemExit) as end:
            with contextlib.redirect_stdout(io.StringIO()):
                self.main(["curve", str(self.folder / "grating"), "--codecs", "x265", "--work",
                           str(self.folder / "work"), "--out", str(self.folder / "out")])
        self.assertRegex(str(end.exception.code), "^rd.py: .*work.*(exists|Not a directory)")

    def test_a_codec_that_fails_is_named_and_the_others_go_on(self):
        broken = testing.script(self.folder / "vvencapp", "import sys; sys.exit('out of licences')")
        found = testing.script(self.folder / "vvdecapp", "")
        text = self.run_tool("curve", str(self.folder / "grating"), "--codecs", "vvenc,x265",
                             "--crfs", "40", "--x265-preset", "ultrafast", "--program",
                             f"vvencapp={broken}", "--program", f"vvdecapp={found}", status=1)
        self.assertIn("vvenc is left out", text)
        self.assertIn("out of licences", text)
        self.assertIn("x265 40:", text)
