"""How much longer workloads take beside others."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.report.charts import Panel, Scale, side_by_side
from harness.report.listing import Column, counted, folded, table
from harness.report.markup import Html, Section, join
from harness.report.rows import Rows, geometric
from harness.spelling import several

EDGES = np.geomspace(0.5, 8.0, 49)  # twelve histogram bars for each factor of two
MARKS = (0.5, 0.7, 1.0, 1.5, 2.0, 3.0, 5.0, 8.0)


def slowdowns(rows: Rows) -> list[Section]:
    degrees = np.unique(rows.n_co_runners[~np.isnan(rows.slowdown)]).tolist()
    body = join(
        side_by_side(*(_histogram(rows, n) for n in degrees)),
        _by_degree(rows, degrees),
        _by_platform(rows, degrees),
    )
    return [
        Section(
            "slowdowns",
            "Slowdown beside others",
            "Time beside others over the time alone, of the same workload on the same platform. "
            "What lies below ½ or above 8 is in the outermost bar.",
            body if degrees else Html(""),
            "No workload was measured both alone and beside others.",
            ", ".join(
                f"beside {n} the median is {np.median(values):.2f}× ({several(len(values), 'observation')})"
                for n in degrees
                for values in [_values(rows, n)]
            )
            + "." * bool(degrees),
        )
    ]


def _histogram(rows: Rows, co_runners: int) -> tuple[Panel, str]:
    values = _values(rows, co_runners)
    counts, _ = np.histogram(np.clip(values, EDGES[0], EDGES[-1] * 0.9999), EDGES)
    share = counts / len(values)
    middle, ninety_five = np.quantile(values, [0.5, 0.95]).tolist()
    spread = f"median {middle:.2f}×, 95 of 100 below {ninety_five:.2f}×"
    told = f"beside {co_runners}: {several(len(values), 'observation')}, {spread}"
    x = Scale("slowdown", 0.5, 8.0, log=True, words=lambda value: f"{value:g}×", marks=MARKS)
    y = Scale(
        "share of observations", 0.0, float(share.max()) * 1.12, words=lambda value: f"{100 * value:.0f} %"
    )
    panel = Panel(f"Histogram of slowdowns {told}", x, y, width=340, height=220)
    words = (
        f"{low:.2f}× to {high:.2f}×: {count:,}"
        for low, high, count in zip(EDGES[:-1], EDGES[1:], counts.tolist(), strict=True)
    )
    panel.bars(EDGES, share, words)
    panel.line([1.0, 1.0], [0.0, y.high], class_="guide")
    panel.line([middle, middle], [0.0, y.high], class_="guide strong", told=f"median {middle:.2f}×")
    panel.text(middle, y.high, f" median {middle:.2f}×", dy=9)
    return panel, told[0].upper() + told[1:]


def _by_degree(rows: Rows, degrees: list[int]) -> Html:
    columns = [
        Column("co-runners", "count"), Column("observations", "count"), Column("geometric mean", "ratio"),
        Column("5 of 100 below", "ratio"), Column("median", "ratio"), Column("95 of 100 below", "ratio"),
        Column("largest", "ratio"),
    ]  # fmt: skip
    body = []
    for n in degrees:
        values = _values(rows, n)
        body.append(
            (n, len(values), geometric(values), *np.quantile(values, [0.05, 0.5, 0.95, 1.0]).tolist())
        )
    return table(columns, body, "Slowdown by number of co-runners")


def _by_platform(rows: Rows, degrees: list[int]) -> Html:
    columns = [Column("platform"), *(Column(f"beside {n}", "ratio") for n in degrees)]
    logs = np.log(rows.slowdown)
    means, counts = [], []
    for n in degrees:
        chosen = ~np.isnan(logs) & (rows.n_co_runners == n)
        count = np.bincount(rows.platform[chosen], minlength=len(rows.platforms))
        total = np.bincount(rows.platform[chosen], logs[chosen], minlength=len(rows.platforms))
        counts.append(count)
        means.append(np.exp(np.divide(total, count, where=count > 0, out=np.full(len(count), np.nan))))
    body: list[Any] = [
        (name, *(counted(mean[p], count[p]) for mean, count in zip(means, counts, strict=True)))
        for p, name in enumerate(rows.platforms)
    ]
    return folded("Slowdown by platform", table(columns, body, "Geometric mean slowdown by platform"))


def _values(rows: Rows, co_runners: int) -> NDArray[np.float64]:
    values = rows.slowdown[rows.n_co_runners == co_runners]
    return np.asarray(values[~np.isnan(values)])
