"""Who suffers from whom."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.report.charts import Panel, Scale, legend, side_by_side
from harness.report.heatmaps import Axis, HeatMap, by_logarithm, scale_legend
from harness.report.judged import Judged
from harness.report.listing import Column, folded, table
from harness.report.markup import Html, Section, join, tag
from harness.report.pairs import Pairs, expected_everywhere, expected_pairs, measured_pairs
from harness.report.rows import Rows, suite

Array = NDArray[Any]
MOST = 400  # most workloads shown in one picture
NOTABLE = 1.05  # slowdowns below this are not named in the summary
STRONGEST = 50
MARKS = (0.5, 0.7, 0.8, 0.9, 1.0, 1.1, 1.2, 1.3, 1.4, 1.5, 1.7, 2.0, 2.5, 3.0, 4.0, 6.0, 10.0)


def interference(rows: Rows, judged: Judged | None) -> tuple[list[Section], list[HeatMap]]:
    title = "Who suffers from whom"
    note = "Pairs only: geometric means over platforms of the time beside one other workload over the time alone."
    pairs = measured_pairs(rows)
    if not len(pairs.logs):
        return [Section("interference", title, note, Html(""))], []
    model = expected_pairs(rows, judged) if judged else None
    order = _order(pairs.targets, pairs.suffers), _order(pairs.pressing, pairs.presses)
    down, across = ([rows.workloads[w] for w in side.tolist()] for side in order)
    shown = pairs.means[np.ix_(*order)]
    told = f"Measured slowdown of {np.count_nonzero(~np.isnan(shown)):,} pairs of workloads"
    maps = [_map("measured-pairs", told, down, across, shown)]
    if judged and model:
        expected, platforms = expected_everywhere(judged, down, across)
        told = f"Slowdown that the model expects of {expected.size:,} pairs of workloads, on {platforms} platforms"
        maps.append(_map("expected-pairs", told, down, across, expected))
        note += (
            " The model's figures in the tables are for the same observations, most of which it was shown."
        )
    captions = (
        "Measured. Targets down, those that suffer most at the top; co-runners across, those that press most at the "
        "left.",
        "What the model expects of every pair, also of those that were never measured, in the same order.",
    )
    body = join(
        _most(rows, pairs),
        side_by_side(_picture(rows, pairs)),
        legend(_suites(rows)),
        *(one.html(caption, _legend(one)) for one, caption in zip(maps, captions, strict=False)),
        _by_workload(rows, pairs, model),
        _by_pair(rows, pairs, model),
    )
    return [Section("interference", title, note, body)], maps


def _order(count: Array, mean: Array) -> Array:
    """The workloads that took part, the largest mean slowdown first; of very many only every k-th."""
    some = np.flatnonzero(count)
    ordered = some[np.argsort(-mean[some], kind="stable")]
    return np.asarray(ordered[:: -(-len(ordered) // MOST)])


def _map(key: str, label: str, down: list[str], across: list[str], values: Array) -> HeatMap:
    told = values[~np.isnan(values)]
    low, high = 1.0, max(1.1, float(np.quantile(told, 0.99))) if len(told) else 2.0
    cells, palette = by_logarithm(values, low, high)
    targets, co_runners = (
        Axis(names, [""] * len(names), [name.rpartition("/")[2] for name in names], title)
        for names, title in ((down, "target, suffers most first"), (across, "co-runner, presses most first"))
    )
    return HeatMap(
        key, label, targets, co_runners, cells, palette, values, "ratio",
        words=[f"{value:.2f}×" for value in (low, high, np.sqrt(low * high))], joint="suffers from",
    )  # fmt: skip


def _legend(one: HeatMap) -> Html:
    low, high, middle = one.words
    return scale_legend(low, high, [(0.0, low), (0.5, middle), (1.0, f"{high} and more")], "slowdown")


def _most(rows: Rows, pairs: Pairs) -> Html:
    def most(count: Array, mean: Array) -> str:
        enough = np.flatnonzero((count >= min(3, int(count.max()))) & (np.nan_to_num(mean) > NOTABLE))
        first = enough[np.argsort(-mean[enough])][:5]
        return ", ".join(f"{rows.workloads[w]} ({mean[w]:.2f}×)" for w in first.tolist()) or "none"

    return join(
        tag("p", tag("b", "Suffer most: "), most(pairs.targets, pairs.suffers), "."),
        tag("p", tag("b", "Press most: "), most(pairs.pressing, pairs.presses), "."),
    )


def _suites(rows: Rows) -> list[str]:
    return sorted(
        {suite(name) for name, asked in zip(rows.workloads, rows.asked.tolist(), strict=True) if asked}
    )


def _picture(rows: Rows, pairs: Pairs) -> tuple[Panel, str] | None:
    both = (pairs.targets > 0) & (pairs.pressing > 0)
    if not both.any():
        return None
    ends = [
        (float(mean[both].min()) / 1.03, float(mean[both].max()) * 1.03)
        for mean in (pairs.presses, pairs.suffers)
    ]

    def words(value: float) -> str:
        return f"{value:g}×"

    x = Scale("pressure: slowdown of the workloads beside it", *ends[0], log=True, words=words, marks=MARKS)
    y = Scale("susceptibility: its own slowdown", *ends[1], log=True, words=words, marks=MARKS)
    label = f"Pressure and susceptibility of {np.count_nonzero(both)} workloads"
    panel = Panel(label, x, y, width=720, height=380)
    group = np.array([suite(name) for name in rows.workloads])
    for k, name in enumerate(_suites(rows)):
        mine = np.flatnonzero(both & (group == name))
        names = [rows.workloads[w] for w in mine.tolist()]
        panel.named(pairs.presses[mine], pairs.suffers[mine], names, k, 3.5)
    return (
        panel,
        "Each mark is a workload: to the right those that press on others, at the top those that suffer.",
    )


def _by_workload(rows: Rows, pairs: Pairs, model: Pairs | None) -> Html:
    expects = [Column("model", "ratio")] if model else []
    columns = [
        Column("workload"), Column("as target", "count"), Column("suffers", "ratio"), *expects,
        Column("as co-runner", "count"), Column("presses", "ratio"), *expects,
    ]  # fmt: skip
    body = []
    for w in np.flatnonzero((pairs.targets > 0) | (pairs.pressing > 0)).tolist():
        body.append(
            (
                rows.workloads[w], pairs.targets[w], pairs.suffers[w], *([model.suffers[w]] if model else []),
                pairs.pressing[w], pairs.presses[w], *([model.presses[w]] if model else []),
            )
        )  # fmt: skip
    return table(columns, body, "Slowdown by workload, as target and as co-runner")


def _by_pair(rows: Rows, pairs: Pairs, model: Pairs | None) -> Html:
    """The pairs with the largest slowdown among those measured at least as often as the median pair."""
    target, beside = np.nonzero(pairs.counts >= np.median(pairs.counts[pairs.counts > 0]))
    first = np.argsort(-pairs.means[target, beside], kind="stable")[:STRONGEST]
    columns = [
        Column("workload"),
        Column("suffers from"),
        Column("observations", "count"),
        Column("measured", "ratio"),
    ]
    columns += [Column("model", "ratio")] if model else []
    body = [
        (
            rows.workloads[t], rows.workloads[b], pairs.counts[t, b], pairs.means[t, b],
            *([model.means[t, b]] if model else []),
        )
        for t, b in zip(target[first].tolist(), beside[first].tolist(), strict=True)
    ]  # fmt: skip
    return folded(
        "The pairs that slow down most", table(columns, body, "Slowdown by pair, the largest first")
    )
