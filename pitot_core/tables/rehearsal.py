"""Known workloads or platforms made new again, to see how wrong a newcomer's predictions are.

All rows of a newcomer share the errors of what was learned of it, so what counts is how many newcomers were seen and
not how many rows. And the tables of a fit know everything that the fit has seen: what is alike has learned from the
very rows that a rehearsed one would be judged by. So the rehearsed are taken away in groups, with all that their rows
say, the tables are solved again without them, and then each is learned from as many of its rows as the newcomers have.
What that predicts of its other rows is as wrong as it is for newcomers, and calibrates the bounds of newcomers.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pitot_core.baseline import Baseline
from pitot_core.completion import LeftOut
from pitot_core.known import Known
from pitot_core.observations import Observations, joined
from pitot_core.tables.arrivals import Newcomer, Side, other_kernels
from pitot_core.tables.left_out import Parts
from pitot_core.tables.solution import Solution
from pitot_core.tables.stages import know_behaviour
from pitot_core.tables.sweeps import Sums, Sweeps

Array = NDArray[Any]
REHEARSALS = 100  # of one side; for an ε below 1/101 it would take more
SHARE_AWAY = 8  # an eighth of the known is away at the same time at most
SWEEPS_WITHOUT = 1
Asked = tuple[int, int]  # how many rows of a newcomer are alone, and beside others


def rehearsed_as(
    tables: Solution, side: str, asked: list[Asked], known: Known, rows: Observations,
    kernels: tuple[Array, Array],
) -> LeftOut:  # fmt: skip
    """Predictions of rows whose workload or platform (`side`) was learned again from as few as the newcomers have.

    asked has one entry per newcomer; who has fewer than twice as many rows learns from half of them.
    """
    rng = np.random.default_rng(0)
    rows = rows[known(rows) & rows.measured]
    target = rows.workload if side == "workload" else rows.platform
    count = np.bincount(target, minlength=len(known.of_side(side)))
    chosen = rng.permutation(np.flatnonzero(known.trained(side) & (count > 1)))[:REHEARSALS]
    away = max(1, int(np.count_nonzero(known.trained(side))) // SHARE_AWAY)
    found: list[LeftOut] = []
    turn = 0
    for group in np.array_split(chosen, -(-len(chosen) // away)) if len(chosen) else ():
        others = _but(known, side, group)
        if not others.of_side(side).any():
            continue
        without = _without(tables, side, group, kernels)
        learner = side_of(without, side, others, others, kernels)
        usable = (
            ~np.isin(rows.co_runners, group).any(axis=1) if side == "workload" else np.ones(len(rows), bool)
        )
        numbers, learned, left = [], [], []
        for entity in group.tolist():
            shown, rest = _parted(
                rows, np.flatnonzero((target == entity) & usable), asked[turn % len(asked)], rng
            )
            turn += 1
            if len(shown) and len(rest):
                numbers.append(entity)
                learned.append(learner.learn(entity, rows[shown]))
                left.append(rest)
        if left:
            again, mine = placed(without, side, numbers, learned), rows[np.concatenate(left)]
            found.append(LeftOut(mine, again.log_ns(mine), deviation=again.deviation(mine)))
    return _joined(found, rows)


def side_of(tables: Solution, side: str, known: Known, judging: Known, kernels: tuple[Array, Array]) -> Side:
    """Behaviour is compared on what is known since the fit, so that newcomers do not depend on each other's order."""
    base, hyper, other = tables.baseline, tables.hyper, "workload" if side == "platform" else "platform"
    of_platforms = np.column_stack([base.startup, base.platform])
    of_workloads = base.workload[:, None]
    if side == "platform":
        kernel = other_kernels(kernels[1], tables.work[judging.platforms].T, hyper, "workload")
        turned = tables.work, tables.suffers, tables.presses
        levels, others = of_platforms, of_workloads
    else:
        kernel = other_kernels(kernels[0], tables.work[:, judging.workloads], hyper, "platform")
        turned = tables.work.T, tables.suffers.swapaxes(1, 2), tables.presses.swapaxes(1, 2)
        levels, others = of_workloads, of_platforms
    features = kernels[0] if side == "platform" else kernels[1]
    return Side(
        side, *turned, levels, others, *kernel, features, known.of_side(side), judging.of_side(other),
        tables.options.negative_slope, hyper,
    )  # fmt: skip


