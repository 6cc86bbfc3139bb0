"""Changes of sample format that codecs need; exact, with rounding, piece by piece."""
import numpy as np


def to_bits(depth, bits):
    """16-bit depth in fewer bits: 0 and 65535 become 0 and the largest value."""
    peak = (1 << bits) - 1
    return (depth.astype(np.uint32) * peak + 32767) // 65535


def from_bits(depth, bits):
    peak = (1 << bits) - 1
    return (depth.astype(np.uint32) * 65535 + peak // 2) // peak


def depth_to_bits(source, target, clip, bits, chroma=False):
    """A depth file in `bits` bits; with `chroma`, as 4:2:0 whose chroma is grey."""
    dtype = "u1" if bits <= 8 else "<u2"
    grey = np.full(2 * ((clip.width + 1) // 2) * ((clip.height + 1) // 2), 1 << (bits - 1), dtype)
    with open(source, "rb") as read, open(target, "wb") as write:
        while (depth := np.fromfile(read, "<u2", clip.width * clip.height)).size:
            to_bits(depth, bits).astype(dtype).tofile(write)
            if chroma:
                grey.tofile(write)


def depth_from_bits(source, target, clip, bits, chroma=False):
    dtype = np.dtype("u1" if bits <= 8 else "<u2")
    skip = 2 * ((clip.width + 1) // 2) * ((clip.height + 1) // 2) * dtype.itemsize if chroma else 0
    with open(source, "rb") as read, open(target, "wb") as write:
        while (depth := np.fromfile(read, dtype, clip.width * clip.height)).size:
            from_bits(depth, bits).astype("<u2").tofile(write)
            read.seek(skip, 1)


def texture_from_10_bits(source, target):
    with open(source, "rb") as read, open(target, "wb") as write:
        while (values := np.fromfile(read, "<u2", 1 << 20)).size:
            np.minimum((values + 2) >> 2, 255).astype("u1").tofile(write)


def add_grey_chroma(source, target, clip):
    """A 10-bit depth file as 4:2:0 whose chroma is grey."""
    grey = np.full(2 * ((clip.width + 1) // 2) * ((clip.height + 1) // 2), 512, "<u2")
    with open(source, "rb") as read, open(target, "wb") as write:
        while (depth := np.fromfile(read, "<u2", clip.width * clip.height)).size:
            depth.tofile(write)
            grey.tofile(write)


def drop_chroma(source, target, clip):
    """The luma of a 10-bit 4:2:0 file."""
    skip = 4 * ((clip.width + 1) // 2) * ((clip.height + 1) // 2)
    with open(source, "rb") as read, open(target, "wb") as write:
        while (luma := np.fromfile(read, "<u2", clip.width * clip.height)).size:
            luma.tofile(write)
            read.seek(skip, 1)
