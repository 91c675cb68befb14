"""What pitot_core learns of a platform: its processor, caches, memory and engine as numbers."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from harness.learn.microarchitecture import microarchitectures

Encoded = dict[str, float]

# Column of the published data, the agent's fact, and what is subtracted from log2.
CACHES = (
    ("l1d_size", "l1d_bytes", 16),
    ("l1i_size", "l1i_bytes", 16),
    ("l2_size", "l2_bytes", 21),
    ("l2_line", "l2_line_bytes", 10),
    ("l3_size", "l3_bytes", 21),
)
# The published l2_assoc is the four bits that x86 processors tell (CPUID 80000006h), 7 where the ways are no such
# number, and 0 for any other processor.
WAYS = {1: 1, 2: 2, 3: 3, 4: 4, 6: 5, 8: 6, 16: 8, 32: 10, 48: 11, 64: 12, 96: 13, 128: 14}


def platform_features(row: Mapping[str, Any]) -> Encoded:
    """Named features of a row of platforms.parquet; imported ones as they are.

    The published columns under their names: microarchitecture and engine as ``uarch=…`` and ``runtime=…`` (1 here, −1
    wherever absent), ln(MHz) − 7, log2 of cache bytes less an offset with a presence column ``:ind``, and the
    associativity of L2. Beyond them memory, cores, SMT, and the engine's family, kind and version. What a device does
    not tell is left out: its presence column becomes −1 and its size 0.
    """
    if row["features"] is not None:
        return dict(row["features"])
    facts = dict(row["facts"] or [])
    version = re.match(r"\d+(\.\d+)?", str(row.get("engine_version") or ""))
    encoded: Encoded = {
        f"runtime={row['engine']}": 1.0,
        f"family={row['family']}": 1.0,
        f"kind={row['kind']}": 1.0,
        "ahead_of_time": 1.0 if row["ahead_of_time"] else -1.0,
    }
    if version:
        encoded[f"version={row['family']}-{version[0]}"] = 1.0
    encoded |= {f"uarch={name}": 1.0 for name in microarchitectures(facts)}
    mhz = _positive(facts.get("max_mhz")) or _positive(facts.get("mhz"))
    if mhz:
        encoded["cpufreq"] = math.log(mhz) - 7
    for column, fact, offset in (*CACHES, ("memory_size", "memory_bytes", 32)):
        size = _positive(facts.get(fact))
        if size:
            encoded |= {column: math.log2(size) - offset, f"{column}:ind": 1.0}
    encoded[f"l2_assoc={_l2_associativity(facts)}"] = 1.0
    cores = _positive(facts.get("cores"))
    if cores:
        encoded["cores"] = math.log2(cores)
    if "smt" in facts:
        encoded |= {"smt": 1.0 if str(facts["smt"]) in ("True", "1", "1.0") else -1.0, "smt:ind": 1.0}
    return encoded


def _l2_associativity(facts: Mapping[str, str]) -> int:
    ways = _positive(facts.get("l2_ways"))
    if not ways or "vendor" not in facts:
        return 0
    return WAYS.get(int(ways), 7)


def _positive(text: str | None) -> float:
    """A positive number that the device reported, or 0 where it reported none."""
    try:
        value = float(text or 0)
    except ValueError:
        return 0.0
    return value if math.isfinite(value) and value > 0 else 0.0
