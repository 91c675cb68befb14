"""Every scalar numeric instruction by name."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from harness.opcodes.conversions import conversion, saturation, truncation
from harness.opcodes.instruction_set import CODES
from harness.opcodes.numeric import bits_of, float_of, float_operations, integer_operations, round_to_f32


def _numeric() -> dict[str, Callable[..., Any]]:
    operations: dict[str, Callable[..., Any]] = {}
    for kind, width in (("i32", 32), ("i64", 64)):
        operations |= {f"{kind}.{name}": run for name, run in integer_operations(width).items()}
        for source, letter in ((32, "s"), (64, "s"), (32, "u"), (64, "u")):
            operations[f"{kind}.trunc_f{source}_{letter}"] = truncation(width, letter == "s")
            operations[f"{kind}.trunc_sat_f{source}_{letter}"] = saturation(width, letter == "s")
            operations[f"f{width}.convert_i{source}_{letter}"] = conversion(source, letter == "s", width)
    for kind, width in (("f32", 32), ("f64", 64)):
        operations |= {f"{kind}.{name}": run for name, run in float_operations(width).items()}
    operations |= {
        "i32.wrap_i64": lambda a: a & 0xFFFFFFFF,
        "i64.extend_i32_s": lambda a: ((a ^ 0x80000000) - 0x80000000) & 0xFFFFFFFFFFFFFFFF,
        "i64.extend_i32_u": lambda a: a,
        "f32.demote_f64": lambda a: round_to_f32(a) if a == a else math.nan,
        "f64.promote_f32": lambda a: a if a == a else math.nan,
        "i32.reinterpret_f32": lambda a: bits_of(a, 32),
        "i64.reinterpret_f64": lambda a: bits_of(a, 64),
        "f32.reinterpret_i32": lambda a: float_of(a, 32),
        "f64.reinterpret_i64": lambda a: float_of(a, 64),
    }
    return {name: run for name, run in operations.items() if name in CODES}


# Name of each scalar numeric instruction -> its function.
NUMERIC = _numeric()
