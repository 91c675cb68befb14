"""The few numbers of the priors that depend on the dataset, found from its rows themselves.

The priors were tuned on one collection. Another lab's rows may be wilder. What that asks of the solver is first one
number: the variance of a row, against which the amplitudes of the tables stand. It is raised in steps of four and
judged on rows that the tables had not seen; the lowest is taken whose mean error there is not above the least by more
than a standard error. Below the usual value it is never better, however steady rows are: it is also what keeps the
tables from bending to single ones.

A machine that is now slower and now faster (a clock, a guest on the same host) makes all its rows noisy. Where rows
tell its pace, from fixed work beside each measurement, the solver is given the times at the usual pace. By how much of
the pace times go is the slope of the residuals of rows not seen against it.

Of fewer than ten thousand rows two changes are then tried, one after the other, and each is kept that lowers that error
by more than two standard errors: larger amplitudes of S and G, for co-runners that slow each other more, and a later δ,
for noise with lighter tails. Other numbers are near their best on datasets of every kind that was tried
(`python -m tests.perf hyper`).

Large tables are represented by every so many of their platforms and workloads, with all rows of those, so that there is
as much to smooth over and the search costs less than a second.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pitot_core.keys import mixed, shares
from pitot_core.observations import Observations
from pitot_core.settings import Settings
from pitot_core.splits import folds
from pitot_core.tables.hyperparameters import Hyperparameters
from pitot_core.tables.left_out import FOLDS, fit_from_nothing
from pitot_core.tables.sweeps import Sweeps

Array = NDArray[Any]
STEP = 4.0
STEPS = (0, 1), (2, 3)  # the second two only where a row of four times the usual variance may be better
MOST_COUNTS = 1.0  # ln units: a row that is further off says no more about noise
FEW_ROWS = 60  # below which a fold tells nothing
ENOUGH = 5000  # rows of which one fold tells enough; of fewer, all are held out in turn
SURE = 1.0  # standard errors: of more noise, as much as it must be better by
SURER = 2.0  # of a further change
PRIOR = 0.5, 0.5  # of the slope of times against pace: mean and deviation
ROBUST, HUBER = 5, 2.0  # rounds of weights, and from how many median deviations on a row counts less
LOUDER, LATER = 4.0, 2.5  # times the amplitudes of S and G, and δ
MOST_PLATFORMS, MOST_WORKLOADS = 24, 250  # that are tried
MOST_ROWS = 100_000  # of those
MANY_ROWS = 10_000  # which need nothing but the noise


def found_hyper(
    rows: Observations, sweeps: Sweeps, kernels: tuple[Array, Array], settings: Settings
) -> Hyperparameters:
    """The hyperparameters of `sweeps`, which stay as they are, with those that serve rows not seen best.

    The same rows give the same answer on any number of threads.
    """
    usual, few = sweeps.hyper, len(rows) < MANY_ROWS
    rows, kernels = _represented(rows, sweeps.shape, kernels)
    shape = len(kernels[0]), len(kernels[1])
    fold = folds(rows, FOLDS, by=settings.split_by, seed=settings.seed)
    held = FOLDS if len(rows) < ENOUGH else 1
    parted = [(rows[fold != one], rows[(fold == one) & rows.measured]) for one in range(held)]
    tried = [(others, mine) for others, mine in parted if others.measured.any() and len(mine)]
    if len(rows) < FEW_ROWS or not tried:
        return usual

    def residuals(hyper: Hyperparameters) -> Array:
        """log C* − log Ĉ of all rows held out, at the usual pace."""
        off = []
        for others, mine in tried:
            others, mine = others.at_usual_pace(hyper.pace), mine.at_usual_pace(hyper.pace)
            fit = fit_from_nothing(Sweeps(shape, sweeps.types, sweeps.slope, hyper), others, kernels)
            off.append(mine.log_ns - fit(mine))
        return np.concatenate(off)

    def errors(hyper: Hyperparameters) -> Array:
        return np.asarray(np.minimum(np.abs(residuals(hyper)), MOST_COUNTS))

    if rows.pace is not None:
        pace = np.concatenate([mine.paces for _, mine in tried])
        for _ in range(2 if few else 1):  # once it is known, what is left tells it more exactly
            left = residuals(usual) + usual.pace * pace
            known = pace != 0
            usual = replace(usual, pace=pace_slope(pace[known], left[known]))
    with ThreadPoolExecutor(settings.threads) as pool:
        steps = [noisier(usual, step) for step in STEPS[0]]
        off = list(pool.map(errors, steps))
        if _gain(off[0], off[1]) > -SURE:
            steps += [noisier(usual, step) for step in STEPS[1]]
            off += pool.map(errors, steps[len(off) :])
    best = _lowest_good(np.stack(off))
    return _changed(steps[best], off[best], errors) if few else steps[best]


def pace_slope(pace: Array, residual: Array) -> float:
    """Of how much slower the machine was (n,), how much more rows took than was predicted without knowing (n,), 0 to 1.

    A line, with what is far from it counting less (Huber's weights), and drawn to PRIOR where rows say little: work
    that needs nothing but a processor takes as much longer as fixed work does, and others less.
    """
    weight = np.ones(len(pace))
    slope = error = 0.0
    for _ in range(ROBUST):
        x = pace - np.average(pace, weights=weight)
        spread = float(weight @ x**2)
        if spread <= 0.0:
            return 0.0
        off = residual - np.average(residual, weights=weight)
        slope = float((weight * x) @ off) / spread
        left = off - slope * x
        far = np.maximum(HUBER * float(np.median(np.abs(left))), 1e-9)
        error = float(np.sqrt((weight * x) ** 2 @ np.minimum(left**2, far**2))) / spread
        weight = np.minimum(1.0, far / np.maximum(np.abs(left), 1e-12))
    mean, deviation = PRIOR
    told = (deviation / max(error, 1e-9)) ** 2
    return min(max((mean + told * slope) / (1.0 + told), 0.0), 1.0)


def _changed(
    hyper: Hyperparameters, off: Array, errors: Callable[[Hyperparameters], Array]
) -> Hyperparameters:
    """With each change of FURTHER that lowers the errors (n,) of rows held out."""
    for change in FURTHER:
        other = change(hyper)
        after = errors(other)
        if _gain(off, after) > SURER:
            hyper, off = other, after
    return hyper


def _gain(before: Array, after: Array) -> float:
    """How many standard errors lower the mean of errors (n,) became."""
    less = before - after
    return float(less.mean() / max(less.std() / max(len(less), 1) ** 0.5, 1e-12))


def _lowest_good(off: Array) -> int:
    """Of errors (steps, n) of the same rows, the first step that is as good as the best by SURE."""
    more = off - off[np.argmin(off.mean(axis=1))]
    error = more.std(axis=1) / max(off.shape[1], 1) ** 0.5
    return int(np.argmax(more.mean(axis=1) <= SURE * error))


def _represented(
    rows: Observations, shape: tuple[int, int], kernels: tuple[Array, Array]
) -> tuple[Observations, tuple[Array, Array]]:
    """Rows of so many platforms and workloads, numbered among those, and the kernels of those."""
    kept = [
        np.arange(0, size, -(-size // most))
        for size, most in zip(shape, (MOST_PLATFORMS, MOST_WORKLOADS), strict=True)
    ]
    if tuple(map(len, kept)) == shape:
        return rows, kernels
    platform, workload = (np.full(size + 1, -1) for size in shape)  # the last is for no co-runner
    platform[kept[0]], workload[kept[1]] = np.arange(len(kept[0])), np.arange(len(kept[1]))
    some = rows[platform[rows.platform] >= 0]
    some = some[
        (workload[some.workload] >= 0)
        & ((some.co_runners < 0) | (workload[some.co_runners] >= 0)).all(axis=1)
    ]
    if len(some) > MOST_ROWS:
        some = some[shares(mixed(some.job)) < MOST_ROWS / len(some)]
    numbered = replace(
        some,
        platform=platform[some.platform].astype(np.int32),
        workload=workload[some.workload].astype(np.int32),
        co_runners=workload[some.co_runners].astype(np.int32),
    )
    return numbered, (kernels[0][np.ix_(kept[0], kept[0])], kernels[1][np.ix_(kept[1], kept[1])])


def noisier(hyper: Hyperparameters, steps: int) -> Hyperparameters:
    """With rows so many steps noisier, and the loss turning absolute as much later."""
    times = STEP**steps
    return replace(
        hyper,
        noise=hyper.noise * times,
        noise_beside=hyper.noise_beside * times,
        scale=hyper.scale * times**0.5,
    )


def louder(hyper: Hyperparameters) -> Hyperparameters:
    """Co-runners may slow each other more."""
    return replace(hyper, suffers=hyper.suffers * LOUDER, presses=hyper.presses * LOUDER)


def later(hyper: Hyperparameters) -> Hyperparameters:
    """The loss turns from square to absolute later."""
    return replace(hyper, scale=hyper.scale * LATER)


FURTHER = louder, later
