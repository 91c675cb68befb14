"""Further rows for a solved model: newcomers, and more of what is known."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pitot_core.baseline import Baseline
from pitot_core.completion import LeftOut
from pitot_core.features import Features
from pitot_core.known import SIDES, Known, learnable
from pitot_core.observations import Observations, joined
from pitot_core.steps import one_blas_thread
from pitot_core.tables.kernels import prior_kernels
from pitot_core.tables.left_out import Parts
from pitot_core.tables.rehearsal import placed, rehearsed_as, side_of
from pitot_core.tables.rows import Rows
from pitot_core.tables.solution import Solution
from pitot_core.tables.stages import know_behaviour
from pitot_core.tables.sweeps import Sums, Sweeps

Array = NDArray[Any]
AGAIN_SWEEPS = 3


def updated(
    tables: Solution, rows: Observations, features: Features, known: Known, kept: Observations
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
        fitted, rehearsed = tables, {}
        for side in reversed(SIDES):
            numbers = arrived.platform if side == "platform" else arrived.workload
            for new in np.setdiff1d(numbers, np.flatnonzero(known.of_side(side))):
                mine = learnable(arrived, side, int(new), known, features)
                learner = side_of(tables, side, known, since_fit, kernels)
                tables = placed(tables, side, [int(new)], [learner.learn(int(new), mine)])
                known = known.with_newcomer(side, int(new))
            fresh = np.setdiff1d(numbers, np.flatnonzero(since_fit.of_side(side)))
            if len(fresh) and len(others):
                seen = [arrived[numbers == new].n_co_runners > 0 for new in fresh]
                asked = [(int((~beside).sum()), int(beside.sum())) for beside in seen]
                rehearsed[side] = rehearsed_as(fitted, side, asked, since_fit, kept, kernels)
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
