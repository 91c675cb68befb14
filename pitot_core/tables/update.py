"""Further rows for a solved model: newcomers, and more of what is known."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pitot_core.baseline import Baseline
from pitot_core.completion import LeftOut
from pitot_core.features import Features
from pitot_core.known import Known, learnable
from pitot_core.observations import Observations, joined
from pitot_core.steps import one_blas_thread
from pitot_core.tables.arrivals import Newcomer, Side, other_kernels
from pitot_core.tables.kernels import prior_kernels
from pitot_core.tables.left_out import Parts
from pitot_core.tables.rows import Rows
from pitot_core.tables.solution import Solution
from pitot_core.tables.stages import know_behaviour
from pitot_core.tables.sweeps import Sums, Sweeps

Array = NDArray[Any]
AGAIN_SWEEPS = 3
REHEARSALS = 40


def updated(
    tables: Solution, rows: Observations, features: Features, known: Known, rehearsal: Observations
) -> tuple[Solution, Known, dict[str, LeftOut]]:
    """See `Tables.updated`."""
    kernels = prior_kernels(features, tables.options, tables.hyper, tables.fitted)
    tables = _grown(tables, len(features.platforms), len(features.workloads))
    with one_blas_thread():
        of_known = rows[_trained(known)(rows)]
        if len(of_known):
            tables = _solved_again(tables, of_known, kernels)
        others = rows[~_trained(known)(rows)]
        arrived = _once(joined(tables.arrived, others)) if len(others) else tables.arrived
        since_fit = known = _trained(known)
        rehearsed = {}
        for side in ("platform", "workload"):
            numbers = arrived.platform if side == "platform" else arrived.workload
            for new in np.setdiff1d(numbers, np.flatnonzero(known.of_side(side))):
                mine = learnable(arrived, side, int(new), known, features)
                learner = _side(tables, side, known, since_fit, kernels)
                tables = _placed(tables, side, int(new), learner.learn(int(new), mine))
                known = known.with_newcomer(side, int(new))
            fresh = np.setdiff1d(numbers, np.flatnonzero(since_fit.of_side(side)))
            if len(fresh) and len(others):
                counts = [int(np.count_nonzero(numbers == new)) for new in fresh]
                learner = _side(tables, side, since_fit, since_fit, kernels)
                rehearsed[side] = _rehearsed(tables, learner, int(np.median(counts)), known, rehearsal)
    return replace(tables, arrived=arrived), known, rehearsed


def _once(rows: Observations) -> Observations:
    """Each row that is equal in all but its job once, so that rows learned before may come again."""
    table = np.column_stack([rows.platform, rows.workload, rows.co_runners, rows.log_ns, rows.measured])
    return rows[np.sort(np.unique(table, axis=0, return_index=True)[1])]


def _trained(known: Known) -> Known:
    """What was known since the fit, alone."""
    nothing = np.zeros_like(known.new_workloads), np.zeros_like(known.new_platforms)
    return Known(known.trained("workload"), known.trained("platform"), *nothing)


def _grown(tables: Solution, n_platforms: int, n_workloads: int) -> Solution:
    """With cells for further platforms and workloads, at the means of the tables and of the levels."""
    more = n_platforms - tables.shape[0], n_workloads - tables.shape[1]
    if more == (0, 0):
        return tables

    def longer(array: Array) -> Array:
        around = [(0, 0)] * (array.ndim - 2) + [(0, more[0]), (0, more[1])]
        return np.pad(array, around)

    base, parts = tables.baseline, tables.without
    return replace(
        tables,
        baseline=Baseline(
            np.append(base.startup, np.full(more[0], np.median(base.startup))),
            np.append(base.platform, np.full(more[0], np.median(base.platform))),
            np.append(base.workload, np.full(more[1], np.median(base.workload))),
        ),
        work=longer(tables.work),
        suffers=longer(tables.suffers),
        presses=longer(tables.presses),
        deviations=longer(tables.deviations),
        sums=Sums(longer(tables.sums.precision), longer(tables.sums.moment)),
        without=Parts(longer(parts.alone), longer(parts.suffers), longer(parts.presses)),
    )


def _solved_again(tables: Solution, rows: Observations, kernels: tuple[Array, Array]) -> Solution:
    """Further rows of what is known, added to the sums of those before; the baseline stays.

    Bounds stay where they were calibrated, on predictions without these rows: so do `without` and `deviations`.
    """
    options, hyper = tables.options, tables.hyper
    sweeps = Sweeps(tables.shape, options.interference_types, options.negative_slope, hyper)
    sweeps.place(tables.work, tables.suffers, tables.presses)
    sweeps.before = tables.sums
    know_behaviour(sweeps, kernels)
    residuals = sweeps.start(Rows.of(rows, *tables.shape), tables.baseline)
    sweeps.run(residuals, AGAIN_SWEEPS, noisy=False)
    sums = sweeps.sums(residuals)
    work, suffers, presses = sweeps.values()
    return replace(tables, work=work, suffers=suffers, presses=presses, sums=sums)


def _side(tables: Solution, side: str, known: Known, judging: Known, kernels: tuple[Array, Array]) -> Side:
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


def _placed(tables: Solution, side: str, new: int, found: Newcomer) -> Solution:
    """With one newcomer's numbers."""
    at: tuple[Any, ...] = (new, slice(None)) if side == "platform" else (slice(None), new)
    base = tables.baseline
    startup, platform, workload = base.startup.copy(), base.platform.copy(), base.workload.copy()
    if side == "platform":
        startup[new], platform[new] = found.level
    else:
        workload[new] = found.level[0]
    work, suffers, presses = tables.work.copy(), tables.suffers.copy(), tables.presses.copy()
    deviations, types = tables.deviations.copy(), len(tables.suffers)
    work[at], suffers[:, *at], presses[:, *at] = found.work, found.suffers, found.presses
    deviations[0][at] = found.deviation
    for part in range(1, 1 + 2 * types):  # a newcomer's interference is as unsure as that of its fellows
        deviations[part][at] = np.sqrt(np.mean(tables.deviations[part].astype(np.float64) ** 2))
    parts = tables.without
    if len(parts):
        alone, part_suffers, part_presses = parts.alone.copy(), parts.suffers.copy(), parts.presses.copy()
        alone[:, *at] = (Baseline(startup, platform, workload).table() + work)[at]
        part_suffers[:, :, *at], part_presses[:, :, *at] = found.suffers, found.presses
        parts = Parts(alone, part_suffers, part_presses)
    return replace(
        tables, baseline=Baseline(startup, platform, workload), work=work, suffers=suffers, presses=presses,
        deviations=deviations, without=parts,
    )  # fmt: skip


def _rehearsed(tables: Solution, learner: Side, n_rows: int, known: Known, rows: Observations) -> LeftOut:
    """Known ones learned again from `n_rows` of their rows each, and the predictions of their other rows."""
    rng = np.random.default_rng(0)
    side = learner.name
    rows = rows[known(rows)]
    target = rows.workload if side == "workload" else rows.platform
    count = np.bincount(target, minlength=len(known.of_side(side)))
    eligible = np.flatnonzero(known.trained(side) & (count > n_rows))
    left: list[Array] = [np.zeros(0, np.int64)]
    predicted: list[Array] = [np.zeros(0)]
    for entity in rng.permutation(eligible)[:REHEARSALS]:
        mine = rng.permutation(np.flatnonzero(target == entity))
        again = _placed(tables, side, int(entity), learner.learn(int(entity), rows[mine[:n_rows]]))
        left.append(mine[n_rows:])
        predicted.append(again.log_ns(rows[mine[n_rows:]]))
    return LeftOut(rows[np.concatenate(left)], np.concatenate(predicted))
