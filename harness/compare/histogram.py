"""How the ratios of workloads are spread: classes, and the picture of them for people."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from harness.output import Column, show

BAR = 30
CLOSE = (0.5, 0.67, 0.8, 0.9, 0.95, 0.98, 1.02, 1.05, 1.1, 1.25, 1.5, 2.0)


def histogram(ratios: np.ndarray[Any, Any]) -> tuple[list[float], list[int]]:
    """Edges and counts of a histogram of per-workload ratios: fine bins where all ratios are near 1, else
    whole or divided factors of two.
    """
    low, high = float(ratios.min()), float(ratios.max())
    edges = list(CLOSE)
    if low < CLOSE[0] or high >= CLOSE[-1]:
        octaves = math.log2(high / low)
        steps = 1 if octaves > 5 else 2 if octaves > 2.5 else 4  # bars in each factor of two
        first, last = (math.floor(steps * math.log2(ratio)) for ratio in (low, high))
        edges = [2.0 ** (k / steps) for k in range(first, last + 2)]
    counts, _ = np.histogram(ratios, edges)
    filled = np.flatnonzero(counts)
    shown = slice(int(filled[0]), int(filled[-1]) + 1)
    return [*edges[shown], edges[shown.stop]], counts[shown].tolist()


def show_suites(a: str, b: str, suites: Sequence[dict[str, Any]]) -> None:
    """Print the table of suites for people, and a histogram of the ratios of all workloads."""
    if not suites:
        return  # the notes say why
    titles = {
        "suite": "suite", "workloads": "n", "ratio": "B/A", "low": "from", "high": "to", "faster": "faster",
        "slower": "slower", "unknown": "?", "minimum": "least", "median": "half", "maximum": "most",
    }  # fmt: skip
    show(
        suites,
        [Column(key, title, key != "suite") for key, title in titles.items()],
        title=f"Time in {b} over time in {a}",
    )
    whole = suites[-1]
    edges, counts = whole["edges"], whole["counts"]
    rows = [
        {"from": low, "to": high, "count": count, "bar": "█" * math.ceil(BAR * count / max(counts))}
        for low, high, count in zip(edges, edges[1:], counts, strict=False)
    ]
    print()
    show(
        rows,
        [
            Column("from", "B/A from", True),
            Column("to", "to", True),
            Column("count", "workloads", True),
            Column("bar", ""),
        ],
        title=f"Half of the workloads are between {whole['quartile_1']:.3g} and {whole['quartile_3']:.3g}",
    )
