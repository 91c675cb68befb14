"""What is to be placed: workloads with their deadlines, from a CSV, Parquet or JSON-lines file."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.decide.row_file import read_rows, row_of
from harness.errors import UnknownName, UsageError
from harness.spelling import quoted

MOST_COPIES = 10_000
COLUMNS = ("workload", "deadline_ms", "deadline_ns", "copies", "device", "weight")
DEMAND = "workload and deadline_ms (and perhaps copies, device, weight)"


@dataclass(frozen=True)
class Demand:
    """``copies`` executions of ``workload``, each to end within ``deadline_ns``, on one of ``devices`` (empty: any).

    ``weight`` is what hosting one copy is worth. ``where`` is the file and row that asked for it, if one did.
    """

    workload: str
    deadline_ns: float
    copies: int = 1
    devices: tuple[str, ...] = ()
    weight: float = 1.0
    where: str = field(default="", compare=False)


def read_demands(path: Path, said: Callable[[str], None]) -> list[Demand]:
    """A demand per row; ``said`` is told of columns that mean nothing. Raises UsageError with the row's number."""
    rows = read_rows(path, DEMAND)
    if not rows:
        raise UsageError(f"{path} has no rows; give one per workload with the columns {DEMAND}.")
    demands = [_demand(row, row_of(path, number)) for number, row in enumerate(rows, 1)]
    if unknown := [
        name for name in dict.fromkeys(name for row in rows for name in row) if name not in COLUMNS
    ]:
        said(f"{path}: not used: {', '.join(unknown)}; the columns are {', '.join(COLUMNS)}")
    return demands


def check_names(demands: Sequence[Demand], workloads: Iterable[str], devices: Iterable[str]) -> None:
    """Raises UnknownName for a workload or device that the model never observed."""
    workloads, devices = set(workloads), set(devices)
    for demand in demands:
        where = f"the model (it was never observed{f'; {demand.where}' if demand.where else ''})"
        if demand.workload not in workloads:
            raise UnknownName("workload", demand.workload, workloads, where=where)
        for name in demand.devices:
            if name not in devices:
                raise UnknownName("device", name, devices, where=where)


def _demand(row: Mapping[str, Any], where: str) -> Demand:
    workload = row.get("workload")
    if not isinstance(workload, str) or not workload:
        raise UsageError(f"{where}: column 'workload' is missing or empty; put a name there.")
    given = [name for name in ("deadline_ms", "deadline_ns") if row.get(name) not in (None, "")]
    if len(given) != 1:
        raise UsageError(f"{where}: give one deadline, in deadline_ms or in deadline_ns, not {len(given)}.")
    deadline = _number(row[given[0]], given[0], where) * (1e6 if given[0] == "deadline_ms" else 1)
    copies = 1.0 if row.get("copies") in (None, "") else _number(row["copies"], "copies", where)
    if copies != int(copies) or copies > MOST_COPIES:
        raise UsageError(f"{where}: copies {copies:g} must be a whole number from 1 to {MOST_COPIES:,}.")
    weight = 1.0 if row.get("weight") in (None, "") else _number(row["weight"], "weight", where)
    named = row.get("device") or []
    names = named.split(";") if isinstance(named, str) else list(named)
    devices = tuple(str(name).strip() for name in names if str(name).strip())
    return Demand(workload, deadline, int(copies), devices, weight, where)


def _number(value: Any, column: str, where: str) -> float:
    """A finite number above 0, from a number or its text."""
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number) or number <= 0:
        raise UsageError(f"{where}: {column} {quoted(value)} must be a number above 0.")
    return number
