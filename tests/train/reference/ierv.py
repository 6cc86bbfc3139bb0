#!/usr/bin/env python3
"""Makes the stored tensors of ierv_parity_test.cpp: a small IERV in plain numpy.

Written from the description of IERV (arXiv 2311.17350): two time grids taken at the nearest step,
side by side, plus a grid of the view; stages of normalisation, 3x3 convolution, pixel shuffle, a grid
of the stage and view, normalisation, GELU; heads for the picture with the logits of a softmax, and
for the flow that samples the basic view; the fusion. Nothing here is shared with codec/.

What MV-INR's decoder has otherwise, and this too: LayerNorm in place of InstanceNorm (one position
needs no other), the last enlargement as a 2x2 pixel shuffle to 4:2:0 with a logit per luma sample
(one logit: the difference of two), one vector per 2x2 luma samples in 1/256 samples, times 4, and
the cubic filter at sixteenths of docs/bitstream.md 7.3 in place of the bilinear one.

  python3 ierv.py --out ierv.bin

The file is one as hinerv.py describes. "luma<t>", "chroma<t>" are the basic view's samples (8 bits),
"own<t>.<v>", "warped<t>.<v>", "fused<t>.<v>" [h][w][6] the pictures of frame t and view v.
"""
import argparse
import math

import numpy as np

FRAMES, VIEWS, HEIGHT, WIDTH = 4, 2, 24, 32
CHANNELS, STAGES = 8, ((2, 12), (2, 6))  # of the grids; scale and channels of the stages


def normalised(x):  # [C][h][w], over C
    mean = x.mean(axis=0, keepdims=True)
    return (x - mean) / np.sqrt(((x - mean) ** 2).mean(axis=0, keepdims=True) + 1e-6)


def convolution(x, weight, bias):  # weight [outputs][inputs * 9]
    c, h, w = x.shape
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1)))
    columns = np.stack([padded[k, dy:dy + h, dx:dx + w]
                        for k in range(c) for dy in range(3) for dx in range(3)])
    return np.tensordot(weight, columns, 1) + bias[:, None, None]


def pixel_shuffle(x, s):
    c, h, w = x.shape[0] // (s * s), x.shape[1], x.shape[2]
    return x.reshape(c, s, s, h, w).transpose(0, 3, 1, 4, 2).reshape(c, h * s, w * s)


def gelu(x):
    return x * 0.5 * (1 + np.vectorize(math.erf)(x / math.sqrt(2)))


def taps(c):
    n = 16 - c
    first, third = (-c**3 + 32 * c**2 - 256 * c + 32) >> 6, (-n**3 + 32 * n**2 - 256 * n + 32) >> 6
    second = (3 * c**3 - 80 * c**2 + 8192 + 32) >> 6
    return first, second, 128 - first - second - third, third


def sampled(plane, px, py):
    """One sample of 0..1023 at a position in 1/256, borders repeated."""
    sx, sy = (px - 120) >> 4, (py - 120) >> 4
    total = 8192
    for r, row_tap in enumerate(taps(sy & 15)):
        for c, tap in enumerate(taps(sx & 15)):
            y = min(max((sy >> 4) + r - 1, 0), plane.shape[0] - 1)
            x = min(max((sx >> 4) + c - 1, 0), plane.shape[1] - 1)
            total += row_tap * tap * int(plane[y, x])
    return min(max(total >> 14, 0), 1023)


