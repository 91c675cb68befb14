"""What each numeric instruction computes, as functions from operands to result (WebAssembly 2.0, 4.3).

Integers are Python integers 0 ≤ n < 2^N. Floats are Python floats; a 32-bit float is one that 32 bits can
hold. A NaN whose bits matter is a `Nan`, a float that knows its bits; any other NaN, such as arithmetic
gives, stands for the canonical one: of the results the standard allows, this is the one chosen here.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from ctypes import c_float
from typing import Any

from harness.opcodes.traps import DIVIDE_BY_ZERO, OVERFLOW

CANONICAL = {32: 0x7FC00000, 64: 0x7FF8000000000000}
_FLOAT = {32: struct.Struct("<f"), 64: struct.Struct("<d")}
_BITS = {32: struct.Struct("<I"), 64: struct.Struct("<Q")}


class Trap(Exception):
    """Execution ended abnormally; the message is the standard's reason."""


class Nan(float):
    """A NaN that keeps its bits."""

    __slots__ = ("bits",)
    bits: int

    def __new__(cls, bits: int) -> Nan:
        self = super().__new__(cls, "nan")
        self.bits = bits
        return self


def float_of(bits: int, width: int) -> float:
    """The float with these bits."""
    value: float = _FLOAT[width].unpack(_BITS[width].pack(bits))[0]
    return value if value == value else Nan(bits)


def bits_of(value: float, width: int) -> int:
    """The bits of a float: its own for a `Nan`, the canonical ones for any other NaN."""
    if value != value:
        return value.bits if isinstance(value, Nan) else CANONICAL[width]
    bits: int = _BITS[width].unpack(_FLOAT[width].pack(value))[0]
    return bits


def integer_operations(width: int) -> dict[str, Callable[..., int]]:
    """The operations of i32, i64 and, for vectors, of narrower lanes."""
    mask, half = (1 << width) - 1, 1 << width - 1

    def signed(a: int) -> int:
        return (a ^ half) - half

    def div_s(a: int, b: int) -> int:
        if b == 0:
            raise Trap(DIVIDE_BY_ZERO)
        a, b = signed(a), signed(b)
        quotient = abs(a) // abs(b)
        quotient = quotient if (a < 0) == (b < 0) else -quotient
        if quotient == half:
            raise Trap(OVERFLOW)
        return quotient & mask

    def div_u(a: int, b: int) -> int:
        if b == 0:
            raise Trap(DIVIDE_BY_ZERO)
        return a // b

    def rem_s(a: int, b: int) -> int:
        if b == 0:
            raise Trap(DIVIDE_BY_ZERO)
        a, b = signed(a), signed(b)
        remainder = abs(a) % abs(b)
        return (remainder if a >= 0 else -remainder) & mask

    def rem_u(a: int, b: int) -> int:
        if b == 0:
            raise Trap(DIVIDE_BY_ZERO)
        return a % b

    def extend(bits: int) -> Callable[[int], int]:
        low, top = (1 << bits) - 1, 1 << bits - 1
        return lambda a: (((a & low) ^ top) - top) & mask

    def rotl(a: int, b: int) -> int:
        b %= width
        return (a << b | a >> width - b) & mask

    return {
        "clz": lambda a: width - a.bit_length(),
        "ctz": lambda a: (a & -a).bit_length() - 1 if a else width,
        "popcnt": int.bit_count,
        "extend8_s": extend(8),
        "extend16_s": extend(16),
        "extend32_s": extend(32),
        "add": lambda a, b: a + b & mask,
        "sub": lambda a, b: a - b & mask,
        "mul": lambda a, b: a * b & mask,
        "div_s": div_s,
        "div_u": div_u,
        "rem_s": rem_s,
        "rem_u": rem_u,
        "and": lambda a, b: a & b,
        "or": lambda a, b: a | b,
        "xor": lambda a, b: a ^ b,
        "shl": lambda a, b: a << b % width & mask,
        "shr_s": lambda a, b: ((a ^ half) - half >> b % width) & mask,
        "shr_u": lambda a, b: a >> b % width,
        "rotl": rotl,
        "rotr": lambda a, b: rotl(a, -b),
        "eqz": lambda a: 0 if a else 1,
        "eq": lambda a, b: 1 if a == b else 0,
        "ne": lambda a, b: 1 if a != b else 0,
        "lt_s": lambda a, b: 1 if a ^ half < b ^ half else 0,
        "lt_u": lambda a, b: 1 if a < b else 0,
        "gt_s": lambda a, b: 1 if a ^ half > b ^ half else 0,
        "gt_u": lambda a, b: 1 if a > b else 0,
        "le_s": lambda a, b: 1 if a ^ half <= b ^ half else 0,
        "le_u": lambda a, b: 1 if a <= b else 0,
        "ge_s": lambda a, b: 1 if a ^ half >= b ^ half else 0,
        "ge_u": lambda a, b: 1 if a >= b else 0,
    }


