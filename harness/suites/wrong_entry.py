"""Which entry of a suite.toml is wrong, in words."""

from __future__ import annotations

import re
from pathlib import Path

from harness.errors import SuiteError


def wrong(path: Path, place: str, what: str) -> SuiteError:
    return SuiteError(f"{path}: {place}: {what}; correct the entry.")


def spelled(where: str, raw: dict[str, object]) -> str:
    """A msgspec path such as ``$.workload[3].sizes[...].define`` in words, with the workload's name."""
    if not where:
        return "the top level"
    found = re.match(r"\$\.workload\[(\d+)\]\.?(.*)", where)
    if not found:
        return where.removeprefix("$.")
    number, rest = int(found[1]), found[2]
    entries = raw["workload"]
    entry = entries[number] if isinstance(entries, list) else None
    name = entry.get("name") if isinstance(entry, dict) else None
    label = f"workload {name}" if isinstance(name, str) else f"workload number {number + 1}"
    return f"{label}, {rest}" if rest else label
