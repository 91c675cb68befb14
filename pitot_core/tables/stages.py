"""From nothing to tables, in stages: each knows from the last one what behaves alike.

In the first stage workloads and platforms are alike where their features are. The tables solved with that say which of
them took alike times on the same platforms, and those are alike from the second stage on; from the third on, S and G
also know who suffers and presses alike, and the further interference types join in.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pitot_core.baseline import Baseline
from pitot_core.steps import side_by_side
from pitot_core.tables.kernels import behaviour, unit
from pitot_core.tables.residual import Residual
from pitot_core.tables.rows import Rows
from pitot_core.tables.solve import MIDDLING, Factor, Table
from pitot_core.tables.sweeps import Sweeps

Array = NDArray[Any]
STAGES = (3, 4, 4, 4)  # sweeps in each
LOOSE = (5.0, 2.5, 2.5, 1.0)  # times the tolerance of a solve: what comes out early is solved again
LOOSE_WITHOUT = 2.5  # the same of fits that only tell how far predictions are off
WITHOUT = (2, 2)  # sweeps before and after behaviour is learned again without a fold
WITH = (1, 2, 2)  # and with further rows


def solve_stages(
    sweeps: Sweeps, rows: Rows, baseline: Baseline, kernels: tuple[Array, Array], *,
    stages: tuple[int, ...] = STAGES, tell: Callable[[], None] | None = None,
) -> list[Residual]:  # fmt: skip
    """Solve from nothing; the residuals of all rows in the end."""
    know_features(sweeps, kernels)
    residuals = sweeps.start(rows, baseline)
    for stage, count in enumerate(stages):
        sweeps.loose = LOOSE[stage]
        if stage > 0:
            know_behaviour(sweeps, kernels, beside=stage > 1)
        if stage == 2:
            sweeps.weigh(residuals, noisy=True)
            sweeps.awake(residuals)
        sweeps.run(residuals, count, noisy=stage > 0, first=stage == 0, tell=tell)
    sweeps.loose = 1.0
    return residuals


def solve_without(
    sweeps: Sweeps, residuals: list[Residual], kernels: tuple[Array, Array], *, sparse: bool
) -> None:
    """From tables that have seen further rows to those that have not: behaviour is learned again without them.

    Where rows are sparse, what behaves alike is first forgotten altogether, for it would remember single rows.
    """
    sweeps.loose = LOOSE_WITHOUT
    if sparse:
        know_features(sweeps, kernels)
        sweeps.run(residuals, 1)
        know_behaviour(sweeps, kernels)
    sweeps.run(residuals, WITHOUT[0])
    for count in WITHOUT[1:]:
        know_behaviour(sweeps, kernels)
        sweeps.run(residuals, count)


def solve_with(sweeps: Sweeps, residuals: list[Residual], kernels: tuple[Array, Array]) -> None:
    """From tables that have seen some of the rows to those that have seen all."""
    sweeps.loose = LOOSE[-2]
    sweeps.run(residuals, WITH[0])
    for loose, count in zip(LOOSE[-2:], WITH[1:], strict=True):
        know_behaviour(sweeps, kernels)
        sweeps.loose = loose
        sweeps.run(residuals, count)


def know_features(sweeps: Sweeps, kernels: tuple[Array, Array]) -> None:
    """The priors of the first stage, from the kernels of features (P, P) and (W, W)."""
    hyper, (platform, workload) = sweeps.hyper, kernels
    parts = Factor(platform)
    sweeps.work.prior(parts, Factor(workload), hyper.work)
    beside = Factor(workload + hyper.platform_mean)
    _prior_beside(sweeps, sweeps.suffers, hyper.suffers, parts.twin(), beside)
    _prior_beside(sweeps, sweeps.presses, hyper.presses, parts.twin(), beside.twin())


def know_behaviour(sweeps: Sweeps, kernels: tuple[Array, Array], *, beside: bool = True) -> None:
    """The priors of later stages, which have seen how workloads and platforms behave.

    `beside` also lets S and G learn from their own behaviour.
    """
    hyper, f = sweeps.hyper, sweeps.work.f
    own = _learned(
        (kernels[0], hyper.behaviour_platform, f, hyper.behaviour_platform_length),
        (kernels[1], hyper.behaviour_workload, f.T, hyper.behaviour_workload_length),
    )
    by_platform, by_workload = _factors(*own)
    sweeps.work.prior(by_platform, by_workload, hyper.work * hyper.work_later)
    for tables, amplitude in ((sweeps.suffers, hyper.suffers), (sweeps.presses, hyper.presses)):
        if not tables:
            continue
        platform, workload = own
        if beside:
            weight, length = hyper.behaviour_beside, hyper.behaviour_beside_length
            every = [table.f for table in tables[: sweeps.active]]
            platform, workload = _learned(
                (platform, weight, np.concatenate(every, axis=1), length),
                (workload, weight, np.concatenate(every).T, length),
            )
        _prior_beside(sweeps, tables, amplitude, *_factors(platform, workload + hyper.platform_mean))


def _learned(*sides: tuple[Array, float, Array, float]) -> list[Array]:
    """Of each side its kernel (n, n) with that of how rows (n, m) behave, of a weight and a length."""

    def learned(side: tuple[Array, float, Array, float]) -> Array:
        kernel, weight, rows, length = side
        return unit(kernel + weight * behaviour(rows, length))

    return side_by_side(learned, sides, worth=sides[0][2].size > MIDDLING)


def _factors(platform: Array, workload: Array) -> list[Factor]:
    return side_by_side(Factor, (platform, workload), worth=len(platform) * len(workload) > MIDDLING)


def _prior_beside(
    sweeps: Sweeps, tables: list[Table], amplitude: float, platform: Factor, workload: Factor
) -> None:
    further = platform.twin(), workload.twin()  # those types are alike, and the first one is not
    for t, table in enumerate(tables):
        factors = (platform, workload) if t == 0 else further
        table.prior(*factors, amplitude * sweeps.hyper.further**t)
