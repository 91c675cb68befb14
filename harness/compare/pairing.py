"""Which measurements of two sides belong together: the same workload beside the same others in the same place."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from harness.compare.ratios import Jobs, block_variance
from harness.dataset.quantiles import SHARES, covered
from harness.dataset.regimes import Regimes
from harness.dataset.store import Dataset
from harness.errors import UnknownName, UsageError, typed

_COLUMNS = [
    "purpose", "platform", "engine", "device", "workload", "co_runners", "status", "time_ns", "censored",
    "samples", "engine_version", "state_before", "regime",
]  # fmt: skip
OWN = {
    "timeout",
    "trap",
    "wrong_output",
    "out_of_memory",
    "refused",
    "crash",
}  # what a workload does, not its device or neighbours

# What may be taken of an observation's times, and the column that holds it.
STATISTICS = {"mean": "time_ns", "median": "wall_ns_median", "p95": "wall_ns_p95"}


@dataclass(frozen=True)
class Choice:
    """The part of a dataset that forms one side: engine, device or both; None means any."""

    engine: str | None = None
    device: str | None = None


class Cell(NamedTuple):
    place: str  # the part of engine:device that both sides share
    workload: str
    co_runners: tuple[str, ...]


class Measured(NamedTuple):
    log_ns: float  # where it is censored: of what the time is only known to be above
    within: float
    blocks: int
    censored: bool = False


@dataclass
class Side:
    """What one side measured: its jobs by cell, why other cells have no time, and the facts of each device."""

    title: str
    cells: dict[Cell, list[Measured]] = field(default_factory=dict)
    failed: dict[Cell, str] = field(default_factory=dict)
    identities: dict[str, str | None] = field(default_factory=dict)
    platforms: dict[str, dict[str, Any]] = field(default_factory=dict)
    observed: set[str] = field(default_factory=set)  # platforms on which this cell was measured
    versions: dict[str, set[str | None]] = field(default_factory=dict)
    governors: dict[str, set[str | None]] = field(default_factory=dict)
    regimes: Regimes = field(default_factory=Regimes)

    def jobs(self, cells: list[Cell], groups: dict[str, int]) -> Jobs:
        """The jobs of these cells, with cells numbered in the given order; jobs in one place form a group
        of common noise.
        """
        rows = [(*one[:3], i, groups[cell.place]) for i, cell in enumerate(cells) for one in self.cells[cell]]
        log_ns, within, blocks, cell, group = zip(*rows, strict=True)
        return Jobs(np.array(log_ns), np.array(within), np.array(blocks), np.array(cell), np.array(group))

    def censored(self, cell: Cell) -> bool:
        """Whether the limit ended jobs of this cell, so that its time is only known to be above theirs."""
        return any(one.censored for one in self.cells[cell])

    def log_ns(self, cell: Cell) -> float:
        """The mean log time of the jobs of a cell, of censored ones that of their limit."""
        return float(np.mean([one.log_ns for one in self.cells[cell]]))


@dataclass(frozen=True)
class Pairing:
    cells: list[Cell]
    left_out: Counter[str]  # reason, and the number of cells left out for it
    by_name: int  # workloads of which nothing tells that module, arguments and inputs are the same
    broken: dict[str, str]  # workloads that A has a time of, and how they ended in B by their own doing


def place_of(platform: str, meant: frozenset[str]) -> str:
    """``engine:device`` without the part in which the two sides are meant to differ."""
    words = zip(("engine", "device"), platform.split(":", 1), strict=True)
    return ":".join(word for kind, word in words if kind not in meant)


def read_side(
    dataset: Dataset, choice: Choice, title: str, meant: frozenset[str], statistic: str = "mean"
) -> Side:
    """What is taken of each observation's times is their ``statistic``, one of STATISTICS.

    Raises UnknownName, UsageError where the choice matches nothing that was measured.
    """
    side = Side(title)
    side.identities = {row["workload"]: row["identity_sha256"] for row in dataset.workloads().to_pylist()}
    side.platforms = {row["platform"]: row for row in dataset.platforms().to_pylist()}
    seen: dict[str, set[str]] = {"engine": set(), "device": set()}
    taken = STATISTICS[statistic]
    for part in dataset.parts([*_COLUMNS, *[taken] * (taken not in _COLUMNS)]):
        for kind, names in seen.items():
            names.update(part[kind].unique().to_pylist())
        wanted = pc.is_in(part["purpose"], value_set=pa.array(["measure", "anchor"]))
        for kind in ("engine", "device"):
            name = getattr(choice, kind)
            if name is not None:
                wanted = pc.and_(wanted, pc.equal(part[kind], name))
        chosen = part.filter(wanted)
        side.regimes.add(chosen)
        _add(side, chosen, meant, taken)
    for cell in [cell for cell, jobs in side.cells.items() if all(one.censored for one in jobs)]:
        side.failed[cell] = "timeout"
        del side.cells[cell]
    for kind, names in seen.items():
        name = getattr(choice, kind)
        if name is not None and name not in names:
            raise UnknownName(kind, name, names, where=str(dataset.root))
    if not side.cells:
        raise UsageError(
            f"{title} has no finished observation to compare; see `harness status {typed(dataset.root)}`."
        )
    return side


def pair(a: Side, b: Side, *, rebuilt: bool = False) -> Pairing:
    """The cells that both sides measured, and why the others are left out.

    With ``rebuilt`` a workload is the same by its name, whatever its module is.
    """
    left_out: Counter[str] = Counter()
    both = []

    def identities(name: str) -> tuple[str | None, str | None]:
        return a.identities.get(name), b.identities.get(name)

    for cell in a.cells:
        if cell not in b.cells:
            left_out[_missing(b, cell)] += 1
        elif rebuilt or all(_same(*identities(name)) for name in (cell.workload, *cell.co_runners)):
            both.append(cell)
        else:
            left_out["the module, its arguments or its inputs differ"] += 1
    for cell in b.cells:
        if cell not in a.cells:
            left_out[_missing(a, cell)] += 1
    names = {name for cell in both for name in (cell.workload, *cell.co_runners)}
    by_name = sum(None in told or told[0] != told[1] for told in map(identities, names))
    broken = {c.workload: b.failed[c] for c in sorted(a.cells) if c not in b.cells and b.failed.get(c) in OWN}
    return Pairing(sorted(both), left_out, by_name, broken)


def _missing(side: Side, cell: Cell) -> str:
    return f"{side.failed[cell]} in {side.title}" if cell in side.failed else f"not measured in {side.title}"


def _same(one: str | None, other: str | None) -> bool:
    """Whether two workloads are the same: by module hash, or by name for imported data, which has no hashes."""
    return one is None or other is None or one == other


def _add(side: Side, part: pa.Table, meant: frozenset[str], taken: str) -> None:
    governors = pc.struct_field(part["state_before"], "governor")
    for told, kind, values in (
        (side.versions, "platform", part["engine_version"]),
        (side.governors, "device", governors),
    ):
        for name, value in set(zip(part[kind].to_pylist(), values.to_pylist(), strict=True)):
            told.setdefault(name, set()).add(value)
    within, blocks = block_variance(*covered(part["samples"]), len(part), SHARES.get(taken))
    places = {name: place_of(name, meant) for name in part["platform"].unique().to_pylist()}
    columns = (
        part[name].to_pylist()
        for name in ("platform", "workload", "co_runners", "status", "time_ns", "censored", taken)
    )
    for i, (platform, workload, beside, status, limited_ns, censored, told_ns) in enumerate(
        zip(*columns, strict=True)
    ):
        cell = Cell(places[platform], workload, tuple(beside))
        time_ns = limited_ns if censored else told_ns
        if status == "ok" and time_ns is None:
            side.failed.setdefault(cell, "no samples")
        elif status in ("ok", "timeout") and time_ns is not None:
            one = Measured(math.log(time_ns), float(within[i]), int(blocks[i]), censored)
            side.cells.setdefault(cell, []).append(one)
            side.observed.add(platform)
        else:
            side.failed[cell] = status
