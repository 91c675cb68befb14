"""Opcode counts as features of a workload: ln(1 + count), in columns named like the published ones.

Published columns are named by the first byte of the encoding (`xA0` is `f64.add`); all opcodes behind a
prefix share the column of the prefix byte (`xFC`, `xFD`).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping

from harness.errors import UnknownName
from harness.opcodes.instruction_set import CODES, OPCODES


def feature_column(name: str) -> str:
    """The published column of an opcode: "xA0" for "f64.add". `UnknownName` if there is no such opcode."""
    if name not in CODES:
        raise UnknownName("opcode", name, CODES)
    return f"x{OPCODES[CODES[name]].prefix:02X}"


def features(counts: Mapping[str, int]) -> dict[str, float]:
    """ln(1 + count) by column, for the columns with a count; any other column is 0."""
    totals: Counter[str] = Counter()
    for name, times in counts.items():
        totals[feature_column(name)] += times
    return {column: math.log1p(times) for column, times in sorted(totals.items()) if times}
