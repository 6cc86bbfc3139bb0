#!/usr/bin/env python3
"""Makes the stored tensors of hinerv_parity_test.cpp: a small HiNeRV in plain PyTorch.

Written from the description of HiNeRV (arXiv 2306.09818): base grids and local grids that are
interpolated in time only, a 3x3 stem, four stages (LayerNorm, bilinear enlargement, hierarchical
encoding, ConvNeXt blocks, the first of which changes the number of channels without a residual),
a linear head and a sigmoid. Nothing here is shared with codec/train.

  python3 hinerv.py --scales 2 2 2 2 --base 4 3 --out hinerv-2222.bin
  python3 hinerv.py --scales 5 3 2 2 --base 2 1 --out hinerv-5322.bin

Bilinear weights of thirds and fifths are multiples of 1/256 in MV-INR's decoder, which the trainer
copies. So every frame is stored twice: as HiNeRV has it, and with weights rounded like that.

The file: lines of text "name dim dim ...", an empty line, then the values of the tensors in that
order, float32, little-endian. Tensors have the names and axes of docs/bitstream.md 5.7; "frame<t>"
and "rounded<t>" are the outputs [H][W][3] of frame t.
"""
import argparse
import math

import torch
import torch.nn as nn
import torch.nn.functional as F


def enlargement(size, scale, denominator):
    """Matrix [size * scale, size] of linear interpolation with weights rounded to 1/denominator."""
    matrix = torch.zeros(size * scale, size)
    for y in range(size * scale):
        near = y // scale
        d = 2 * (y % scale) + 1 - scale  # distance from the centre of `near`, in 1/(2 scale)
        weight = math.floor(abs(d) / (2 * scale) * denominator + 0.5) / denominator
        far = min(max(near + (-1 if d < 0 else 1), 0), size - 1)
        matrix[y, near] += 1 - weight
        matrix[y, far] += weight
    return matrix


class BaseGrid(nn.Module):
    """Level i: [T_g / 2^i, H0, W0, C_g 2^i], interpolated linearly to T frames."""

    def __init__(self, steps, height, width, channels):
        super().__init__()
        self.grid = nn.Parameter(torch.empty(steps, height, width, channels))

    def forward(self, t, frames):
        steps, h, w, c = self.grid.shape
        flat = self.grid.reshape(1, 1, steps, h * w * c)
        all_frames = F.interpolate(flat, size=(frames, h * w * c), mode="bilinear",
                                   align_corners=False)
        return all_frames[0, 0, t].reshape(1, h, w, c)


class LocalGrid(nn.Module):
    """[T_l, s * s * C]: one entry per position inside an enlarged sample, sampled in time only."""

    def __init__(self, steps, scale, channels):
        super().__init__()
        self.scale, self.channels = scale, channels
        self.grid = nn.Parameter(torch.empty(steps, scale * scale * channels))

    def forward(self, t, frames):
        column = self.grid.t().reshape(1, -1, self.grid.shape[0], 1)  # [1, s s C, T, 1]
        where = torch.tensor([[[[0.0, (2 * t + 1) / frames - 1]]]])
        entry = F.grid_sample(column, where, mode="bilinear", padding_mode="border",
                              align_corners=False)
        return entry.reshape(1, self.scale, self.scale, self.channels)


