"""Who suffers from whom: slowdowns by workload and by the workload beside it, measured and as the model has them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.report.charts import Panel, Scale, legend, side_by_side
from harness.report.heatmaps import Axis, HeatMap, by_logarithm, scale_legend
from harness.report.judged import Judged, known
from harness.report.markup import Html, Section, join, tag
from harness.report.rows import Rows, suite
from harness.report.tables import Column, table
from pitot_core import Queries

Array = NDArray[Any]
MOST = 400  # workloads in a picture
NOTABLE = 1.05  # a slowdown worth naming
ASKED = 800_000  # predictions for the picture of what the model expects


@dataclass(frozen=True)
class Effect:
    """Of each workload as target and as co-runner: (W,) rows and geometric mean slowdown, NaN of none."""

    targets: Array
    suffers: Array
    pressing: Array
    presses: Array

    @classmethod
    def of(cls, target: Array, co_runner: Array, logs: Array, size: int) -> Effect:
        means = []
        for group in (target, co_runner):
            count = np.bincount(group, minlength=size)
            total = np.bincount(group, logs, minlength=size)
            means += [count, np.exp(np.divide(total, count, where=count > 0, out=np.full(size, np.nan)))]
        return cls(*means)


def interference(rows: Rows, judged: Judged | None) -> tuple[list[Section], list[HeatMap]]:
    pairs = np.flatnonzero((rows.n_co_runners == 1) & ~np.isnan(rows.slowdown))
    title, note = (
        "Who suffers from whom",
        "Pairs only: geometric means over platforms of the time beside one other workload over the time alone.",
    )
    if not len(pairs):
        return [Section("interference", title, note, Html(""))], []
    target, beside, logs = rows.workload[pairs], rows.co_runners[pairs, 0], np.log(rows.slowdown[pairs])
    size = len(rows.workloads)
    effect = Effect.of(target, beside, logs, size)
    expected = _expected_of_pairs(rows, judged, pairs)
    model = (
        None if expected is None else Effect.of(target[expected[0]], beside[expected[0]], expected[1], size)
    )
    order = _order(effect)
    maps = [_measured_map(rows, order, target, beside, logs)]
    if judged is not None and model is not None:
        maps.append(_model_map(rows, order, judged))
    drawn = [one.html(caption, _legend(one)) for one, caption in zip(maps, CAPTIONS, strict=False)]
    if model is not None:
        note += (
            " The model's figures are its expectations for the same observations, most of which it was shown."
        )
    body = join(
        _told(rows, effect),
        side_by_side(_picture(rows, effect)),
        legend(_suites(rows)),
        *drawn,
        _table(rows, effect, model),
    )
    return [Section("interference", title, note, body)], maps


CAPTIONS = (
    "Measured. Targets down, those that suffer most at the top; co-runners across, those that press most at the left.",
    "The model's expectation for every pair, also those that were never measured, in the same order.",
)


def _expected_of_pairs(rows: Rows, judged: Judged | None, pairs: Array) -> tuple[Array, Array] | None:
    """Which of the pairs the model knows, and the logarithm of the slowdown it expects of them."""
    if judged is None or not (judged.observations.n_co_runners == 1).any():
        return None
    place = np.full(len(rows), -1)
    place[np.flatnonzero(rows.measured)] = np.arange(len(judged.observations))
    asked = judged.observations[place[pairs]]
    learned = np.flatnonzero(known(judged.model, asked))
    asked = asked[learned]
    alone = Queries.of(asked.platform, asked.workload)
    return learned, np.log(judged.model.predict(asked) / judged.model.predict(alone))


def _order(effect: Effect) -> tuple[Array, Array]:
    """Targets from the one that suffers most, co-runners from the one that presses most; every k-th of very many."""
    found = []
    for count, mean in ((effect.targets, effect.suffers), (effect.pressing, effect.presses)):
        some = np.flatnonzero(count)
        ordered = some[np.argsort(-mean[some], kind="stable")]
        found.append(ordered[:: -(-len(ordered) // MOST)])
    return found[0], found[1]


def _measured_map(
    rows: Rows, order: tuple[Array, Array], target: Array, beside: Array, logs: Array
) -> HeatMap:
    size = len(rows.workloads)
    cell = target.astype(np.int64) * size + beside
    count = np.bincount(cell, minlength=size * size)
    total = np.bincount(cell, logs, minlength=size * size)
    mean = np.exp(np.divide(total, count, where=count > 0, out=np.full(size * size, np.nan))).reshape(
        size, size
    )
    shown = mean[np.ix_(*order)]
    return _map(
        rows,
        order,
        shown,
        "measured-pairs",
        f"Measured slowdown of {np.count_nonzero(~np.isnan(shown)):,} pairs of workloads",
    )


def _model_map(rows: Rows, order: tuple[Array, Array], judged: Judged) -> HeatMap:
    features = judged.model.features
    assert features is not None
    numbers = {name: k for k, name in enumerate(features.workload_names) if judged.model.seen_workloads[k]}
    targets, co_runners = (
        np.array([w for w in side.tolist() if rows.workloads[w] in numbers], int) for side in order
    )
    order = targets, co_runners
    down, across = (np.array([numbers[rows.workloads[w]] for w in side.tolist()], np.int32) for side in order)
    seen = np.flatnonzero(judged.model.seen_platforms)
    platforms = seen[:: -(-len(seen) * len(down) * len(across) // ASKED)]
    total = np.zeros((len(down), len(across)))
    for platform in platforms.tolist():
        target, beside = (side.ravel() for side in np.meshgrid(down, across, indexing="ij"))
        where = np.full(len(target), platform, np.int32)
        together = judged.model.predict(Queries.of(where, target, beside))
        alone = judged.model.predict(Queries.of(where[: len(down)], down))
        total += np.log(together.reshape(total.shape) / alone[:, None])
    shown = np.exp(total / len(platforms))
    shown[down[:, None] == across[None, :]] = np.nan
    label = (
        f"Slowdown that the model expects of {shown.size:,} pairs of workloads, on {len(platforms)} platforms"
    )
    return _map(rows, order, shown, "expected-pairs", label)


def _map(rows: Rows, order: tuple[Array, Array], values: Array, key: str, label: str) -> HeatMap:
    down, across = ([rows.workloads[w] for w in side] for side in order)
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


def _told(rows: Rows, effect: Effect) -> Html:
    def most(count: Array, mean: Array) -> str:
        enough = np.flatnonzero((count >= min(3, int(count.max()))) & (np.nan_to_num(mean) > NOTABLE))
        first = enough[np.argsort(-mean[enough])][:5]
        return ", ".join(f"{rows.workloads[w]} ({mean[w]:.2f}×)" for w in first.tolist())

    return join(
        tag("p", tag("b", "Suffer most: "), most(effect.targets, effect.suffers) or "none", "."),
        tag("p", tag("b", "Press most: "), most(effect.pressing, effect.presses) or "none", "."),
    )


def _suites(rows: Rows) -> list[str]:
    return sorted(
        {suite(name) for name, asked in zip(rows.workloads, rows.asked.tolist(), strict=True) if asked}
    )


def _picture(rows: Rows, effect: Effect) -> tuple[Panel, str]:
    both = (effect.targets > 0) & (effect.pressing > 0)
    ends = []
    for mean in (effect.presses[both], effect.suffers[both]):
        low, high = (float(mean.min()), float(mean.max())) if len(mean) else (1.0, 2.0)
        ends.append((low / 1.03, high * 1.03))
    marks = (0.5, 0.7, 0.8, 0.9, 1.0, 1.1, 1.2, 1.3, 1.4, 1.5, 1.7, 2.0, 2.5, 3.0, 4.0, 6.0, 10.0)

    def words(value: float) -> str:
        return f"{value:g}×"

    x = Scale("pressure: slowdown of the workloads beside it", *ends[0], log=True, words=words, marks=marks)
    y = Scale("susceptibility: its own slowdown", *ends[1], log=True, words=words, marks=marks)
    panel = Panel(
        f"Pressure and susceptibility of {np.count_nonzero(both)} workloads", x, y, width=720, height=380
    )
    group = np.array([suite(name) for name in rows.workloads])
    for k, name in enumerate(_suites(rows)):
        mine = np.flatnonzero(both & (group == name))
        panel.named(effect.presses[mine], effect.suffers[mine], [rows.workloads[w] for w in mine], k, 3.5)
    return (
        panel,
        "Each mark is a workload: to the right those that press on others, at the top those that suffer.",
    )


def _table(rows: Rows, effect: Effect, model: Effect | None) -> Html:
    columns = [Column("workload"), Column("as target", "count"), Column("suffers", "ratio")]
    columns += [Column("model", "ratio")] if model else []
    columns += [Column("as co-runner", "count"), Column("presses", "ratio")]
    columns += [Column("model", "ratio")] if model else []
    body = []
    for w in np.flatnonzero((effect.targets > 0) | (effect.pressing > 0)).tolist():
        line: list[Any] = [rows.workloads[w], effect.targets[w], effect.suffers[w]]
        line += [model.suffers[w]] if model else []
        line += [effect.pressing[w], effect.presses[w]]
        line += [model.presses[w]] if model else []
        body.append(line)
    return table(columns, body, "Slowdown by workload, as target and as co-runner")
