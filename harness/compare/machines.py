"""Whether two sides were measured on the same machine in the same way, and if not, what differs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from harness.compare.pairing import Side, place_of
from harness.errors import DatasetError, UsageError

FACTS = (
    "machine", "vendor", "model_name", "family", "model", "stepping", "implementer", "part", "cores",
    "cpus_allowed", "smt", "memory_bytes", "max_mhz", "l1d_bytes", "l1i_bytes", "l2_bytes", "l3_bytes", "kernel",
)  # fmt: skip
# Kernels reserve different amounts of memory, so small differences do not count.
TOLERANCE = {"memory_bytes": 0.02}


def machine_differences(a: Side, b: Side, meant: frozenset[str]) -> list[str]:
    """A clause for each fact in which the devices of two sides differ: the same device, or those meant to differ."""
    told = []
    devices_a, devices_b = _by_device(a), _by_device(b)
    for one in sorted(devices_a):
        for other in sorted(devices_b):
            if one != other and "device" not in meant:
                continue
            name = one if one == other else f"{one} and {other}"
            x, y = devices_a[one], devices_b[other]
            if (x or y) and not x.keys() & y.keys():
                told.append(f"{name}: no fact tells that they are one machine")
            told += [f"{name}: {key} is {p} and {q}" for key, p, q in _unequal(x, y)]
            told += _clause(name, "governor", a.governors.get(one), b.governors.get(other))
    return told


def engine_differences(a: Side, b: Side, meant: frozenset[str]) -> list[str]:
    """The same of engines: their version, unless engines are meant to differ, and what their times contain."""
    told = []
    for one in sorted(a.observed):
        for other in sorted(b.observed):
            if place_of(one, meant) != place_of(other, meant):
                continue
            name = one if one == other else f"{one} and {other}"
            if "engine" not in meant:
                told += _clause(name, "engine_version", a.versions.get(one), b.versions.get(other))
            contains = [{side.platforms[p]["wall_contains"]} for side, p in ((a, one), (b, other))]
            told += _clause(name, "what a time contains", *contains)
    return told


def _by_device(side: Side) -> dict[str, Mapping[str, Any]]:
    """The facts of each observed device; for imported data its features, without those of the engine."""
    found: dict[str, Mapping[str, Any]] = {}
    if lacking := sorted(side.observed - side.platforms.keys()):
        raise DatasetError(
            f"{side.title}: platforms.parquet does not tell of {lacking[0]}; restore it from a copy."
        )
    for row in (side.platforms[name] for name in sorted(side.observed)):
        facts, features = dict(row["facts"] or []), dict(row["features"] or [])
        told = {key: facts[key] for key in FACTS if key in facts}
        told |= {key: value for key, value in features.items() if not key.startswith("runtime=")}
        found[row["device"]] = told
    return found


def _unequal(a: Mapping[str, Any], b: Mapping[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    for key in (key for key in a if key in b and a[key] != b[key]):
        x, y = a[key], b[key]
        if key in TOLERANCE and abs(float(x) - float(y)) <= TOLERANCE[key] * max(float(x), float(y)):
            continue
        yield key, x, y


def _clause(name: str, what: str, a: set[str | None] | None, b: set[str | None] | None) -> list[str]:
    x, y = (" or ".join(sorted(filter(None, values or ()))) for values in (a, b))
    return [f"{name}: {what} is {x} and {y}"] if x and y and x != y else []


def check_machines(a: Side, b: Side, meant: frozenset[str], anyway: bool) -> list[str]:
    """How the sides differ, in sentences. Raises UsageError where that was not asked for, unless ``anyway``."""
    machines, engines = machine_differences(a, b, meant), engine_differences(a, b, meant)
    unasked = engines if "device" in meant else machines + engines
    if unasked and not anyway:
        shown = "; ".join(unasked[:5]) + (f"; and {len(unasked) - 5} more" if len(unasked) > 5 else "")
        raise UsageError(
            f"{a.title} and {b.title} were not measured alike: {shown}. Give --anyway to compare them all the same."
        )
    return [f"they differ: {difference}" for difference in machines + engines]
