"""What a dataset holds, in the few figures that a card gives."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import pyarrow.compute as pc

from harness.dataset.store import Dataset


@dataclass
class Contents:
    rows: int = 0
    statuses: Counter[str] = field(default_factory=Counter)
    together: Counter[int] = field(default_factory=Counter)  # rows by number of co-runners
    per_platform: Counter[str] = field(default_factory=Counter)
    workloads: set[str] = field(default_factory=set)
    first: str = ""  # days, UTC; empty where the rows do not tell
    last: str = ""

    @property
    def devices(self) -> list[str]:
        return sorted({name.partition(":")[2] for name in self.per_platform})

    @property
    def engines(self) -> list[str]:
        return sorted({name.partition(":")[0] for name in self.per_platform})


def contents(dataset: Dataset) -> Contents:
    """Raises DatasetError."""
    found, days = Contents(), []
    for part in dataset.parts(["platform", "workload", "status", "n_co_runners", "started_at"]):
        found.rows += len(part)
        for name, counts in (
            ("status", found.statuses), ("n_co_runners", found.together), ("platform", found.per_platform)
        ):  # fmt: skip
            for row in pc.value_counts(part[name]).to_pylist():
                counts[row["values"]] += row["counts"]
        found.workloads.update(part["workload"].unique().to_pylist())
        ends = pc.min_max(part["started_at"]).as_py()
        days += [day.date().isoformat() for day in (ends["min"], ends["max"]) if day]
    if days:
        found.first, found.last = min(days), max(days)
    return found
