#!/usr/bin/env python3
"""Writes tables.inc: python3 make_tables.py > tables.inc

The tables are normative (docs/bitstream.md 5.4 to 5.6). Every entry is checked to be far from a
tie, so that the precision of the machine that runs this does not matter.
"""
import math


def rounded(value):
    """Nearest integer; refuses values that lie within 1e-6 of a tie."""
    if abs(value - math.floor(value) - 0.5) < 1e-6:
        raise ValueError(f'{value} is too close to a tie')
    return math.floor(value + 0.5)


def gelu(i):
    x = i / 32
    value = 64 * x * 0.5 * math.erfc(-x / math.sqrt(2))
    return min(max((0 if i == 0 else rounded(value)) + 11, 0), 255)


def rsqrt(k):
    return rounded(2**14 * math.sqrt(256 / (k + 0.5)))


def sigmoid(k):
    return rounded(65536 / (1 + math.exp(-(k - 1024) / 128)))


def array(comment, ctype, name, values, per_line):
    lines = [f'/// {comment}', f'MVINR_TABLE {ctype} {name}[{len(values)}] = {{']
    for start in range(0, len(values), per_line):
        lines.append('    ' + ', '.join(str(v) for v in values[start:start + per_line]) + ',')
    return '\n'.join(lines + ['};', ''])


print('// Made by make_tables.py; normative (docs/bitstream.md chapter 5). Do not edit.')
print('// clang-format off')
print('#pragma once\n\n#include <cstdint>\n\n#include "kernels/host_device.h"\n')
print('namespace mvinr {\n')
print(array('G[i + 128] = clamp(round(64 gelu(i / 32)) + 11, 0, 255), i = -128..127.',
            'uint8_t', 'kGeluTable', [gelu(i) for i in range(-128, 128)], 16))
print(array('round(2^14 sqrt(256 / (k + 0.5))), k = 256..1023.',
            'int32_t', 'kRsqrtTable', [rsqrt(k) for k in range(256, 1024)], 14))
print(array('round(65536 sigmoid((k - 1024) / 128)), k = 0..2048.',
            'uint16_t', 'kSigmoidTable', [sigmoid(k) for k in range(2049)], 14))
print('}  // namespace mvinr')
print('// clang-format on')
