"""Whether alone and together were measured alike: placebos, observations that are not steady, and old regimes."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pyarrow as pa

from harness.dataset.regimes import Regimes
from harness.dataset.store import Dataset
from harness.measure.placebo import placebo_rows
from harness.report.listing import Column, folded, percent, sentences, table
from harness.report.markup import Html, Section, join, tag
from harness.report.rows import Rows
from harness.spelling import noun, several

MANY = 0.05  # share of unsteady observations alone from which on the page warns
LISTED = 200


def steadiness(dataset: Dataset, rows: Rows) -> list[Section]:
    placebos = placebo_rows(dataset)
    told = _unsteady(rows)
    warned = [_off(row) for row in placebos if row["verdict"]] + _many(rows, told) + _mixed(rows)
    note = (
        "Placebos are workloads whose slowdown is known before it is measured: beside one that sleeps nothing slows "
        "down, two that compute on one processor take twice their time. Intervals are of 95 %. An observation is "
        "unsteady where its times drift, change at once, or are of two kinds: its mean is then one of several truths."
    )
    columns = [
        Column("platform"), Column("placebo"), Column("time over time alone", "ratio"), Column("from", "ratio"),
        Column("to", "ratio"), Column("truth", "ratio"), Column("pairs", "count"),
        Column("fixed work over its fastest", "ratio"),
    ]  # fmt: skip
    keys = ("platform", "placebo", "ratio", "low", "high", "truth", "pairs", "pace")
    body = [[row[key] for key in keys] for row in placebos]
    content = join(
        sentences(warned, "warnings") or (tag("p", "Nothing is off.", class_="good") if placebos else None),
        table(columns, body, "Placebos by platform"),
        _counts(rows, told),
        _listed(rows, told),
    )
    off = sum(bool(row["verdict"]) for row in placebos)
    gist = f"{off} of {several(len(placebos), 'placebo')} {noun(off, 'is', 'are')} off"
    gist = f"{gist}, {several(len(told), 'observation')} unsteady."
    empty = "No placebo was measured here, and nothing tells whether observations are steady."
    if not (placebos or told or warned):
        content, gist = Html(""), ""
    return [Section("steadiness", "Placebos and steadiness", note, content, empty, gist)]


def _off(row: dict[str, Any]) -> str:
    interval = f"{row['low']:.2f} to {row['high']:.2f}"
    where = f"{row['platform']}: {row['placebo']} {row['ratio']:.2f}× ({interval}) where {row['truth']:.2f}× is true"
    return f"{where}; look for {row['verdict']}."


def _unsteady(rows: Rows) -> dict[int, str]:
    """What was said of each finished observation of the plan proper that is not steady, by its row."""
    said = rows.table["unsteady"].to_pylist()
    return {int(at): said[at] for at in np.flatnonzero(rows.measured) if said[at]}


def _by_platform(rows: Rows, told: dict[int, str]) -> list[tuple[str, int, int, int, int]]:
    """Name, then unsteady and finished observations alone, and the same together."""
    counted = Counter((int(rows.platform[at]), bool(rows.n_co_runners[at])) for at in told)
    whole = Counter(
        (int(p), bool(n))
        for p, n in zip(rows.platform[rows.measured], rows.n_co_runners[rows.measured], strict=True)
    )
    return [
        (name, counted[p, False], whole[p, False], counted[p, True], whole[p, True])
        for p, name in enumerate(rows.platforms)
        if whole[p, False] + whole[p, True]
    ]


def _counts(rows: Rows, told: dict[int, str]) -> Html:
    columns = [
        Column("platform"), Column("unsteady alone", "count"), Column("of", "count"),
        Column("unsteady together", "count"), Column("of all", "count"),
    ]  # fmt: skip
    return table(columns, _by_platform(rows, told), "Unsteady observations by platform") if told else Html("")


def _listed(rows: Rows, told: dict[int, str]) -> Html:
    columns = [Column("platform"), Column("workload"), Column("beside", "count"), Column("mean", "time"),
        Column("median", "time"), Column("p95", "time"), Column("what its times do"),
    ]  # fmt: skip
    shown = list(told.items())[:LISTED]
    taken = rows.table.select([f"wall_ns_{name}" for name in ("mean", "median", "p95")])
    times = taken.take(pa.array([at for at, _ in shown], pa.int64())).to_pylist()
    body = [
        (
            rows.platforms[rows.platform[at]],
            rows.workloads[rows.workload[at]],
            int(rows.n_co_runners[at]),
            *time_ns.values(),
            said,
        )
        for (at, said), time_ns in zip(shown, times, strict=True)
    ]
    title = "Unsteady observations" + (f" (the first {LISTED})" if len(told) > LISTED else "")
    return folded(title, table(columns, body, title, wide=(6,))) if body else Html("")


def _many(rows: Rows, told: dict[int, str]) -> list[str]:
    return [
        f"{name}: {unsteady} of {several(of, 'observation')} alone are unsteady ({percent(unsteady / of)}): other work "
        "on the device, a clock that changes, or an engine that goes on compiling; see the list below."
        for name, unsteady, of, _, _ in _by_platform(rows, told)
        if of and unsteady / of > MANY and unsteady > 2
    ]


def _mixed(rows: Rows) -> list[str]:
    """Told once for all such rows: they can be used, but not for what depends on a few percent."""
    regimes = Regimes()
    regimes.add(rows.table)
    return [told] if (told := regimes.told()) else []
