"""What each vector instruction computes, lane by lane from the scalar functions (WebAssembly 2.0, 4.3.5).

A v128 is 16 bytes. Integer lanes are unsigned, as scalars are. Relaxed instructions, whose result the
standard leaves open in corner cases, do what its deterministic profile says: what the strict instruction of the
same kind does, and a multiplication with an addition rounds once.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Sequence
from typing import Any

from harness.opcodes.conversions import conversion, fused, saturation
from harness.opcodes.instruction_set import CODES
from harness.opcodes.numeric import bits_of, float_of, float_operations, integer_operations, round_to_f32

Lanes = Sequence[Any]
_INTEGER = {
    8: struct.Struct("<16B"),
    16: struct.Struct("<8H"),
    32: struct.Struct("<4I"),
    64: struct.Struct("<2Q"),
}


class Shape:
    """How the 16 bytes divide into lanes."""

    def __init__(self, name: str) -> None:
        self.is_float, self.width = name[0] == "f", int(name[1 : name.index("x")])
        self.count = 128 // self.width
        self.struct = _INTEGER[self.width]

    def unpack(self, vector: bytes) -> Lanes:
        lanes = self.struct.unpack(vector)
        return [float_of(lane, self.width) for lane in lanes] if self.is_float else lanes

    def pack(self, lanes: Lanes) -> bytes:
        if self.is_float:
            lanes = [bits_of(lane, self.width) for lane in lanes]
        return self.struct.pack(*lanes)

    def signed(self, vector: bytes) -> list[int]:
        half = 1 << self.width - 1
        return [(lane ^ half) - half for lane in self.struct.unpack(vector)]


SHAPES = {name: Shape(name) for name in ("i8x16", "i16x8", "i32x4", "i64x2", "f32x4", "f64x2")}


def _lanewise(shape: Shape, run: Callable[..., Any]) -> Callable[..., bytes]:
    def operate(*vectors: bytes) -> bytes:
        return shape.pack([run(*lanes) for lanes in zip(*map(shape.unpack, vectors), strict=True)])

    return operate


def _comparison(shape: Shape, run: Callable[..., int]) -> Callable[..., bytes]:
    ones = (1 << shape.width) - 1

    def compare(a: bytes, b: bytes) -> bytes:
        pairs = zip(shape.unpack(a), shape.unpack(b), strict=True)
        return shape.struct.pack(*(ones if run(x, y) else 0 for x, y in pairs))

    return compare


def _clamp(value: int, low: int, high: int) -> int:
    return max(low, min(high, value))


def _integer_shape(shape: Shape) -> dict[str, Callable[..., Any]]:
    width, count = shape.width, shape.count
    mask, half = (1 << width) - 1, 1 << width - 1
    scalar = integer_operations(width)
    found: dict[str, Callable[..., Any]] = {}
    for name in ("eq", "ne", "lt_s", "lt_u", "gt_s", "gt_u", "le_s", "le_u", "ge_s", "ge_u"):
        found[name] = _comparison(shape, scalar[name])
    for name in ("add", "sub", "mul", "popcnt"):
        found[name] = _lanewise(shape, scalar[name])

    def signed(a: int) -> int:
        return (a ^ half) - half

    lane_functions: dict[str, Callable[..., int]] = {
        "abs": lambda a: abs(signed(a)) & mask,
        "neg": lambda a: -a & mask,
        "add_sat_s": lambda a, b: _clamp(signed(a) + signed(b), -half, half - 1) & mask,
        "add_sat_u": lambda a, b: min(a + b, mask),
        "sub_sat_s": lambda a, b: _clamp(signed(a) - signed(b), -half, half - 1) & mask,
        "sub_sat_u": lambda a, b: max(a - b, 0),
        "min_s": lambda a, b: a if signed(a) < signed(b) else b,
        "min_u": min,
        "max_s": lambda a, b: a if signed(a) > signed(b) else b,
        "max_u": max,
        "avgr_u": lambda a, b: (a + b + 1) // 2,
        "q15mulr_sat_s": lambda a, b: _clamp((signed(a) * signed(b) + 0x4000) >> 15, -half, half - 1) & mask,
    }
    found |= {name: _lanewise(shape, run) for name, run in lane_functions.items()}
    found["relaxed_q15mulr_s"] = found["q15mulr_sat_s"]

    def shift(name: str) -> Callable[[bytes, int], bytes]:
        run = scalar[name]
        return lambda vector, by: shape.struct.pack(*(run(lane, by) for lane in shape.struct.unpack(vector)))

    found |= {name: shift(name) for name in ("shl", "shr_s", "shr_u")}
    found["all_true"] = lambda v: 1 if all(shape.struct.unpack(v)) else 0
    found["bitmask"] = lambda v: sum(
        (lane >= half) << place for place, lane in enumerate(shape.struct.unpack(v))
    )
    found["splat"] = lambda a: shape.struct.pack(*[a & mask] * count)
    found["relaxed_laneselect"] = bitselect
    if width > 8:
        found |= _from_narrower(shape, SHAPES[f"i{width // 2}x{count * 2}"])
    if width < 64:
        wider = SHAPES[f"i{width * 2}x{count // 2}"]
        for letter, low, high in (("s", -half, half - 1), ("u", 0, mask)):
            found[f"narrow_i{width * 2}x{count // 2}_{letter}"] = lambda a, b, low=low, high=high: (
                shape.struct.pack(
                    *(_clamp(lane, low, high) & mask for lane in wider.signed(a) + wider.signed(b))
                )
            )
    return found


def _from_narrower(shape: Shape, narrow: Shape) -> dict[str, Callable[..., Any]]:
    """Operations that read lanes of half the width."""
    mask = (1 << shape.width) - 1
    name = f"i{narrow.width}x{narrow.count}"
    found: dict[str, Callable[..., Any]] = {}

    def pack(lanes: Sequence[int]) -> bytes:
        return shape.struct.pack(*(lane & mask for lane in lanes))

    for letter in "su":
        read: Callable[[bytes], Any] = narrow.signed if letter == "s" else narrow.struct.unpack
        for part, half in (("low", slice(0, shape.count)), ("high", slice(shape.count, None))):
            found[f"extend_{part}_{name}_{letter}"] = lambda v, read=read, half=half: pack(read(v)[half])
            found[f"extmul_{part}_{name}_{letter}"] = lambda a, b, read=read, half=half: pack(
                [x * y for x, y in zip(read(a)[half], read(b)[half], strict=True)]
            )
        found[f"extadd_pairwise_{name}_{letter}"] = lambda v, read=read: pack(
            [x + y for x, y in zip(read(v)[::2], read(v)[1::2], strict=True)]
        )

    def dot(a: bytes, b: bytes) -> bytes:
        products = [x * y for x, y in zip(narrow.signed(a), narrow.signed(b), strict=True)]
        return pack([x + y for x, y in zip(products[::2], products[1::2], strict=True)])

    found["dot_i16x8_s"] = dot
    found["relaxed_dot_i8x16_i7x16_s"] = dot
    return found


def _float_shape(shape: Shape) -> dict[str, Callable[..., Any]]:
    scalar = float_operations(shape.width)
    found: dict[str, Callable[..., Any]] = {}
    for name in ("eq", "ne", "lt", "gt", "le", "ge"):
        found[name] = _comparison(shape, scalar[name])
    for name in (
        "abs",
        "neg",
        "ceil",
        "floor",
        "trunc",
        "nearest",
        "sqrt",
        "add",
        "sub",
        "mul",
        "div",
        "min",
        "max",
    ):
        found[name] = _lanewise(shape, scalar[name])
    found["pmin"] = _lanewise(shape, lambda a, b: b if b < a else a)
    found["pmax"] = _lanewise(shape, lambda a, b: b if a < b else a)
    found["relaxed_min"], found["relaxed_max"] = found["min"], found["max"]
    found["relaxed_madd"] = _lanewise(shape, lambda a, b, c: fused(a, b, c, shape.width))
    found["relaxed_nmadd"] = _lanewise(shape, lambda a, b, c: fused(-a, b, c, shape.width))
    found["splat"] = lambda a: shape.pack([a] * shape.count)
    return found


def bitselect(a: bytes, b: bytes, select: bytes) -> bytes:
    return bytes(x & s | y & ~s & 0xFF for x, y, s in zip(a, b, select, strict=True))


def swizzle(vector: bytes, lanes: bytes) -> bytes:
    return bytes(vector[lane] if lane < 16 else 0 for lane in lanes)


def _bytewise(run: Callable[[int, int], int]) -> Callable[[bytes, bytes], bytes]:
    return lambda a, b: bytes(run(x, y) for x, y in zip(a, b, strict=True))


def _simd() -> dict[str, Callable[..., Any]]:
    operations: dict[str, Callable[..., Any]] = {
        "v128.not": lambda v: bytes(~x & 0xFF for x in v),
        "v128.and": _bytewise(lambda x, y: x & y),
        "v128.andnot": _bytewise(lambda x, y: x & ~y),
        "v128.or": _bytewise(lambda x, y: x | y),
        "v128.xor": _bytewise(lambda x, y: x ^ y),
        "v128.bitselect": bitselect,
        "v128.any_true": lambda v: 1 if any(v) else 0,
        "i8x16.swizzle": swizzle,
        "i8x16.relaxed_swizzle": swizzle,
    }
    for name, shape in SHAPES.items():
        found = _float_shape(shape) if shape.is_float else _integer_shape(shape)
        operations |= {f"{name}.{operation}": run for operation, run in found.items()}
    i32x4, f32x4, f64x2 = SHAPES["i32x4"], SHAPES["f32x4"], SHAPES["f64x2"]
    for letter in "su":
        saturate, from32 = saturation(32, letter == "s"), conversion(32, letter == "s", 32)
        from32_to64 = conversion(32, letter == "s", 64)
        for prefix, suffix in (("", ""), ("relaxed_", "")):
            operations[f"i32x4.{prefix}{'trunc_sat' if not prefix else 'trunc'}_f32x4_{letter}{suffix}"] = (
                lambda v, run=saturate: i32x4.pack([run(lane) for lane in f32x4.unpack(v)])
            )
            operations[f"i32x4.{prefix}{'trunc_sat' if not prefix else 'trunc'}_f64x2_{letter}_zero"] = (
                lambda v, run=saturate: i32x4.pack([*map(run, f64x2.unpack(v)), 0, 0])
            )
        operations[f"f32x4.convert_i32x4_{letter}"] = lambda v, run=from32: f32x4.pack(
            [run(lane) for lane in i32x4.unpack(v)]
        )
        operations[f"f64x2.convert_low_i32x4_{letter}"] = lambda v, run=from32_to64: f64x2.pack(
            [run(lane) for lane in i32x4.unpack(v)[:2]]
        )
    operations["f32x4.demote_f64x2_zero"] = lambda v: f32x4.pack(
        [*(round_to_f32(a) if a == a else math.nan for a in f64x2.unpack(v)), 0.0, 0.0]
    )
    operations["f64x2.promote_low_f32x4"] = lambda v: f64x2.pack(
        [a if a == a else math.nan for a in f32x4.unpack(v)[:2]]
    )
    dot = operations["i16x8.relaxed_dot_i8x16_i7x16_s"]
    pairs, add = operations["i32x4.extadd_pairwise_i16x8_s"], operations["i32x4.add"]
    operations["i32x4.relaxed_dot_i8x16_i7x16_add_s"] = lambda a, b, c: add(pairs(dot(a, b)), c)
    return {name: run for name, run in operations.items() if name in CODES}


def lane_operation(name: str, immediate: Any) -> Callable[..., Any]:
    """The function of a vector instruction with an immediate: shuffle, extract_lane, replace_lane."""
    if name == "i8x16.shuffle":
        return lambda a, b: bytes((a + b)[lane] for lane in immediate)
    kind, operation = name.split(".")
    shape, lane = SHAPES[kind], immediate
    if operation == "replace_lane":
        mask = (1 << shape.width) - 1

        def replace(vector: bytes, value: Any) -> bytes:
            lanes = list(shape.unpack(vector))
            lanes[lane] = value if shape.is_float else value & mask
            return shape.pack(lanes)

        return replace
    if operation == "extract_lane_s":
        return lambda vector: shape.signed(vector)[lane] & 0xFFFFFFFF
    return lambda vector: shape.unpack(vector)[lane]


# Name of each vector instruction without immediates -> its function.
SIMD = _simd()
