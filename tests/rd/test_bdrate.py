import math
import unittest

import numpy as np

import bdrate

# A published-style pair of curves (kbit/s, dB).
ANCHOR = [(9487.76, 40.037), (4593.60, 38.615), (2486.44, 36.845), (1358.24, 34.851)]
TEST = [(9787.80, 40.121), (4469.00, 38.651), (2451.52, 36.970), (1356.24, 34.987)]


class BdRate(unittest.TestCase):
    def test_a_curve_against_itself_is_zero(self):
        self.assertAlmostEqual(bdrate.bd_rate(ANCHOR, ANCHOR), 0, places=9)

    def test_a_constant_factor_is_that_factor(self):
        for factor in (0.6, 1.25, 2):
            scaled = [(rate * factor, quality) for rate, quality in ANCHOR]
            self.assertAlmostEqual(bdrate.bd_rate(ANCHOR, scaled), (factor - 1) * 100, places=9)

    def test_two_points_are_a_straight_line_that_can_be_computed_by_hand(self):
        # The logarithm of the ratio goes linearly from ln 0.9 to ln 0.75.
        value = bdrate.bd_rate([(100, 30), (200, 33)], [(90, 30), (150, 33)])
        self.assertAlmostEqual(value, (math.sqrt(0.9 * 0.75) - 1) * 100, places=9)

    def test_only_the_common_range_of_quality_counts(self):
        # Two lines over 30..33 and 31..34 dB: between 31 and 33 the ratios are 0.5 and 0.5.
        anchor = [(100 * 2 ** ((q - 30) / 3), q) for q in (30, 33)]
        test = [(50 * 2 ** ((q - 30) / 3), q) for q in (31, 34)]
        self.assertEqual(bdrate.overlap(anchor, test), (31, 33))
        self.assertAlmostEqual(bdrate.bd_rate(anchor, test), -50, places=9)

    def test_equals_another_implementation(self):
        # By SciPy 1.17: PchipInterpolator(dB, ln rate).integrate over the common range.
        self.assertAlmostEqual(bdrate.bd_rate(ANCHOR, TEST), -4.41748535, places=6)

    def test_order_of_the_points_does_not_matter(self):
        self.assertEqual(bdrate.bd_rate(ANCHOR, TEST), bdrate.bd_rate(ANCHOR[::-1], TEST))

    def test_a_point_that_costs_more_for_less_is_ignored(self):
        worse = ANCHOR + [(5000, 38.0)]
        self.assertAlmostEqual(bdrate.bd_rate(worse, TEST), bdrate.bd_rate(ANCHOR, TEST), places=9)

    def test_curves_without_common_quality_have_no_bd_rate(self):
        with self.assertRaises(bdrate.NoOverlap):
            bdrate.bd_rate([(1, 30), (2, 31)], [(1, 32), (2, 33)])
        with self.assertRaises(bdrate.NoOverlap):
            bdrate.bd_rate([(1, 30)], [(1, 29), (2, 33)])

    def test_interpolation_is_monotone_and_meets_the_points(self):
        x, y = np.array([0, 1, 2, 3.0]), np.array([0, 0.1, 5, 5.1])
        fine = [bdrate.integral(x, y, a, a + 0.01) for a in np.arange(0, 2.99, 0.01)]
        self.assertTrue(np.all(np.diff(fine) > -1e-12))
        self.assertAlmostEqual(bdrate.integral(x, y, 1 - 1e-6, 1) / 1e-6, 0.1, places=4)