class HierarchicalEncoding(nn.Module):
    def __init__(self, frames, levels, scale, grid_channels, channels):
        super().__init__()
        self.levels = nn.ModuleList(
            LocalGrid(max(1, frames >> i), scale, grid_channels << i) for i in range(levels))
        self.linear = nn.Linear(grid_channels * (2 ** levels - 1), channels)

    def forward(self, x, t, frames):
        tile = self.linear(torch.cat([level(t, frames) for level in self.levels], dim=-1))
        s = tile.shape[1]
        return x + tile.repeat(1, x.shape[1] // s, x.shape[2] // s, 1)


class Block(nn.Module):
    def __init__(self, c_in, c_out, expansion):
        super().__init__()
        self.depthwise = nn.Conv2d(c_in, c_in, 3, padding="same", groups=c_in, bias=False)
        self.norm = nn.LayerNorm(c_in, eps=1e-6, elementwise_affine=False)
        self.fc1 = nn.Linear(c_in, c_out * expansion, bias=False)
        self.fc2 = nn.Linear(c_out * expansion, c_out, bias=False)
        self.residual = c_in == c_out

    def forward(self, x):
        y = self.depthwise(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        y = self.fc2(F.gelu(self.fc1(self.norm(y))))
        return x + y if self.residual else y


class Stage(nn.Module):
    def __init__(self, frames, scale, c_in, c_out, depth, expansion, grid_channels):
        super().__init__()
        self.scale = scale
        self.norm = nn.LayerNorm(c_in, eps=1e-6, elementwise_affine=False)
        self.encoding = HierarchicalEncoding(frames, 3, scale, grid_channels, c_in)
        self.blocks = nn.ModuleList(
            Block(c_in if j == 0 else c_out, c_out, expansion) for j in range(depth))

    def forward(self, x, t, frames, rounded):
        x = self.norm(x).permute(0, 3, 1, 2)
        if rounded:
            x = enlargement(x.shape[2], self.scale, 256) @ x
            x = x @ enlargement(x.shape[3], self.scale, 256).t()
        else:
            x = F.interpolate(x, scale_factor=self.scale, mode="bilinear", align_corners=False)
        x = self.encoding(x.permute(0, 2, 3, 1), t, frames)
        for block in self.blocks:
            x = block(x)
        return x


class HiNeRV(nn.Module):
    def __init__(self, frames, base, scales, channels, depths, expansions, base_channels,
                 local_channels):
        super().__init__()
        self.frames = frames
        width, height = base
        self.base = nn.ModuleList(
            BaseGrid(max(1, frames // 4 >> i), height, width, base_channels << i)
            for i in range(2))
        self.stem = nn.Conv2d(3 * base_channels, channels, 3, padding="same")
        stages = []
        c_in, c_out = channels, channels
        for i, scale in enumerate(scales):
            if i > 0:
                c_out = c_in // 2
            stages.append(Stage(frames, scale, c_in, c_out, depths[i], expansions[i],
                                max(1, local_channels >> i)))
            c_in = c_out
        self.stages = nn.ModuleList(stages)
        self.head = nn.Linear(c_in, 3)

    def forward(self, t, rounded=False):
        x = torch.cat([level(t, self.frames) for level in self.base], dim=-1)
        x = self.stem(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        for stage in self.stages:
            x = stage(x, t, self.frames, rounded)
        return torch.sigmoid(self.head(x))


def coded_tensors(model):
    """The weights under the names and with the axes of docs/bitstream.md 5.7."""
    yield "stem.weight", model.stem.weight.flatten(1)
    yield "stem.bias", model.stem.bias[None]
    for i, stage in enumerate(model.stages, 1):
        name = f"stage{i}."
        yield name + "local.weight", stage.encoding.linear.weight
        yield name + "local.bias", stage.encoding.linear.bias[None]
        for j, block in enumerate(stage.blocks):
            yield f"{name}block{j}.depthwise.weight", block.depthwise.weight.flatten(1)
            yield f"{name}block{j}.fc1.weight", block.fc1.weight
            yield f"{name}block{j}.fc2.weight", block.fc2.weight
    yield "head.weight", model.head.weight
    yield "head.bias", model.head.bias[None]
    grids = [level.grid.permute(0, 3, 1, 2) for level in model.base]
    for stage in model.stages:
        for level in stage.encoding.levels:
            s = level.scale
            grids.append(level.grid.reshape(-1, s, s, level.channels).permute(0, 3, 1, 2))
    for i, grid in enumerate(grids):
        yield f"grid{i}.view0", grid


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--frames", type=int, default=8)
    parser.add_argument("--base", type=int, nargs=2, default=[4, 3], help="width and height")
    parser.add_argument("--scales", type=int, nargs=4, default=[2, 2, 2, 2])
    parser.add_argument("--channels", type=int, default=24)
    parser.add_argument("--depths", type=int, nargs=4, default=[3, 3, 3, 1])
    parser.add_argument("--expansions", type=int, nargs=4, default=[4, 4, 4, 1])
    parser.add_argument("--base-channels", type=int, default=2)
    parser.add_argument("--local-channels", type=int, default=2)
    parser.add_argument("--show", type=int, nargs="+", default=[0, 5], help="frames to store")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", required=True)
    a = parser.parse_args()

    torch.manual_seed(a.seed)
    model = HiNeRV(a.frames, a.base, a.scales, a.channels, a.depths, a.expansions,
                   a.base_channels, a.local_channels)
    # Larger than HiNeRV's own first values, so that every part shows in the output.
    with torch.no_grad():
        for name, p in model.named_parameters():
            if name.endswith("grid"):
                p.uniform_(-1, 1)
            elif name.endswith("bias"):
                p.uniform_(-0.3, 0.3)
            else:
                p.uniform_(-1.5, 1.5).div_(math.sqrt(p[0].numel()))
        tensors = [(n, t.detach()) for n, t in coded_tensors(model)]
        tensors += [(f"frame{t}", model(t)[0]) for t in a.show]
        tensors += [(f"rounded{t}", model(t, rounded=True)[0]) for t in a.show]
    for t in a.show:
        out = dict(tensors)[f"frame{t}"]
        print(f"frame {t}: {tuple(out.shape)} mean {out.mean():.4f} deviation {out.std():.4f}")
    with open(a.out, "wb") as f:
        for name, t in tensors:
            f.write((name + " " + " ".join(map(str, t.shape)) + "\n").encode())
        f.write(b"\n")
        for _, t in tensors:
            f.write(t.contiguous().numpy().astype("<f4").tobytes())


if __name__ == "__main__":
    main()