def placed(tables: Solution, side: str, numbers: list[int], found: list[Newcomer]) -> Solution:
    """With what was learned of some newcomers."""
    base, types, parts = tables.baseline, len(tables.suffers), tables.without
    startup, platform, workload = base.startup.copy(), base.platform.copy(), base.workload.copy()
    work, suffers, presses = tables.work.copy(), tables.suffers.copy(), tables.presses.copy()
    deviations = tables.deviations.copy()
    usual = np.sqrt(np.mean(deviations.astype(np.float64) ** 2, axis=(1, 2)))
    alone, part_suffers, part_presses = parts.alone.copy(), parts.suffers.copy(), parts.presses.copy()
    for new, one in zip(numbers, found, strict=True):
        at: tuple[Any, ...] = (new, slice(None)) if side == "platform" else (slice(None), new)
        if side == "platform":
            startup[new], platform[new] = one.level
        else:
            workload[new] = one.level[0]
        work[at], suffers[:, *at], presses[:, *at] = one.work, one.suffers, one.presses
        deviations[0][at] = one.deviation
        for part in range(1, 1 + 2 * types):  # a newcomer's interference is as unsure as that of its fellows
            deviations[part][at] = usual[part]
        part_suffers[:, :, *at], part_presses[:, :, *at] = one.suffers, one.presses
    baseline = Baseline(startup, platform, workload)
    if len(parts):
        columns = (numbers, slice(None)) if side == "platform" else (slice(None), numbers)
        alone[:, *columns] = (baseline.table() + work)[columns]
    return replace(
        tables, baseline=baseline, work=work, suffers=suffers, presses=presses, deviations=deviations,
        without=Parts(alone, part_suffers, part_presses),
    )  # fmt: skip


def _but(known: Known, side: str, group: Array) -> Known:
    """Without some of one side."""
    mask = known.of_side(side).copy()
    mask[group] = False
    return replace(known, workloads=mask) if side == "workload" else replace(known, platforms=mask)


def _without(tables: Solution, side: str, group: Array, kernels: tuple[Array, Array]) -> Solution:
    """The tables solved again without what rows of some workloads or platforms said of them."""
    axis = 0 if side == "platform" else 1
    kept = [np.arange(size) for size in tables.shape]
    kept[axis] = np.setdiff1d(kept[axis], group)
    at: tuple[Any, ...] = np.ix_(*kept)
    sweeps = Sweeps(
        (len(kept[0]), len(kept[1])),
        tables.options.interference_types,
        tables.options.negative_slope,
        tables.hyper,
    )
    sweeps.place(tables.work[at], tables.suffers[:, *at], tables.presses[:, *at])
    sweeps.before = Sums(tables.sums.precision[:, *at], tables.sums.moment[:, *at])
    know_behaviour(sweeps, (kernels[0][np.ix_(kept[0], kept[0])], kernels[1][np.ix_(kept[1], kept[1])]))
    sweeps.run([], SWEEPS_WITHOUT, noisy=False)
    work, suffers, presses = tables.work.copy(), tables.suffers.copy(), tables.presses.copy()
    work[at], suffers[:, *at], presses[:, *at] = sweeps.values()
    return replace(tables, work=work, suffers=suffers, presses=presses)


def _parted(rows: Observations, mine: Array, asked: Asked, rng: np.random.Generator) -> tuple[Array, Array]:
    """Of one's rows, those that are shown, and all others."""
    mine = rng.permutation(mine)
    beside = rows.n_co_runners[mine] > 0
    shown = [
        some[: min(n, len(some) // 2)] for some, n in zip((mine[~beside], mine[beside]), asked, strict=True)
    ]
    first = np.concatenate(shown) if any(map(len, shown)) else mine[:1]
    return first, np.setdiff1d(mine, first)


def _joined(parts: list[LeftOut], rows: Observations) -> LeftOut:
    if not parts:
        return LeftOut(rows[:0], np.zeros(0), deviation=np.zeros(0))
    log_ns, deviation = (
        np.concatenate([getattr(p, name) for p in parts]) for name in ("log_ns", "deviation")
    )
    return LeftOut(joined(*(part.rows for part in parts)), log_ns, deviation=deviation)
