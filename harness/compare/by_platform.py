"""Two datasets platform by platform, each as `harness compare A B -p PLATFORM` has it, from one reading of both."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from pathlib import Path

from harness.compare.comparison import Comparison, left_out, paired_rows
from harness.compare.machines import check_machines
from harness.compare.pairing import Cell, Choice, pair, read_side
from harness.dataset.store import Dataset
from harness.errors import UsageError
from harness.spelling import several


@dataclass(frozen=True)
class ByPlatform:
    """Comparisons by platform, sorted, and sentences about what was paired, left out or differs."""

    platforms: list[tuple[str, Comparison]]
    notes: list[str]


def by_platform(first: Path, second: Path, false_share: float = 0.05) -> ByPlatform:
    """Times in the second dataset over times in the first. Where machines differ a note says so.

    Raises UsageError where nothing can be paired.
    """
    a, b = (read_side(Dataset.open(path), Choice(), str(path), frozenset()) for path in (first, second))
    pairing = pair(a, b)
    if not pairing.cells:
        raise UsageError(
            f"no workload was measured in {first} and in {second} on the same platform: {left_out(pairing)}; "
            "leave out --since, or name another dataset there."
        )
    notes = check_machines(a, b, frozenset(), anyway=True)
    notes.append(f"{several(len(pairing.cells), 'cell')} paired; not paired: {left_out(pairing) or 'none'}")
    places: dict[str, list[Cell]] = defaultdict(list)
    for cell in pairing.cells:
        places[cell.place].append(cell)
    found = [
        (place, paired_rows(a, b, replace(pairing, cells=cells), false_share, []))
        for place, cells in sorted(places.items())
    ]
    return ByPlatform(found, notes)
