"""Which depth quantiser goes with which texture quantiser: a Lagrangian choice."""
import math


def choose_offsets(points, rounds=8):
    """points: {quality setting: {offset: (bytes, dB)}}; returns {quality setting: offset}.

    For each texture quantiser, the offset that maximises dB - slope * log2(bytes), where slope is
    what a doubling of the rate buys at that place of the curve: the slope between the neighbouring
    points as chosen so far. It begins with the offset nearest to 0 and is repeated until nothing
    changes. A line of that slope through a chosen point has no other offset's point above it: the
    choice follows the upper convex hull of all combinations."""
    order = sorted(points, key=lambda q: min(rate for rate, _ in points[q].values()))
    chosen = {q: min(points[q], key=lambda o: (abs(o), o)) for q in order}
    for _ in range(rounds):
        before = dict(chosen)
        for i, q in enumerate(order):
            left, right = (points[n][before[n]]
                           for n in (order[max(i - 1, 0)], order[min(i + 1, len(order) - 1)]))
            octaves = math.log2(right[0] / left[0])
            slope = max((right[1] - left[1]) / octaves, 0.0) if octaves > 0 else 0.0
            if len(order) > 1:
                chosen[q] = max(points[q], key=lambda o: (
                    points[q][o][1] - slope * math.log2(points[q][o][0]), -abs(o)))
        if chosen == before:
            break
    return chosen