def warped(luma, chroma, flow):
    h, w = HEIGHT // 2, WIDTH // 2
    out = np.zeros((6, h, w))
    vectors = np.floor(flow * 1024 + 0.5).astype(int)
    for y in range(h):
        for x in range(w):
            dx, dy = int(vectors[0, y, x]), int(vectors[1, y, x])
            for i in range(6):
                px = 512 * x + (256 * (i % 2) + 128 if i < 4 else 256) + dx
                py = 512 * y + (256 * (i // 2) + 128 if i < 4 else 256) + dy
                px = min(max(px, -256), 256 * (WIDTH + 1))
                py = min(max(py, -256), 256 * (HEIGHT + 1))
                if i < 4:
                    out[i, y, x] = sampled(luma * 4, px, py)
                else:
                    out[i, y, x] = sampled(chroma[i - 4] * 4, px >> 1, py >> 1)
    return out / 1024


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--out", required=True)
    out = arguments.parse_args().out
    random = np.random.default_rng(2311)
    h0, w0 = HEIGHT // 8, WIDTH // 8
    tensors = {
        "grid0": random.uniform(-1, 1, (FRAMES, CHANNELS // 2, h0, w0)),
        "grid1": random.uniform(-1, 1, (FRAMES // 2, CHANNELS // 2, h0, w0)),
        "grid2.view0": random.uniform(-1, 1, (VIEWS, CHANNELS, h0, w0)),
    }
    before = CHANNELS
    for i, (s, channels) in enumerate(STAGES, 1):
        bound = 1 / math.sqrt(9 * before)
        name = f"stage{i}.convolution"
        tensors[f"{name}.weight"] = random.uniform(-bound, bound, (channels * s * s, 9 * before))
        tensors[f"{name}.bias"] = random.uniform(-0.2, 0.2, channels * s * s)
        tensors[f"grid{2 + i}.view0"] = random.uniform(-0.5, 0.5, (VIEWS, channels, s, s))
        before = channels
    tensors["stage2.flow.weight"] = random.uniform(-0.3, 0.3, (3, before))
    tensors["stage2.flow.bias"] = random.uniform(-0.1, 0.1, 3)
    tensors["head.weight"] = random.uniform(-0.2, 0.2, (10, before))
    tensors["head.bias"] = np.concatenate([np.full(6, 0.5), random.uniform(-1, 1, 4)])
    tensors = {name: value.astype(np.float32) for name, value in tensors.items()}
    for t in range(FRAMES):
        wave = np.sin(np.arange(WIDTH) / 3 + t) + np.cos(np.arange(HEIGHT) / 4)[:, None]
        noise = random.uniform(-20, 20, (HEIGHT, WIDTH))
        luma = np.clip(128 + 45 * wave + noise, 0, 255).astype(int)
        chroma = random.integers(60, 200, (2, HEIGHT // 2, WIDTH // 2))
        tensors[f"luma{t}"], tensors[f"chroma{t}"] = luma, chroma
        for v in range(VIEWS):
            x = np.concatenate([tensors["grid0"][t], tensors["grid1"][t // 2]])
            x = x.astype(float) + tensors["grid2.view0"][v]
            for i, (s, channels) in enumerate(STAGES, 1):
                x = convolution(normalised(x), tensors[f"stage{i}.convolution.weight"],
                                tensors[f"stage{i}.convolution.bias"])
                x = pixel_shuffle(x, s)
                grid = tensors[f"grid{2 + i}.view0"][v]
                x = gelu(normalised(x + np.tile(grid, (1, x.shape[1] // s, x.shape[2] // s))))
            head = np.tensordot(tensors["head.weight"], x, 1) + tensors["head.bias"][:, None, None]
            flow = np.tensordot(tensors["stage2.flow.weight"], x, 1)
            flow += tensors["stage2.flow.bias"][:, None, None]
            own, other = np.clip(head[:6], 0, 1), warped(luma, chroma, flow)
            weight = 1 / (1 + np.exp(-head[6:10]))
            weight = np.concatenate([weight, np.repeat(weight.mean(axis=0, keepdims=True), 2, 0)])
            fused = own + weight * (other - own)
            for name, value in (("own", own), ("warped", other), ("fused", fused)):
                tensors[f"{name}{t}.{v}"] = value.transpose(1, 2, 0)
    with open(out, "wb") as file:
        for name, value in tensors.items():
            file.write(" ".join([name, *map(str, value.shape)]).encode() + b"\n")
        file.write(b"\n")
        for value in tensors.values():
            file.write(np.ascontiguousarray(value, dtype="<f4").tobytes())


main()
