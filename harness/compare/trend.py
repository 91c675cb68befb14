"""How the times of a suite or a workload went over several datasets, each as a ratio to the first."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.cells import cell_len, set_cell_size

from harness.compare.comparison import compare
from harness.dataset.store import Dataset
from harness.errors import UnknownName, UsageError
from harness.output import Column, Terminal
from harness.spelling import spelled

WIDTH = 50  # characters of the picture's axis
TREND_COLUMNS = [
    Column("series", "series", meaning="a suite, `all` of them together, or the workload that was asked for"),
    Column("dataset", "dataset", meaning="its directory"),
    Column("label", "label", meaning="of its newest collection that has one"),
    Column("tags", "tags", meaning="NAME=TEXT of its collections, the newest of each name"),
    Column("commit", "commit", meaning="that its newest collection was begun at"),
    Column("started_at", "collected", meaning="when its newest collection began, UTC, or when it was imported"),
    Column("workloads", "n", True, "workloads measured in both the first dataset and this one"),
    Column("cells", "cells", True, "workload, place and co-runners measured in both"),
    Column("ratio", "of first", True, "geometric mean of the time in it over the time in the first dataset"),
    Column("low", "from", True, "95 % interval of `ratio`, as `compare` gives it; null where too little is known"),
    Column("high", "to", True, "its upper end"),
]  # fmt: skip


@dataclass(frozen=True)
class Trend:
    """``rows`` by series and then in the order of the datasets; ``notes`` say what differs between them."""

    rows: list[dict[str, Any]]
    notes: list[str]


def trend(
    roots: Sequence[Path],
    *,
    workload: str | None = None,
    suite: str | None = None,
    engine: str | None = None,
    device: str | None = None,
) -> Trend:
    """Pair every dataset with the first, by names, whatever machines, versions and modules were.

    Raises UsageError where there are not two datasets, or one shares nothing with the first.
    """
    if len(roots) < 2:
        raise UsageError("a trend needs two datasets at least; name them in their order.")
    if workload and suite:
        raise UsageError("give either --workload or --suite, not both.")
    for option, name in (("-e", engine), ("-d", device)):
        if name and "," in name:  # which is both sides of `compare`
            raise UsageError(
                f"{option} {name} must be one name, as a trend is of one; repeat the command for others."
            )
    first, notes, by_series = roots[0], [], dict[str, list[dict[str, Any]]]()
    for root in roots[1:]:
        found = compare(first, root, engine=engine, device=device, anyway=True, rebuilt=True)
        notes += [f"{root}: {note}" for note in found.notes]
        told = _chosen(found.workloads if workload else found.suites, workload, suite, root)
        for row in told:
            by_series.setdefault(row.get("suite") or row["workload"], []).append(
                {"dataset": str(root), **row}
            )
    rows = []
    for series, points in by_series.items():
        start = points[0] | {"dataset": str(first), "ratio": 1.0, "low": 1.0, "high": 1.0}
        for point in [start, *points]:
            kept = {key: point[key] for key in ("dataset", "cells", "ratio", "low", "high")}
            count = {"series": series, "workloads": point.get("workloads", 1)}
            rows.append(count | kept | _origin(Path(point["dataset"])))
    return Trend(rows, notes)


def _chosen(
    rows: Sequence[dict[str, Any]], workload: str | None, suite: str | None, root: Path
) -> list[dict[str, Any]]:
    name, kind = (workload, "workload") if workload else (suite, "suite")
    if name is None:
        return list(rows)
    names = {str(row[kind]) for row in rows}
    if name not in names:
        raise UnknownName(kind, name, names, where=f"what {root} shares with the first dataset")
    return [row for row in rows if row[kind] == name]


def _origin(root: Path) -> dict[str, Any]:
    info = Dataset.open(root).info
    last = info.collections[-1] if info.collections else None
    return {
        "label": info.label,
        "tags": [f"{name}={text}" for name, text in info.tags.items()],
        "commit": last.commit if last else "",
        "started_at": last.started_at if last else info.created_at,
    }


def picture(rows: Sequence[dict[str, Any]], width: int = WIDTH, longest: int = 24) -> Iterator[str]:
    """Lines of text: per series a point for each dataset with its interval, on one logarithmic axis; ┊ is 1.

    The axis is ``width`` characters wide, and the names before it at most ``longest``.
    """
    ends = [row[key] for row in rows for key in ("ratio", "low", "high") if row[key]]
    low, high = math.log(min([*ends, 0.98])), math.log(max([*ends, 1.02]))

    def place(ratio: float) -> int:
        return round((math.log(ratio) - low) / (high - low) * (width - 1))

    names = [row["label"] or Path(row["dataset"]).name for row in rows]
    longest = min(longest, max(map(cell_len, names)))
    series = None
    for row, name in zip(rows, names, strict=True):
        if row["series"] != series:
            series = row["series"]
            yield str(series)
        line = [" "] * width
        if row["low"] and row["high"]:
            for k in range(place(row["low"]), place(row["high"]) + 1):
                line[k] = "─"
        line[place(1.0)] = "┊" if line[place(1.0)] == " " else "┼"
        line[place(row["ratio"])] = "●"
        short = name if cell_len(name) <= longest else f"{set_cell_size(name, longest - 1)}…"
        yield f"  {set_cell_size(short, longest)} {''.join(line)} {row['ratio']:.3g}"
    left, right = f"{math.exp(low):.3g}", f"{math.exp(high):.3g}"
    yield f"  {'':<{longest}} {left}{right:>{max(0, width - len(left))}}"


def show_picture(rows: Sequence[dict[str, Any]]) -> None:
    """Print it as wide as stdout allows."""
    console = Terminal()
    longest = min(24, console.width // 4)
    width = max(4, min(WIDTH, console.width - longest - 11))
    told = [
        row | {"label": spelled(row["label"] or Path(row["dataset"]).name, console.encoding)} for row in rows
    ]
    for line in picture(told, width, longest):
        console.print(line, no_wrap=True)
