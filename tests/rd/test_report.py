import csv
import pathlib
import tempfile
import unittest

import report


def rows():
    result = []
    for codec, factor in (("x265", 1.0), ("mvinr-hybrid", 0.5)):
        for i in range(4):
            result.append({"clip": "c", "codec": codec, "setting": i, "offset": 0, "chosen": True,
                           "bytes": 1000 * 2 ** i * factor, "y_psnr": 30.0 + i,
                           "yuv_psnr": 31.0 + i, "ms_ssim": 1 - 0.1 / 2 ** i,
                           "depth_psnr": 40.0 + i, "encode_s": 1.5})
    result.append({**result[0], "offset": 5, "chosen": False, "bytes": 1})
    return result


class Report(unittest.TestCase):
    def test_bd_rate_of_half_the_bytes_is_minus_50(self):
        table = report.bd_table(rows(), "x265")
        self.assertEqual(list(table), ["mvinr-hybrid"])
        for measure in ("y_psnr", "yuv_psnr", "ms_ssim", "depth_psnr"):
            self.assertAlmostEqual(table["mvinr-hybrid"][measure], -50, places=6)
        self.assertNotIn("synthesis_psnr", table["mvinr-hybrid"])

    def test_the_table_says_what_is_missing_and_why(self):
        data = [r for r in rows() if r["codec"] == "x265" or r["setting"] < 1]
        text = report.markdown({"c": report.bd_table(data, "x265")}, "x265",
                               {"vvenc": "program vvencapp is not found"})
        self.assertIn("| c | mvinr-hybrid | no overlap |", text)
        self.assertIn("Left out: vvenc: program vvencapp is not found", text)

    def test_ms_ssim_is_compared_on_a_logarithmic_scale(self):
        self.assertAlmostEqual(report.decibel("ms_ssim", 0.99), 20)
        self.assertEqual(report.decibel("y_psnr", 33.0), 33.0)

    def test_csv_has_all_points_with_the_choice(self):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder, "points.csv")
            report.write_points(path, rows())
            with open(path, encoding="utf-8") as file:
                read = list(csv.DictReader(file))
        self.assertEqual(len(read), 9)
        self.assertEqual([r["chosen"] for r in read].count("True"), 8)
        self.assertEqual(read[0]["synthesis_psnr"], "")

    def test_plots_are_written_as_png_and_svg(self):
        try:
            import plots
        except ImportError:
            self.skipTest("matplotlib is missing")
        with tempfile.TemporaryDirectory() as folder:
            plots.draw(pathlib.Path(folder, "c"), rows(), "c", "x265", {"x265": "x265 slow"})
            self.assertEqual(pathlib.Path(folder, "c.png").read_bytes()[:4], b"\x89PNG")
            self.assertIn("BD-rate against x265 slow",
                          pathlib.Path(folder, "c.svg").read_text(encoding="utf-8"))
