"""By which rule the rows to learn from were measured."""

from __future__ import annotations

import pyarrow.compute as pc

from harness.dataset.entry_rows import MIXED
from harness.dataset.store import Dataset


def told_of_mixed(dataset: Dataset) -> str:
    """The sentence about rows that were measured by the rule of before, once for all; empty where there are none."""
    mixed = whole = 0
    for part in dataset.parts(["purpose", "status", "regime"]):
        rows = part.filter(pc.and_(pc.equal(part["purpose"], "measure"), pc.equal(part["status"], "ok")))
        whole += len(rows)
        mixed += pc.sum(pc.equal(rows["regime"], MIXED)).as_py() or 0
    if not mixed:
        return ""
    return (
        f"{mixed:,} of {whole:,} observations are of regime mixed (from before schema version 2): alone they hold "
        "executions to warm up, together they do not, so that what co-runners cost short workloads is learned too "
        "small; collect them again, see docs/measuring.md."
    )
