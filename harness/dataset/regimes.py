"""Rows that were measured by the rule of before schema version 2, which every reader tells of in one sentence."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from harness.dataset.entry_rows import MIXED
from harness.spelling import noun, several

COLUMNS = ("status", "regime")


class Regimes:
    """Counts rows with a time, and those of them whose regime is ``mixed``."""

    columns = COLUMNS

    def __init__(self) -> None:
        self.mixed = self.whole = 0

    def add(self, part: pa.Table) -> None:
        """Count the rows of a table with COLUMNS."""
        ok = pc.equal(part["status"], "ok")
        self.whole += pc.sum(ok).as_py() or 0
        self.mixed += pc.sum(pc.and_(ok, pc.equal(part["regime"], MIXED))).as_py() or 0

    def join(self, other: Regimes) -> None:
        """Add what another one counted."""
        self.mixed += other.mixed
        self.whole += other.whole

    def told(self) -> str:
        """The sentence about them; empty where there are none."""
        if not self.mixed:
            return ""
        return (
            f"{self.mixed:,} of {several(self.whole, 'observation')} {noun(self.mixed, 'is', 'are')} of regime mixed "
            "(from before schema version 2): alone they hold executions to warm up, together they do not, so that "
            "what co-runners cost short workloads comes out too small; collect them again, see docs/measuring.md."
        )
