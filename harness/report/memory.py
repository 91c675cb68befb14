"""How much memory workloads take: the most that an engine's process ever held."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.report.heatmaps import Axis, HeatMap, by_logarithm, scale_legend
from harness.report.listing import Column, table
from harness.report.markup import Section, join
from harness.report.rows import Rows
from harness.spelling import several

Array = NDArray[Any]
CAPTION = "Platforms down, workloads across. Point at a field, or move with the arrow keys, to read it."


def memory(rows: Rows) -> tuple[list[Section], list[HeatMap]]:
    """Nothing where no device told it."""
    peak = peaks(rows)
    known = ~np.isnan(peak)
    if not known.any():
        return [], []
    here, there = np.flatnonzero(known.any(axis=1)), np.flatnonzero(known.any(axis=0))
    shown = peak[np.ix_(here, there)]
    low, high = float(np.nanmin(shown)), float(np.nanmax(shown))
    cells, palette = by_logarithm(shown, low, max(high, 1.01 * low))
    platforms, workloads = [rows.platforms[p] for p in here], [rows.workloads[w] for w in there]
    told = f"Peak memory of {several(known.sum(), 'field')}, from {megabytes(low)} to {megabytes(high)}"
    heat = HeatMap(
        "memory-map", told, Axis(platforms, [name.partition(":")[0] for name in platforms], platforms),
        Axis(workloads, [name.rpartition("/")[0] for name in workloads], [w.rpartition("/")[2] for w in workloads]),
        cells, palette, shown, "memory",
    )  # fmt: skip
    ticks = [(0.0, megabytes(low)), (1.0, megabytes(high))]
    scale = scale_legend(megabytes(low), megabytes(high), ticks, "peak memory")
    note = (
        "The most memory that the engine's process held up to the end of the workload, of all its executions and "
        "beside whatever ran: engine, module and data together. A device needs at least so much free for it."
    )
    most = np.unravel_index(int(np.nanargmax(peak)), peak.shape)
    gist = f"at most {megabytes(high)}, by {rows.workloads[most[1]]} on {rows.platforms[most[0]]}."
    body = join(heat.html(CAPTION, scale), _by_workload(rows, peak), _by_platform(rows, peak))
    return [Section("memory", "Memory", note, body, gist=gist)], [heat]


def peaks(rows: Rows) -> Array:
    """(P, W) most resident memory in kB of any sample, NaN where none told it."""
    found = np.zeros((len(rows.platforms), len(rows.workloads)))
    np.maximum.at(found, (rows.platform, rows.workload), np.nan_to_num(rows.max_rss_kb))
    return np.where(found > 0, found, np.nan)


def megabytes(kilobytes: float) -> str:
    """As in 12.3 MB; the system's kB are of 1,024 bytes."""
    return f"{kilobytes * 1024 / 1e6:.3g} MB"


def _by_workload(rows: Rows, peak: Array) -> Any:
    columns = [
        Column("workload"), Column("platforms", "count"), Column("least, MB", "number"), Column("median, MB", "number"),
        Column("most, MB", "number"), Column("least on"), Column("most on"),
    ]  # fmt: skip
    body = []
    for w in np.flatnonzero(~np.isnan(peak).all(axis=0)).tolist():
        mine, count = peak[:, w] * 1024 / 1e6, int(np.count_nonzero(~np.isnan(peak[:, w])))
        least, most = int(np.nanargmin(mine)), int(np.nanargmax(mine))
        body.append(
            (
                rows.workloads[w], count, mine[least], float(np.nanmedian(mine)), mine[most],
                rows.platforms[least], rows.platforms[most],
            )
        )  # fmt: skip
    return table(columns, body, "Peak memory by workload")


def _by_platform(rows: Rows, peak: Array) -> Any:
    columns = [Column("platform"), Column("workloads", "count"), Column("median, MB", "number"),
               Column("most, MB", "number"), Column("most by")]  # fmt: skip
    body = []
    for p in np.flatnonzero(~np.isnan(peak).all(axis=1)).tolist():
        mine = peak[p] * 1024 / 1e6
        most = int(np.nanargmax(mine))
        body.append(
            (rows.platforms[p], np.count_nonzero(~np.isnan(mine)), float(np.nanmedian(mine)), mine[most],
             rows.workloads[most])
        )  # fmt: skip
    return table(columns, body, "Peak memory by platform")
