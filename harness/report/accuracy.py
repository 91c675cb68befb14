"""How good a model is on jobs that were used for nothing else."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.output import duration
from harness.report.charts import Panel, Scale, legend, side_by_side
from harness.report.colours import GROUPS
from harness.report.judged import EPSILONS, Judged
from harness.report.listing import Column, folded, percent, sentences, table
from harness.report.markup import Html, Section, join, tag
from harness.report.rows import suite
from harness.spelling import several
from pitot_core import MAX_CO_RUNNERS, Pitot, coverage, margin

Array = NDArray[Any]
SHOWN = (0.1, 0.05)
KEPT = "every bound held as often as promised, within the chance of so many rows"
POINTS = 6000
FINE, COARSE = (0.5, 0.7, 0.8, 0.9, 1.0, 1.1, 1.2, 1.4, 2.0), (0.125, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)


def accuracy(judged: Judged) -> list[Section]:
    rows, features = judged.rows, judged.model.features
    assert features is not None
    engines, devices = zip(*(name.split(":", 1) for name in features.platform_names), strict=True)
    suites = [suite(name) for name in features.workload_names]
    tables = [
        _groups(
            "co-runners", judged, np.array([_beside(n) for n in range(MAX_CO_RUNNERS + 1)])[rows.n_co_runners]
        ),
        _groups("suite", judged, np.array(suites)[rows.workload]),
        _groups("engine", judged, np.array(engines)[rows.platform]),
        folded("By device", _groups("device", judged, np.array(devices)[rows.platform])),
    ]
    note = (
        f"On {several(len(rows), 'observation')} of jobs that were used for nothing else. MAPE is the mean of "
        "|predicted − measured| over measured; a margin is how far, on average, the bound lies above what was "
        "measured; “held” is how often it was not exceeded, with the exact 99 % interval. The promise is for each "
        "number of co-runners as a whole; a suite, an engine or a device may lie on either side of it."
    )
    colours = legend([_beside(n) for n in range(int(rows.n_co_runners.max()) + 1)])
    pictures = side_by_side(_ratios(judged), _margins(judged), _exceeded(judged))
    degrees = np.unique(rows.n_co_runners).tolist()
    means = (float(judged.error[rows.n_co_runners == n].mean()) for n in degrees)
    gist = ", ".join(f"MAPE {percent(mean, 1)} {_beside(n)}" for n, mean in zip(degrees, means, strict=True))
    missed, told = _missed(judged), Html("")
    if missed:
        gist, told = f"{gist}; {several(len(missed), 'warning')} about bounds", sentences(missed, "warnings")
    elif judged.calibrated.any():
        gist, told = f"{gist}; {KEPT}", tag("p", f"{KEPT.capitalize()}.", class_="good")
    body = join(told, colours, pictures, *tables)
    return [Section("accuracy", "Accuracy of the model", note, body, gist=f"{gist}.")]


def stored_accuracy(model: Pitot, why: str) -> list[Section]:
    """The accuracy table that `harness train` stored in the model, for when the held-out jobs are not at
    hand to judge it again.
    """
    card = model.card.get("accuracy")
    entries = [entry for entry in card if isinstance(entry, dict)] if isinstance(card, list) else []
    columns = [Column("co-runners", "count"), Column("rows", "count"), Column("MAPE", "percent")]
    keys = ["co_runners", "test_rows", "mape"]
    for eps in SHOWN:
        columns += [Column(f"ε = {eps:g}: margin", "percent"), Column("held", "percent")]
        keys += [f"margin_{eps:g}", f"coverage_{eps:g}"]
    body = [[_number(entry.get(key)) for key in keys] for entry in entries]
    told = f"No figures could be made for this page: {why} Below is what the model's training said of it."
    stored = table(columns, body, "Accuracy when the model was trained")
    return [Section("accuracy", "Accuracy of the model", "", join(tag("p", told, class_="warning"), stored))]


def _groups(title: str, judged: Judged, group: Array) -> Html:
    columns = [
        Column(title),
        Column("rows", "count"),
        Column("MAPE", "percent"),
        Column("median error", "percent"),
    ]
    for eps in SHOWN:
        columns += [
            Column(f"ε = {eps:g}: margin", "percent"),
            Column("held", "percent"),
            Column("99 % interval"),
        ]
    error, body = judged.error, []
    for name in np.unique(group).tolist():
        mine = group == name
        line: list[Any] = [name, int(mine.sum()), float(error[mine].mean()), float(np.median(error[mine]))]
        for eps in SHOWN:
            line += _bound(judged, eps, mine)
        body.append(line)
    return (
        table(columns, body, f"Accuracy by {title}") if len(body) > 1 or title == "co-runners" else Html("")
    )


def _bound(judged: Judged, eps: float, chosen: Array) -> list[Any]:
    chosen = chosen & judged.calibrated
    if not chosen.any():
        return [None, None, None]
    bound, measured = judged.bounds_ns[eps][chosen], judged.measured_ns[chosen]
    held = coverage(bound, measured)
    return [margin(bound, measured), held.share, f"{100 * held.low:.1f}–{100 * held.high:.1f}"]


def _missed(judged: Judged) -> list[str]:
    """Sentences about bounds that held less often than promised (by more than chance explains) and about
    infinite bounds.
    """
    told = []
    for n, pool in judged.model.pools().items():
        mine = judged.calibrated & (judged.rows.n_co_runners == n)
        who = _beside(n).capitalize()
        for eps in SHOWN if mine.any() else ():
            bound = judged.bounds_ns[eps][mine]
            if not np.isfinite(bound).all():
                told.append(
                    f"{who}: no bound can be promised at ε = {eps:g}, since "
                    f"{several(pool.rows, 'calibration row supports', 'calibration rows support')} "
                    f"no ε below {pool.smallest_eps:.3g}."
                )
                continue
            held = coverage(bound, judged.measured_ns[mine])
            if held.high < 1 - eps:
                told.append(
                    f"{who}: the bound at ε = {eps:g} held in {percent(held.share, 1)} of {several(held.rows, 'row')}, "
                    f"fewer than promised (99 % interval {100 * held.low:.1f} to {100 * held.high:.1f} %)."
                )
    return told


def _ratios(judged: Judged) -> tuple[Panel, str]:
    times, ratio = judged.measured_ns, judged.predicted_ns / judged.measured_ns
    low, high = float(times.min()) * 0.9, float(times.max()) * 1.1
    x = Scale("measured", low, high, log=True, words=duration)
    span = float(np.exp(np.clip(np.quantile(np.abs(np.log(ratio)), 0.995), np.log(1.5), np.log(8.0))))
    y = Scale(
        "predicted over measured",
        1 / span,
        span,
        log=True,
        words=lambda v: f"{v:g}×",
        marks=FINE if span < 2.1 else COARSE,
    )
    label = f"Predicted over measured time against the measured time of {several(len(times), 'held-out observation')}"
    panel = Panel(label, x, y)
    every = -(-len(times) // POINTS)
    n_co = judged.rows.n_co_runners[::every]
    for co_runners in np.unique(n_co).tolist():
        mine = n_co == co_runners
        panel.points(
            times[::every][mine], ratio[::every][mine], GROUPS[co_runners], 1.4 if len(n_co) > 800 else 2.2
        )
    panel.line([low, high], [1.0, 1.0], class_="guide strong")
    within = float(np.mean(judged.error <= 0.1))
    thinned = f" One in {every} is drawn." if every > 1 else ""
    return panel, f"{percent(within)} of the predictions lie within 10 % of what was measured.{thinned}"


def _margins(judged: Judged) -> tuple[Panel, str] | None:
    curves = {n: [m for _, m, _ in curve] for n, curve in _curves(judged).items()}
    if not curves:
        return None
    most = max(m for curve in curves.values() for m in curve)
    x = Scale("ε", EPSILONS[0], EPSILONS[-1], log=True, marks=(0.01, 0.03, 0.1, 0.3))
    panel = Panel(
        "Margin of the bound against ε", x, Scale("margin", 0.0, most * 1.1, words=percent), width=320
    )
    for n, curve in _curves(judged).items():
        panel.line([e for e, _, _ in curve], [m for _, m, _ in curve], colour=GROUPS[n], told=_beside(n))
    return panel, "How far the bound lies above what was measured, by ε."


def _exceeded(judged: Judged) -> tuple[Panel, str] | None:
    curves = _curves(judged)
    if not curves:
        return None
    ends = EPSILONS[0], EPSILONS[-1]
    x = Scale("ε promised", *ends, log=True, marks=(0.01, 0.03, 0.1, 0.3))
    low = max(0.001, min(e for curve in curves.values() for _, _, e in curve) or 0.001)
    y = Scale(
        "share exceeded",
        min(low, ends[0] / 2),
        0.5,
        log=True,
        words=lambda v: f"{v:g}",
        marks=(0.001, 0.01, 0.03, 0.1, 0.3),
    )
    panel = Panel("Share of held-out observations above their bound against the promised ε", x, y, width=320)
    panel.line(ends, ends, class_="guide strong")
    for n, curve in curves.items():
        panel.line([e for e, _, _ in curve], [e for _, _, e in curve], colour=GROUPS[n], told=_beside(n))
    return (
        panel,
        "How often the bound was exceeded; on or below the dashed line is as promised.",
    )


def _curves(judged: Judged) -> dict[int, list[tuple[float, float, float]]]:
    """By number of co-runners: ε, margin and share exceeded, where bounds are finite."""
    curves: dict[int, list[tuple[float, float, float]]] = {}
    for n in np.unique(judged.rows.n_co_runners[judged.calibrated]).tolist():
        mine = judged.calibrated & (judged.rows.n_co_runners == n)
        measured = judged.measured_ns[mine]
        for eps in EPSILONS:
            bound = judged.bounds_ns[eps][mine]
            if np.isfinite(bound).all():
                curves.setdefault(n, []).append(
                    (eps, margin(bound, measured), float(np.mean(measured > bound)))
                )
    return curves


def _beside(co_runners: int) -> str:
    return f"beside {co_runners}" if co_runners else "alone"


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) else None
