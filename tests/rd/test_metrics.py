import pathlib
import tempfile
import unittest

import numpy as np

import metrics
from errors import RdError


def plain_ms_ssim(a, b):
    """MS-SSIM as the paper writes it: windows one by one, two-dimensional weights."""
    x = np.arange(11) - 5
    window = np.exp(-(x[:, None] ** 2 + x[None, :] ** 2) / (2 * 1.5 ** 2))
    window /= window.sum()
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    exponents = [0.0448, 0.2856, 0.3001, 0.2363, 0.1333]
    possible = [s for s in range(5) if min(a.shape) // 2 ** s >= 11]
    share = sum(exponents) / sum(exponents[s] for s in possible)
    a, b, result = a.astype(float), b.astype(float), 1.0
    for s in possible:
        contrast, luminance = [], []
        for i in range(a.shape[0] - 10):
            for j in range(a.shape[1] - 10):
                p, q = a[i:i + 11, j:j + 11], b[i:i + 11, j:j + 11]
                mp, mq = (window * p).sum(), (window * q).sum()
                vp, vq = (window * (p - mp) ** 2).sum(), (window * (q - mq) ** 2).sum()
                cov = (window * (p - mp) * (q - mq)).sum()
                contrast.append((2 * cov + c2) / (vp + vq + c2))
                luminance.append((2 * mp * mq + c1) / (mp * mp + mq * mq + c1))
        values = np.array(contrast)
        if s == possible[-1]:
            values = values * np.array(luminance)
        result *= values.mean() ** (exponents[s] * share)
        half = [v[:v.shape[0] // 2 * 2, :v.shape[1] // 2 * 2] for v in (a, b)]
        a, b = (np.array([[v[i:i + 2, j:j + 2].mean() for j in range(0, v.shape[1], 2)]
                          for i in range(0, v.shape[0], 2)]) for v in half)
    return result


class Psnr(unittest.TestCase):
    def test_of_a_known_error(self):
        a, b = np.zeros((4, 4), np.uint8), np.full((4, 4), 5, np.uint8)
        self.assertEqual(metrics.squared_error(a, b), 16 * 25)
        # 10 log10(255^2 / 25) = 20 log10 51
        self.assertAlmostEqual(metrics.psnr(16 * 25, 16, 255), 34.1514035, places=6)
        self.assertEqual(metrics.psnr(0, 16, 255), metrics.IDENTICAL)

    def test_errors_of_16_bits_do_not_overflow(self):
        a, b = np.zeros((100, 100), np.uint16), np.full((100, 100), 65535, np.uint16)
        self.assertEqual(metrics.squared_error(a, b), 10000 * 65535 ** 2)
        self.assertAlmostEqual(metrics.psnr(10000 * 65535 ** 2, 10000, 65535), 0)

    def test_yuv_is_weighted_6_1_1(self):
        self.assertAlmostEqual(metrics.yuv_psnr(30, 38, 46), (180 + 38 + 46) / 8)

    def test_of_files_is_that_of_the_mean_error_over_pictures(self):
        with tempfile.TemporaryDirectory() as folder:
            a, b = pathlib.Path(folder, "a"), pathlib.Path(folder, "b")
            size = 16 * 16 * 3 // 2
            np.zeros(2 * size, np.uint8).tofile(a)
            values = np.zeros((2, size), np.uint8)
            values[0] += 2  # mean squared errors 4 and 16: mean 10
            values[1] += 4
            values.tofile(b)
            quality = metrics.texture_quality(a, b, 16, 16, 2, with_ssim=False)
        self.assertAlmostEqual(quality["y_psnr"], 10 * np.log10(255 ** 2 / 10))
        self.assertAlmostEqual(quality["y_psnr_pictures"],
                               (10 * np.log10(255 ** 2 / 4) + 10 * np.log10(255 ** 2 / 16)) / 2)

    def test_depth_is_judged_at_16_bits(self):
        with tempfile.TemporaryDirectory() as folder:
            a, b = pathlib.Path(folder, "a"), pathlib.Path(folder, "b")
            np.full(32, 1000, "<u2").tofile(a)
            np.full(32, 1100, "<u2").tofile(b)
            quality = metrics.depth_quality(a, b, 8, 4, 1)
        self.assertAlmostEqual(quality["depth_psnr"], 20 * np.log10(65535 / 100))

    def test_a_short_file_is_named(self):
        with tempfile.TemporaryDirectory() as folder:
            a = pathlib.Path(folder, "short.yuv")
            np.zeros(100, np.uint8).tofile(a)
            with self.assertRaisesRegex(RdError, "short.yuv ends in picture 0 of 1"):
                metrics.texture_quality(a, a, 16, 16, 1)

    def test_odd_sizes_have_chroma_of_half_the_size_rounded_up(self):
        self.assertEqual(metrics.plane_shapes("texture", 5, 3), [(3, 5), (2, 3), (2, 3)])


class MsSsim(unittest.TestCase):
    def pair(self, height, width, noise):
        generator = np.random.default_rng(height)
        a = generator.integers(0, 256, (height, width))
        a = (a + np.roll(a, 1, 0) + np.roll(a, 1, 1)) // 3
        b = np.clip(a + generator.integers(-noise, noise + 1, a.shape), 0, 255)
        return a.astype(np.uint8), b.astype(np.uint8)

    def test_equals_a_plain_reading_of_the_paper(self):
        for height, width, noise in ((24, 31, 20), (47, 50, 60), (12, 11, 5)):
            a, b = self.pair(height, width, noise)
            self.assertAlmostEqual(metrics.ms_ssim(a, b), plain_ms_ssim(a, b), places=10)

    def test_identical_pictures_have_one(self):
        a, _ = self.pair(180, 200, 1)
        self.assertAlmostEqual(metrics.ms_ssim(a, a), 1, places=12)

    def test_uses_the_scales_that_have_room(self):
        self.assertEqual([metrics.scales(h, 2000) for h in (10, 11, 22, 144, 176, 1080)],
                         [0, 1, 2, 4, 5, 5])

    def test_a_picture_without_room_is_an_error(self):
        with self.assertRaises(RdError):
            metrics.ms_ssim(np.zeros((8, 8), np.uint8), np.zeros((8, 8), np.uint8))
