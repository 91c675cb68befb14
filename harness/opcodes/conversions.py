"""From floats to integers and back, rounded once; and a product and a sum rounded once (WebAssembly 2.0, 4.3.4)."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction

from harness.opcodes.numeric import Trap, bits_of, round_to_f32
from harness.opcodes.traps import NOT_AN_INTEGER, OVERFLOW


def fused(a: float, b: float, c: float, width: int) -> float:
    """a · b + c, rounded once to a float of `width` bits."""
    if not (a and b) or not (math.isfinite(a) and math.isfinite(b) and math.isfinite(c)):
        return round_to_f32(a * b + c) if width == 32 else a * b + c
    exact = Fraction(a) * Fraction(b) + Fraction(c)
    try:
        nearest = float(exact)
    except OverflowError:
        return math.inf if exact > 0 else -math.inf
    if width == 64:
        return nearest
    # Of the two doubles around the exact value take the odd one: rounding that again is rounding once.
    if Fraction(nearest) != exact and not bits_of(nearest, 64) & 1:
        nearest = math.nextafter(nearest, math.inf if exact > Fraction(nearest) else -math.inf)
    return round_to_f32(nearest)


def truncation(width: int, is_signed: bool) -> Callable[[float], int]:
    """Float to integer, trapping where it does not fit."""
    low, high = (-(1 << width - 1), 1 << width - 1) if is_signed else (0, 1 << width)
    mask = (1 << width) - 1

    def trunc(a: float) -> int:
        if a != a:
            raise Trap(NOT_AN_INTEGER)
        if math.isinf(a) or not low <= (whole := math.trunc(a)) < high:
            raise Trap(OVERFLOW)
        return whole & mask

    return trunc


def saturation(width: int, is_signed: bool) -> Callable[[float], int]:
    """Float to the nearest integer that fits; NaN to 0."""
    low, high = (-(1 << width - 1), (1 << width - 1) - 1) if is_signed else (0, (1 << width) - 1)
    mask = (1 << width) - 1

    def trunc_sat(a: float) -> int:
        if a != a:
            return 0
        if math.isinf(a):
            return (high if a > 0 else low) & mask
        return max(low, min(high, math.trunc(a))) & mask

    return trunc_sat


def conversion(source: int, is_signed: bool, target: int) -> Callable[[int], float]:
    """Integer of `source` bits to the nearest float of `target` bits."""
    half = 1 << source - 1

    def convert(a: int) -> float:
        if is_signed:
            a = (a ^ half) - half
        if target == 64:
            return float(a)
        if abs(a) >> 53:  # keep the bits that decide the rounding, so that it happens once only
            a = (a >> 11 | (a & 0x7FF != 0)) << 11
        return round_to_f32(float(a))

    return convert
