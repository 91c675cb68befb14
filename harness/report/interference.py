"""Who suffers from whom."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.report.charts import Panel, Scale, legend, side_by_side
from harness.report.heatmaps import Axis, HeatMap, by_logarithm, scale_legend
from harness.report.judged import Judged
from harness.report.listing import Column, counted, folded, table
from harness.report.markup import Html, Section, join, tag
from harness.report.pairs import Pairs, expected_everywhere, expected_pairs, intervals, measured_pairs
from harness.report.rows import Rows, suite
from harness.spelling import several

Array = NDArray[Any]
MOST = 400  # most workloads shown in one picture
NAMED = 5
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
    told = f"Measured slowdown of {several(np.count_nonzero(~np.isnan(shown)), 'pair')} of workloads"
    kinds = [("measured-pairs", told, shown)]
    if judged and model:
        expected, platforms = expected_everywhere(judged, down, across)
        told = f"Slowdown that the model expects of {several(expected.size, 'pair')} of workloads"
        told = f"{told}, on {several(platforms, 'platform')}"
        kinds.append(("expected-pairs", told, expected))
        note += (
            " The model's figures in the tables are for the same observations, most of which it was shown."
        )
    high = _top(
        *(values for _, _, values in kinds)
    )  # one scale, so that one colour is one slowdown in both maps
    maps = [_map(key, told, down, across, values, high) for key, told, values in kinds]
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


def _top(*maps: Array) -> float:
    """What the lightest colour stands for: 99 of 100 fields of each map are below."""
    told = [values[~np.isnan(values)] for values in maps]
    return max([1.1, *(float(np.quantile(values, 0.99)) for values in told if len(values))])


def _map(key: str, label: str, down: list[str], across: list[str], values: Array, high: float) -> HeatMap:
    low = 1.0
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
    """Who certainly suffers and presses most, by the lower ends of intervals, and the largest means beyond them."""
    told = []
    for words, group, count, mean in (
        ("Suffer most", pairs.target, pairs.targets, pairs.suffers),
        ("Press most", pairs.beside, pairs.pressing, pairs.presses),
    ):
        low, high = intervals(group, pairs.logs, pairs.size)
        sure = np.flatnonzero(np.nan_to_num(low) > 1.0)
        first = sure[np.argsort(-low[sure], kind="stable")][:NAMED]
        names = "; ".join(
            f"{rows.workloads[w]} {mean[w]:.2f}× ({low[w]:.2f} to {high[w]:.2f}, "
            f"{several(int(count[w]), 'observation')})"
            for w in first.tolist()
        )
        line = names or "nothing is slower beside others by more than chance explains"
        beyond = [
            w for w in np.argsort(-np.nan_to_num(mean), kind="stable")[:NAMED].tolist()
            if w not in first and mean[w] > max([1.0, *mean[first].tolist()])
        ]  # fmt: skip
        more = ", ".join(
            f"{rows.workloads[w]} {mean[w]:.2f}× ({several(int(count[w]), 'observation')})" for w in beyond
        )
        uncertain = (
            f" Larger means, from too few or too different observations to be sure: {more}." if more else ""
        )
        told.append(tag("p", tag("b", f"{words}: "), f"{line}.{uncertain}"))
    return join(
        *told, tag("p", "Ordered by the lower ends of 95 % intervals, which are in brackets.", class_="note")
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
    label = f"Pressure and susceptibility of {several(np.count_nonzero(both), 'workload')}"
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
                rows.workloads[w], pairs.targets[w], counted(pairs.suffers[w], pairs.targets[w]),
                *([model.suffers[w]] if model else []), pairs.pressing[w],
                counted(pairs.presses[w], pairs.pressing[w]), *([model.presses[w]] if model else []),
            )
        )  # fmt: skip
    return table(columns, body, "Slowdown by workload, as target and as co-runner")


def _by_pair(rows: Rows, pairs: Pairs, model: Pairs | None) -> Html:
    """The pairs with the largest mean slowdown, whatever it rests on."""
    target, beside = np.nonzero(pairs.counts)
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
            rows.workloads[t], rows.workloads[b], pairs.counts[t, b],
            counted(pairs.means[t, b], pairs.counts[t, b]),
            *([model.means[t, b]] if model else []),
        )
        for t, b in zip(target[first].tolist(), beside[first].tolist(), strict=True)
    ]  # fmt: skip
    return folded(
        "The pairs that slow down most", table(columns, body, "Slowdown by pair, the largest first")
    )
