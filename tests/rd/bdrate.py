"""Bjøntegaard's measure: the mean difference of rate at equal quality (VCEG-M33), with the
piecewise cubic Hermite interpolation of JCTVC-L1100 (PCHIP), which does not overshoot."""
import numpy as np


class NoOverlap(ValueError):
    """The curves share no range of quality (or have too few points)."""


def pchip_slopes(x, y):
    """Slopes at the points as Fritsch and Butland choose them: monotone where the data are."""
    h, d = np.diff(x), np.diff(y) / np.diff(x)
    if len(x) == 2:
        return np.array([d[0], d[0]])
    slopes = np.zeros(len(x))
    w1, w2 = 2 * h[1:] + h[:-1], h[1:] + 2 * h[:-1]
    rising = d[:-1] * d[1:] > 0
    slopes[1:-1][rising] = ((w1 + w2)[rising] /
                            (w1[rising] / d[:-1][rising] + w2[rising] / d[1:][rising]))

    def end(h0, h1, d0, d1):  # three points, kept monotone
        slope = ((2 * h0 + h1) * d0 - h0 * d1) / (h0 + h1)
        if slope * d0 <= 0:
            return 0.0
        return 3 * d0 if d0 * d1 <= 0 and abs(slope) > 3 * abs(d0) else slope

    slopes[0] = end(h[0], h[1], d[0], d[1])
    slopes[-1] = end(h[-1], h[-2], d[-1], d[-2])
    return slopes


def integral(x, y, low, high):
    """Integral of the interpolation from low to high, both inside x."""
    m, h = pchip_slopes(x, y), np.diff(x)
    d = np.diff(y) / h
    c2, c3 = (3 * d - 2 * m[:-1] - m[1:]) / h, (m[:-1] + m[1:] - 2 * d) / (h * h)

    def antiderivative(i, t):
        return t * (y[i] + t * (m[i] / 2 + t * (c2[i] / 3 + t * c3[i] / 4)))

    total = 0.0
    for i, left in enumerate(x[:-1]):
        a, b = max(low, left), min(high, x[i + 1])
        if b > a:
            total += antiderivative(i, b - left) - antiderivative(i, a - left)
    return total


def _curve(points):
    """(rate, quality) as quality rising and log rate. Points that cost more for less quality than
    another one are left out: nobody would use them, and a curve must be a function."""
    kept = []
    for rate, quality in sorted(points):
        if not kept or quality > kept[-1][1]:
            kept.append((rate, quality))
    if len(kept) < 2:
        raise NoOverlap("fewer than two usable points")
    return np.array([q for _, q in kept]), np.log([r for r, _ in kept])


def overlap(anchor, test):
    """The range of quality that both curves have."""
    a, b = _curve(anchor)[0], _curve(test)[0]
    low, high = max(a[0], b[0]), min(a[-1], b[-1])
    if high <= low:
        raise NoOverlap("the curves share no range of quality")
    return float(low), float(high)


def bd_rate(anchor, test):
    """Per cent more (+) or fewer (-) bytes of `test` at equal quality; both: (rate, quality)."""
    low, high = overlap(anchor, test)
    difference = (integral(*_curve(test), low, high) - integral(*_curve(anchor), low, high)) / (
        high - low)
    return float((np.exp(difference) - 1) * 100)
