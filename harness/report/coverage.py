"""What is known of platform × workload: where there is a time, why there is none, and how long it is."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from harness.dataset.store import Dataset
from harness.output import duration
from harness.report.heatmaps import Axis, HeatMap, by_logarithm, scale_legend, swatches
from harness.report.listing import Column, folded, table
from harness.report.markup import Html, Section, join
from harness.report.rows import Rows, suite
from harness.spelling import several

# Where several apply to one cell the first in this list counts: once there is a time, other failures do not matter.
REASONS = (
    ("measured", "#3f7fa6"), ("beside others only", "#9cc3da"), ("timeout", "#e69f00"), ("trap", "#d55e00"),
    ("wrong output", "#cc3f88"), ("out of memory", "#7a1f4b"),
    ("crash", "#a33b20"), ("refused", "#7b5aa6"), ("co-runner failed", "#b9a27a"),
    ("uncovered", "#d8c27a"), ("lost", "#5b4636"), ("left to do", "#a9b4bf"), ("not planned", "#e3e7eb"),
)  # fmt: skip
NAMES = tuple(name for name, _ in REASONS)
BESIDE, LEFT, UNPLANNED = 1, len(REASONS) - 2, len(REASONS) - 1
LISTED = 400


def coverage(dataset: Dataset, rows: Rows) -> tuple[list[Section], list[HeatMap]]:
    if not rows.platforms or not rows.asked.any():
        return [], []
    # By engine and device, by suite and size, since names are sorted.
    order = np.arange(len(rows.platforms)), np.flatnonzero(rows.asked)
    code, alone = _reasons(dataset, rows)
    counts = np.bincount(code[np.ix_(*order)].ravel(), minlength=len(REASONS))
    names = list(NAMES)
    if not len(dataset.planned()):
        names[UNPLANNED] = "no observation"
    shown = [k for k in range(len(REASONS)) if counts[k]]
    platforms, workloads = _axes(rows, order)
    told = ", ".join(f"{counts[k]:,} {names[k]}" for k in shown)
    cells = code[np.ix_(*order)].astype(np.int64)
    # A cell that was only measured beside others also says what became of the workload alone.
    apart = np.where(cells == BESIDE, len(names) + alone[np.ix_(*order)], cells).astype(float)
    words = [*names, *(f"{names[BESIDE]}; alone: {name}" for name in names)]
    holes = HeatMap(
        "coverage-map", f"Coverage of {_fields(counts.sum())}: {told}", platforms, workloads,
        np.where(cells == UNPLANNED, -1, cells), [colour for _, colour in REASONS], apart, "words", words,
    )  # fmt: skip
    legend = swatches([(REASONS[k][1] if k < UNPLANNED else "", f"{names[k]} {counts[k]:,}") for k in shown])
    caption = "Platforms down, workloads across. Point at a field, or move with the arrow keys, to read it."
    sections = [
        Section(
            "coverage",
            "Coverage",
            "Every field is a workload on a platform. A field with several reasons shows the first of the list.",
            join(
                holes.html(caption, legend),
                _by_platform(rows, code, names, shown),
                _holes(rows, alone, names),
            ),
            gist=f"of {_fields(counts.sum())} {told}.",
        )
    ]
    times = rows.alone[np.ix_(*order)]
    known = times[~np.isnan(times)]
    if not len(known):
        return sections, [holes]
    low, high = float(known.min()), float(known.max())
    cells, palette = by_logarithm(times, low, high)
    label = (
        f"Execution time alone of {several(len(known), 'field')}, from {duration(low)} to {duration(high)}"
    )
    heat = HeatMap("time-map", label, platforms, workloads, cells, palette, times, "time")
    scale = scale_legend(duration(low), duration(high), _decades(low, high), "execution time")
    sections.append(
        Section(
            "times",
            "Execution time alone",
            "The colour is the logarithm of the mean time; an empty field was not measured alone.",
            join(heat.html(caption, scale), _by_workload(rows)),
        )
    )
    return sections, [holes, heat]


def _reasons(dataset: Dataset, rows: Rows) -> tuple[NDArray[np.int8], NDArray[np.int8]]:
    """Two (P, W) arrays of indices into REASONS: what became of each platform and workload in any job, and
    in jobs alone.
    """
    alone = np.full((len(rows.platforms), len(rows.workloads)), UNPLANNED, np.int8)
    planned = dataset.planned()
    lonely = pc.and_(
        pc.equal(pc.list_value_length(planned["workloads"]), 1), pc.equal(planned["purpose"], "measure")
    )
    done = pc.is_in(planned["job"], value_set=rows.table["job"].unique())
    waiting = planned.filter(pc.and_(lonely, pc.invert(done)))
    if len(waiting):
        names = pc.binary_join_element_wise(waiting["engine"], waiting["device"], ":")
        platform = pc.index_in(names, pa.array(rows.platforms)).to_numpy()
        workload = pc.index_in(pc.list_flatten(waiting["workloads"]), pa.array(rows.workloads)).to_numpy()
        alone[platform, workload] = LEFT
    number = np.array([_reason(status) for status in rows.statuses] or [UNPLANNED], np.int8)
    found = number[rows.status]
    proper, without = rows.purpose == "measure", rows.n_co_runners == 0
    found[rows.ok & without] = 0
    only = proper & without
    np.minimum.at(alone, (rows.platform[only], rows.workload[only]), found[only])
    code = alone.copy()
    np.minimum.at(code, (rows.platform[proper], rows.workload[proper]), found[proper])
    return code, alone


def _reason(status: str) -> int:
    told = {"ok": "beside others only", "co_runner_failed": "co-runner failed", "device_unfit": "left to do"}
    words = told.get(status, status.replace("_", " "))
    return NAMES.index(words) if words in NAMES else NAMES.index("lost")


def _axes(rows: Rows, order: tuple[Any, Any]) -> tuple[Axis, Axis]:
    platforms = [rows.platforms[k] for k in order[0]]
    workloads = [rows.workloads[k] for k in order[1]]
    return (
        Axis(platforms, [name.partition(":")[0] for name in platforms], platforms),
        Axis(
            workloads, [_group(name) for name in workloads], [name.rpartition("/")[2] for name in workloads]
        ),
    )


def _group(workload: str) -> str:
    """``suite/size`` where a workload has a size, otherwise the suite."""
    parts = workload.split("/")
    return "/".join(parts[:2]) if len(parts) > 2 else suite(workload)


def _by_platform(rows: Rows, code: NDArray[np.int8], names: list[str], shown: list[int]) -> Html:
    columns = [Column("platform"), *(Column(names[k], "count") for k in shown)]
    body = [
        (name, *(int(np.count_nonzero(code[p, rows.asked] == k)) for k in shown))
        for p, name in enumerate(rows.platforms)
    ]
    return folded("Coverage as a table, by platform", table(columns, body, "Fields by platform and reason"))


def _holes(rows: Rows, alone: NDArray[np.int8], names: list[str]) -> Html:
    platform, workload = np.nonzero((alone > BESIDE) & (alone < LEFT) & rows.asked)
    listed = [
        (names[alone[p, w]], rows.workloads[w], rows.platforms[p])
        for p, w in zip(platform[:LISTED].tolist(), workload[:LISTED].tolist(), strict=True)
    ]
    more = f", the first {LISTED} of {len(platform):,}" if len(platform) > LISTED else ""
    columns = [Column("reason"), Column("workload"), Column("platform")]
    drawn = table(columns, listed, f"Workloads that were tried alone and have no time{more}")
    return folded("Fields without a time alone, one by one", drawn)


def _by_workload(rows: Rows) -> Html:
    known = np.flatnonzero(~np.isnan(rows.alone).all(axis=0))
    columns = [
        Column("workload"), Column("platforms", "count"), Column("fastest", "time"), Column("median", "time"),
        Column("slowest", "time"), Column("fastest on"), Column("slowest on"),
    ]  # fmt: skip
    body = []
    for w in known.tolist():
        times = rows.alone[:, w]
        fast, slow = int(np.nanargmin(times)), int(np.nanargmax(times))
        count = int(np.count_nonzero(~np.isnan(times)))
        body.append(
            (
                rows.workloads[w], count, times[fast], float(np.nanmedian(times)), times[slow], rows.platforms[fast],
                rows.platforms[slow],
            )
        )  # fmt: skip
    return folded(
        "Execution times as a table, by workload", table(columns, body, "Execution time alone by workload")
    )


def _decades(low: float, high: float) -> list[tuple[float, str]]:
    """The positions of the powers of ten on the colour scale."""
    span = np.log(high / low) or 1.0
    powers = [10.0**k for k in range(int(np.ceil(np.log10(low))), int(np.floor(np.log10(high))) + 1)]
    every = max(1, -(-len(powers) // 6))
    return [(float(np.log(value / low) / span), duration(value)) for value in powers[::every]]


def _fields(count: int) -> str:
    return f"{several(count, 'field')} platform × workload"
