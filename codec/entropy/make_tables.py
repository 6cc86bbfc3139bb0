#!/usr/bin/env python3
"""Writes tables.inc, the constants of the symbol distributions (docs/bitstream.md 6.3).

  python3 codec/entropy/make_tables.py > codec/entropy/tables.inc

Needs Python's own decimal module only: no libm is involved, so the tables are the same anywhere.
"""
from decimal import Decimal as D, getcontext

getcontext().prec = 60
ONE = 1 << 24  # tail probabilities have 24 fractional bits
STEPS = 32     # table entries per octave (Laplace) or per sigma (Gaussian)
SCALES = 112   # scale index s: 2^(s/8 - 4)
LN2 = D(2).ln()
PI = D("3.14159265358979323846264338327950288419716939937510582097494")


def power_of_two(x):
    return (D(x) * LN2).exp()


def rounded(x):
    return int((x + D("0.5")).to_integral_value(rounding="ROUND_FLOOR"))


def upper_tail(z):
    """1 - Phi(z), by the Taylor series of Phi around 0."""
    term, total, n = D(z), D(z), 0
    while abs(term) > D(10) ** -45:
        n += 1
        term = -term * z * z / (2 * n)
        total += term / (2 * n + 1)
    return D("0.5") - total / (2 * PI).sqrt()


def emit(name, kind, values, comment):
    print(f"// {comment}")
    print(f"inline constexpr {kind} {name}[{len(values)}] = {{")
    line = "   "
    for v in values:
        text = f" {v},"
        if len(line) + len(text) > 100:
            print(line)
            line = "   "
        line += text
    print(line)
    print("};")


def main():
    print("// Made by make_tables.py; do not edit. clang-format off")
    laplace = [rounded(power_of_two(-D(i) / STEPS) * ONE / 2) for i in range(24 * STEPS)] + [0]
    emit("kLaplaceTail", "uint32_t", laplace, "round(2^23 * 2^(-i/32)), i = 0..767; then 0")
    gauss = [rounded(upper_tail(D(i) / STEPS) * ONE) for i in range(5 * STEPS + STEPS // 2)] + [0]
    emit("kGaussianTail", "uint32_t", gauss, "round(2^24 * (1 - Phi(i/32))), i = 0..175; then 0")
    scales = [power_of_two(D(s) / 8 - 4) for s in range(SCALES)]
    emit("kLaplaceRate", "uint32_t", [rounded((1 << 28) / (LN2 * 16 * b)) for b in scales],
         "round(2^28 * log2(e) / (16 b)), b = 2^(s/8 - 4): octaves of tail per 1/16 symbol")
    emit("kGaussianRate", "uint32_t", [rounded((1 << 28) / (16 * b)) for b in scales],
         "round(2^28 / (16 sigma)), sigma = 2^(s/8 - 4): sigmas per 1/16 symbol")


main()
