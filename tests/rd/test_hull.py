import math
import unittest

import hull


def point(rate, slope=6.0, loss=0.0):
    """On a curve that wins `slope` dB per doubling, or `loss` dB below it."""
    return rate, 30 + slope * math.log2(rate / 100) - loss


class DepthOffsets(unittest.TestCase):
    def test_the_offset_on_the_best_curve_is_chosen_for_every_point(self):
        points = {
            27: {-5: point(500, loss=0.8), 0: point(400, loss=0.3), 5: point(350),
                 10: point(330, loss=1)},
            32: {-5: point(250, loss=0.5), 0: point(200), 5: point(180, loss=0.4),
                 10: point(170, loss=0.9)},
            37: {-5: point(120), 0: point(100, loss=0.2), 5: point(90, loss=0.6),
                 10: point(85, loss=2)},
        }
        self.assertEqual(hull.choose_offsets(points), {27: 5, 32: 0, 37: -5})

    def test_saved_depth_bits_win_where_they_cost_no_quality(self):
        points = {q: {o: (rate - 5 * o, 30 + q) for o in (-5, 0, 5, 10)}
                  for q, rate in ((1, 100), (2, 200))}
        self.assertEqual(hull.choose_offsets(points), {1: 10, 2: 10})

    def test_a_single_point_or_no_measure_keeps_offset_zero(self):
        self.assertEqual(hull.choose_offsets({27: {-5: (120, 35), 0: (100, 34), 5: (90, 33)}}),
                         {27: 0})
        self.assertEqual(hull.choose_offsets({27: {0: (100, 0.0)}, 32: {0: (50, 0.0)}}),
                         {27: 0, 32: 0})
