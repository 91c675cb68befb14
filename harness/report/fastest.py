"""Which engine, device and platform is fastest: the headlines, each with its interval and what it rests on."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from harness.dataset.store import Dataset
from harness.report.factors import Factors, Fit, fit
from harness.report.listing import Column, counted, sentences, table
from harness.report.markup import Html, Section, join, tag
from harness.report.rows import Rows
from harness.spelling import noun, several

Array = NDArray[Any]
NAMED = 6  # most left-out platforms that are named


def fastest(dataset: Dataset, rows: Rows, found: Fit | None) -> list[Section]:
    """The section; without anything that two platforms measured alike it says so."""
    title, empty = (
        "Which is fastest",
        "No workload was measured alone on two platforms, so nothing can be compared.",
    )
    if found is None:
        return [Section("fastest", title, "", Html(""), empty)]
    note = (
        "How many times as long it takes as the fastest one: 2.00× is twice as long. Each level is a geometric mean "
        "over the same workloads for everybody; where one was not measured, a two-way fit (platform with start-up, "
        "workload) of all times alone stands in for it, and a second one (engine, device) takes engines and devices "
        "apart. Intervals are of 95 %, from drawing the workloads anew: for programs like these, on these devices."
    )
    parts = ("engine", found.engines), ("device", found.devices)
    body = join(
        sentences(_mixed(dataset, rows), "warnings"),
        tag("div", *(_ranked(what, one) for what, one in parts if len(one.order) > 1), class_="beside"),
        _grid(found, rows),
        tag("p", _rests_on(rows, found), class_="note"),
    )
    return [Section("fastest", title, note, body, gist=_gist(found))]


def fitted(rows: Rows) -> Fit | None:
    """The fits of the times alone, with what a limit ended as "longer than"."""
    return fit(rows.alone, _limits(rows), rows.platforms)


def _limits(rows: Rows) -> Array:
    """(P, W) ns that a workload alone is known to take at least; NaN where no limit ended it."""
    told = pc.fill_null(rows.table["time_ns"], float("nan")).to_numpy()
    some = rows.censored & (rows.purpose == "measure") & (rows.n_co_runners == 0) & (told > 0)
    found = np.zeros((len(rows.platforms), len(rows.workloads)))
    np.maximum.at(found, (rows.platform[some], rows.workload[some]), told[some])
    return np.where(found > 0, found, np.nan)


def _gist(found: Fit) -> str:
    told = []
    for what, one in (("engine", found.engines), ("device", found.devices)):
        if len(one.order) < 2:
            continue
        first, second, last = one.order[0], one.order[1], one.order[-1]
        others = [second] if second == last else [second, last]
        takes = ", ".join(f"{one.names[k]} takes {_ratio(one, k)}" for k in others)
        told.append(f"{what} {one.names[first]}; {takes}")
    cells, platforms = int(found.used.sum()), int(found.compared.sum())
    workloads = int(np.count_nonzero(found.used.any(axis=0)))
    over = f"from {several(cells, 'time')} alone of {several(workloads, 'workload')}"
    return f"{', '.join(['. '.join(told), over] if told else [over])} on {several(platforms, 'platform')}."


def _ratio(one: Factors, k: int) -> str:
    low, high = one.interval[:, k]
    return f"{one.ratio[k]:.2f}×" if np.isnan(low) else f"{one.ratio[k]:.2f}× ({low:.2f} to {high:.2f})"


def _ranked(what: str, one: Factors) -> Html:
    columns = [Column(what), Column("time, of the fastest", "ratio"), Column("from", "ratio"),
               Column("to", "ratio"), Column("workloads", "count")]  # fmt: skip
    body = []
    for k in one.order:
        low, high = one.interval[:, k].tolist()
        body.append((one.names[k], counted(one.ratio[k], one.counts[k]), low, high, one.counts[k]))
    return table(columns, body, f"{what.capitalize()}s, the fastest first")


def _grid(found: Fit, rows: Rows) -> Html:
    """Engines down, devices across: each platform's own time over that of the fastest platform."""
    engines, devices = ([one.names[k] for k in one.order] for one in (found.engines, found.devices))
    if min(len(engines), len(devices)) < 2:
        return Html("")  # the list of the other kind says it all
    number = {name: p for p, name in enumerate(rows.platforms)}
    one = found.platforms
    body = []
    for engine in engines:
        line: list[Any] = [engine]
        for device in devices:
            p = number.get(f"{engine}:{device}")
            line.append(None if p is None else counted(one.ratio[p], one.counts[p]))
        body.append(line)
    columns = [Column("engine"), *(Column(device, "ratio") for device in devices)]
    caption = f"Engine and device: time over that of the fastest platform, {one.names[one.fastest]}"
    return table(columns, body, caption, grid=True)


def _rests_on(rows: Rows, found: Fit) -> str:
    """What was counted and what was left out, in a sentence each."""
    alone, workloads = ~np.isnan(rows.alone), int(np.count_nonzero(found.used.any(axis=0)))
    told = [
        f"Counted: {several(found.used.sum(), 'time')} of {several(workloads, 'workload')} alone on "
        f"{several(np.count_nonzero(found.compared), 'platform')}."
    ]
    cut = int(np.count_nonzero(~np.isnan(_limits(rows)) & np.isnan(rows.alone)))
    if cut:
        told.append(
            f"{several(cut, 'more field')} that a limit ended {noun(cut, 'counts', 'count')} as “longer”."
        )
    lone = int(np.count_nonzero(alone.sum(axis=0) == 1))
    if lone:
        told.append(f"Left out: {several(lone, 'workload')} measured on one platform only.")
    apart = [name for name, ok in zip(rows.platforms, found.compared, strict=True) if not ok]
    if apart:
        more = f" and {len(apart) - NAMED:,} more" if len(apart) > NAMED else ""
        told.append(
            f"Left out: {', '.join(apart[:NAMED])}{more}, which share no workload alone with the others."
        )
    together = int(np.count_nonzero(rows.measured & (rows.n_co_runners > 0)))
    if together:
        told.append(
            f"{several(together, 'time')} beside others {noun(together, 'is', 'are')} not counted here."
        )
    return " ".join(told)


def _mixed(dataset: Dataset, rows: Rows) -> list[str]:
    """A warning where times of different kinds are compared."""
    known = dataset.platforms()
    here = known.filter(pc.is_in(known["platform"], value_set=pa.array(rows.platforms, pa.string())))
    kinds = sorted({kind for kind in here["wall_contains"].to_pylist() if kind})
    if len(kinds) < 2:
        return []
    return [
        f"Times contain different things ({' and '.join(kinds)}; see Platforms): compare only platforms of one kind."
    ]