def round_to_f32(value: float) -> float:
    """The nearest 32-bit float. Twice rounded results of + - * / and sqrt are as if rounded once."""
    return c_float(value).value


def _exact(value: float) -> float:
    return value


def float_operations(width: int) -> dict[str, Callable[..., Any]]:
    """The operations of f32 and f64."""
    fit = round_to_f32 if width == 32 else _exact
    sign = 1 << width - 1

    def add(a: float, b: float) -> float:
        return fit(a + b)

    def sub(a: float, b: float) -> float:
        return fit(a - b)

    def mul(a: float, b: float) -> float:
        return fit(a * b)

    def div(a: float, b: float) -> float:
        if b == 0:
            if a == 0 or a != a:
                return math.nan
            return math.copysign(math.inf, a) * math.copysign(1.0, b)
        return fit(a / b)

    def sqrt(a: float) -> float:
        return fit(math.sqrt(a)) if a >= 0 else math.nan

    def minimum(a: float, b: float) -> float:
        if a != a or b != b:
            return math.nan
        if a == b:  # -0 is less than +0
            return a if math.copysign(1.0, a) < 0 else b
        return a if a < b else b

    def maximum(a: float, b: float) -> float:
        if a != a or b != b:
            return math.nan
        if a == b:
            return b if math.copysign(1.0, a) < 0 else a
        return a if a > b else b

    def with_bits(a: float, change: Callable[[int], int]) -> float:
        return float_of(change(bits_of(a, width)), width)

    def absolute(a: float) -> float:
        return abs(a) if a == a else with_bits(a, lambda bits: bits & ~sign)

    def neg(a: float) -> float:
        return -a if a == a else with_bits(a, lambda bits: bits ^ sign)

    def copysign(a: float, b: float) -> float:
        if a == a and b == b:
            return math.copysign(a, b)
        return with_bits(a, lambda bits: bits & ~sign | bits_of(b, width) & sign)

    def rounding(whole: Callable[[float], int]) -> Callable[[float], float]:
        def rounded(a: float) -> float:
            if a != a:
                return math.nan
            return math.copysign(whole(a), a) if abs(a) < 2.0**52 else a

        return rounded

    return {
        "abs": absolute,
        "neg": neg,
        "copysign": copysign,
        "ceil": rounding(math.ceil),
        "floor": rounding(math.floor),
        "trunc": rounding(math.trunc),
        "nearest": rounding(round),  # halves to even, in Python as in the standard
        "sqrt": sqrt,
        "add": add,
        "sub": sub,
        "mul": mul,
        "div": div,
        "min": minimum,
        "max": maximum,
        "eq": lambda a, b: 1 if a == b else 0,
        "ne": lambda a, b: 1 if a != b else 0,
        "lt": lambda a, b: 1 if a < b else 0,
        "gt": lambda a, b: 1 if a > b else 0,
        "le": lambda a, b: 1 if a <= b else 0,
        "ge": lambda a, b: 1 if a >= b else 0,
    }
