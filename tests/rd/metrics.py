"""Quality of decoded pictures. Every function reads raw files picture by picture."""
import math

import numpy as np

from errors import RdError

# Wang, Simoncelli, Bovik: Multi-scale structural similarity (2003): exponents of the scales.
SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
WINDOW, SIGMA = 11, 1.5
IDENTICAL = 100.0  # dB, in place of infinity


def plane_shapes(component, width, height):
    luma = (height, width)
    chroma = ((height + 1) // 2, (width + 1) // 2)
    return [luma] if component == "depth" else [luma, chroma, chroma]


def pictures(path, component, width, height, frames):
    """Yields each picture as a list of planes (texture: 8-bit Y, U, V; depth: 16 bit)."""
    shapes = plane_shapes(component, width, height)
    dtype = np.dtype("<u2") if component == "depth" else np.dtype("u1")
    sizes = [h * w for h, w in shapes]
    with open(path, "rb") as file:
        for n in range(frames):
            samples = np.fromfile(file, dtype, sum(sizes))
            if samples.size != sum(sizes):
                raise RdError(f"{path} ends in picture {n} of {frames}")
            planes = np.split(samples, np.cumsum(sizes)[:-1])
            yield [plane.reshape(shape) for plane, shape in zip(planes, shapes)]


def squared_error(a, b):
    difference = a.astype(np.int64) - b.astype(np.int64)
    return int(np.sum(difference * difference))


def psnr(error, samples, peak):
    return IDENTICAL if error == 0 else 10 * math.log10(peak * peak * samples / error)


def yuv_psnr(y, u, v):
    """6:1:1 mean of the planes' PSNR, as the JVET and MPEG test conditions weigh them."""
    return (6 * y + u + v) / 8


def _blur(stack):
    """Separable Gaussian window, without padding; stack: ..., H, W."""
    x = np.arange(WINDOW) - WINDOW // 2
    kernel = np.exp(-x * x / (2 * SIGMA * SIGMA))
    kernel /= kernel.sum()
    height, width = stack.shape[-2] - WINDOW + 1, stack.shape[-1] - WINDOW + 1
    rows = sum(k * stack[..., i:i + height, :] for i, k in enumerate(kernel))
    return sum(k * rows[..., i:i + width] for i, k in enumerate(kernel))


def scales(height, width):
    """How many of the five scales have room for the window."""
    count = 0
    while count < len(SCALE_WEIGHTS) and min(height, width) >> count >= WINDOW:
        count += 1
    return count


def ms_ssim(a, b, peak=255.0):
    """MS-SSIM of two planes. Pictures too small for five scales use those that have room, with
    their exponents scaled to the same sum."""
    count = scales(*a.shape)
    if count == 0:
        raise RdError(f"MS-SSIM needs pictures of at least {WINDOW}x{WINDOW}")
    weights = np.array(SCALE_WEIGHTS[:count]) * sum(SCALE_WEIGHTS) / sum(SCALE_WEIGHTS[:count])
    c1, c2 = (0.01 * peak) ** 2, (0.03 * peak) ** 2
    a, b = a.astype(np.float64), b.astype(np.float64)
    result = 1.0
    for scale, weight in enumerate(weights):
        mean_a, mean_b, aa, bb, ab = _blur(np.stack([a, b, a * a, b * b, a * b]))
        structure = (2 * (ab - mean_a * mean_b) + c2) / (
            aa - mean_a * mean_a + bb - mean_b * mean_b + c2)
        if scale == count - 1:
            structure = structure * (2 * mean_a * mean_b + c1) / (
                mean_a * mean_a + mean_b * mean_b + c1)
        result *= max(float(structure.mean()), 0.0) ** weight
        a, b = (p[:p.shape[0] & ~1, :p.shape[1] & ~1] for p in (a, b))
        a, b = ((p[::2, ::2] + p[1::2, ::2] + p[::2, 1::2] + p[1::2, 1::2]) / 4 for p in (a, b))
    return result


class PlanePsnr:
    """PSNR of the mean squared error over all pictures, and the mean of the pictures' PSNR."""

    def __init__(self, peak):
        self.peak, self.error, self.samples, self.single = peak, 0, 0, []

    def add(self, a, b):
        error = squared_error(a, b)
        self.error += error
        self.samples += a.size
        self.single.append(psnr(error, a.size, self.peak))

    def total(self):
        return psnr(self.error, self.samples, self.peak)

    def mean(self):
        return sum(self.single) / len(self.single)


def texture_quality(reference, decoded, width, height, frames, with_ssim=True):
    """Of one view: PSNR, and mean MS-SSIM of luma."""
    planes, similarity = [PlanePsnr(255) for _ in range(3)], 0.0
    for a, b in zip(pictures(reference, "texture", width, height, frames),
                    pictures(decoded, "texture", width, height, frames)):
        for plane, p, q in zip(planes, a, b):
            plane.add(p, q)
        if with_ssim:
            similarity += ms_ssim(a[0], b[0])
    result = {"y_psnr": planes[0].total(), "yuv_psnr": yuv_psnr(*(p.total() for p in planes)),
              "y_psnr_pictures": planes[0].mean()}
    if with_ssim:
        result["ms_ssim"] = similarity / frames
    return result


def depth_quality(reference, decoded, width, height, frames):
    plane = PlanePsnr(65535)
    for a, b in zip(pictures(reference, "depth", width, height, frames),
                    pictures(decoded, "depth", width, height, frames)):
        plane.add(a[0], b[0])
    return {"depth_psnr": plane.total(), "depth_psnr_pictures": plane.mean()}


def mean(results):
    """Mean of each figure over the views."""
    results = list(results)
    return {name: float(np.mean([r[name] for r in results])) for name in results[0]}
