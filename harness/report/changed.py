"""What changed since an earlier dataset, platform by platform, as `harness compare` computes it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from harness.compare.by_platform import by_platform
from harness.compare.comparison import Comparison
from harness.report.listing import Column, folded, sentences, table
from harness.report.markup import Html, Section, join
from harness.spelling import several

LISTED = 200
NAMED = 4
TITLE = "What changed"


def changed(new: Path, old: Path) -> list[Section]:
    """The section of `harness report NEW --since OLD`. Raises UsageError where nothing can be paired."""
    found = by_platform(old, new)
    rows = [(name, one.suites[-1]) for name, one in found.platforms if one.suites]
    columns = [
        Column("platform"), Column("workloads", "count"), Column("new over old", "ratio"), Column("from", "ratio"),
        Column("to", "ratio"), Column("verdict"), Column("faster", "count"), Column("slower", "count"),
        Column("unknown", "count"),
    ]  # fmt: skip
    body = [
        (name, row["workloads"], row["ratio"], row["low"], row["high"], verdict(row), row["faster"], row["slower"],
         row["unknown"])
        for name, row in rows
    ]  # fmt: skip
    note = (
        f"Times here over times in {old}: each workload beside the same co-runners on the same platform. Ratios are "
        "geometric means over workloads, with the 95 % interval over programs like these; a platform is called slower "
        "or faster where that lies on one side of 1 and a workload is surely so. The counts faster and slower count "
        "workloads that differ by more than noise explains (`harness compare OLD NEW -p PLATFORM --workloads`)."
    )
    content = join(
        sentences(found.notes, "plain"),
        table(columns, body, "New over old, by platform"),
        _by_workload(found.platforms),
    )
    return [Section("changed", TITLE, note, content, gist=_gist(rows))]


def verdict(row: dict[str, Any]) -> str:
    """Of a platform: its interval lies on one side of 1, and so does a workload that `compare` is sure of."""
    if row["low"] is None:
        return "too few programs"
    if row["low"] > 1 and row["slower"]:
        return "slower"
    return "faster" if row["high"] < 1 and row["faster"] else "no difference shown"


def _by_workload(platforms: list[tuple[str, Comparison]]) -> Html:
    """The workloads that differ, the largest ratio first."""
    differ = [
        (name, row) for name, one in platforms for row in one.workloads
        if row["verdict"] not in ("no difference shown", "unknown")
    ]  # fmt: skip
    differ.sort(key=lambda one: -max(one[1]["ratio"], 1 / one[1]["ratio"]))
    columns = [Column("platform"), Column("workload"), Column("new over old", "ratio"), Column("from", "ratio"),
               Column("to", "ratio"), Column("verdict")]  # fmt: skip
    keys = ("workload", "ratio", "low", "high", "verdict")
    more = f", the first {LISTED} of {len(differ):,}" if len(differ) > LISTED else ""
    body = [(name, *(row[key] for key in keys)) for name, row in differ[:LISTED]]
    return folded(f"Workloads that differ{more}", table(columns, body, f"Workloads that differ{more}"))


def _gist(rows: list[tuple[str, dict[str, Any]]]) -> str:
    told = []
    for kind in ("slower", "faster"):
        some = [(name, row) for name, row in rows if verdict(row) == kind]
        some.sort(key=lambda one: -abs(one[1]["ratio"] - 1))
        named = ", ".join(f"{name} {row['ratio']:.2f}×" for name, row in some[:NAMED])
        if some:
            told.append(f"{len(some)} {kind} ({named}{', …' if len(some) > NAMED else ''})")
    return f"of {several(len(rows), 'platform')} {', '.join(told) or 'none shows a difference'}."
