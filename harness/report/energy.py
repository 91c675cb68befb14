"""Energy, instructions and cache misses per platform, where devices told them."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np
import pyarrow.compute as pc

from harness.dataset.store import Dataset
from harness.report.listing import Column, folded, table
from harness.report.markup import Section
from harness.spelling import several

_TOLD = ("energy_j", "instructions", "cycles", "cache_misses")


def energy(dataset: Dataset) -> list[Section]:
    """A section with a row per platform; none where no observation of a workload alone has any of it."""
    found: dict[str, list[Any]] = defaultdict(list)
    for part in dataset.parts(["platform", "purpose", "n_co_runners", "time_ns", "status", *_TOLD]):
        alone = pc.and_(pc.equal(part["n_co_runners"], 0), pc.equal(part["status"], "ok"))
        mine = part.filter(pc.and_(alone, pc.equal(part["purpose"], "measure")))
        told = np.column_stack([mine[name].to_numpy().astype(float) for name in ("time_ns", *_TOLD)])
        known = ~np.isnan(told[:, 1:]).all(axis=1)
        for platform, row in zip(mine["platform"].filter(known).to_pylist(), told[known], strict=True):
            found[platform].append(row)
    if not found:
        return []
    rows = []
    for platform in sorted(found):
        ns, joules, instructions, cycles, misses = np.array(found[platform]).T
        rows.append(
            (
                platform, len(ns), _median(joules / (ns / 1e9)), _median(joules), _median(instructions / cycles),
                _median(1000 * misses / instructions),
            )
        )  # fmt: skip
    columns = [
        Column("platform"), Column("observations", "count"), Column("power, W", "number"),
        Column("energy of an execution, J", "number"), Column("instructions per cycle", "number"),
        Column("cache misses per 1000 instructions", "number"),
    ]  # fmt: skip
    note = (
        "Medians over workloads alone. Energy is that of the processor packages, with what else ran on the device; a "
        "dash is where a device does not tell it, or does not allow it to be read."
    )
    body = folded("Energy and counters by platform", table(columns, rows, "Energy and counters by platform"))
    return [
        Section(
            "energy", "Energy and counters", note, body, gist=f"told by {several(len(rows), 'platform')}."
        )
    ]


def _median(values: Any) -> float:
    known = values[np.isfinite(values)]
    return float(np.median(known)) if len(known) else float("nan")
