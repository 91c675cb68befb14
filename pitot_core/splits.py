"""Dividing observations into rows that train, that choose, that calibrate and that test."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pitot_core.errors import SplitError
from pitot_core.observations import Observations

Rows = NDArray[np.int64]


class Split(NamedTuple):
    """Disjoint row numbers, each sorted."""

    train: Rows
    validation: Rows
    calibration: Rows
    test: Rows


def split(
    observations: Observations,
    *,
    train: float,
    validation: float = 0.0,
    calibration: float = 0.0,
    test: float = 0.0,
    by: str = "job",
    seed: int = 0,
) -> Split:
    """Disjoint row sets of about the given shares, equal in every number of co-runners.

    by="job" keeps all rows of a job on one side, which is what an honest estimate needs; by="row" ignores
    jobs, as the published splits do. Every workload and platform observed at all keeps a training row. Rows that were
    chosen for what they teach all train, and the shares are of the others.
    Raises SplitError when shares are negative or exceed 1, or when there is nothing to train on.
    """
    shares = np.array([train, validation, calibration, test], dtype=float)
    if np.any(shares < 0) or shares.sum() > 1 + 1e-9 or train <= 0:
        raise SplitError(
            f"shares {shares.tolist()} must be at least 0, add up to at most 1, with some training"
        )
    if not len(observations):
        raise SplitError("there are no observations to split")
    if seed < 0:
        raise SplitError(f"the seed of a split must not be negative, not {seed}")
    unit = _units(observations, by)
    rng = np.random.default_rng(seed)
    part = np.full(len(observations), -1)
    n_co = observations.n_co_runners
    edges = np.cumsum(shares) + 1e-12
    for n in np.unique(n_co):
        rows = np.flatnonzero((n_co == n) & observations.fair)
        units, position = np.unique(unit[rows], return_inverse=True)
        place = (rng.permutation(len(units)) + rng.random()) / len(units)
        part[rows] = np.searchsorted(edges, place, side="right")[position.reshape(-1)]
    part[~observations.fair] = 0
    _keep_everything_known(observations, unit, part, rng)
    train_rows, validation_rows, calibration_rows, test_rows = (np.flatnonzero(part == p) for p in range(4))
    if not len(train_rows):
        raise SplitError(f"{len(observations)} rows are too few to leave any for training")
    return Split(train_rows, validation_rows, calibration_rows, test_rows)


def folds(observations: Observations, n_folds: int, *, by: str = "job", seed: int = 0) -> NDArray[np.int64]:
    """(N,) fold numbers 0 … n_folds−1, a job in one fold, balanced in every number of co-runners."""
    unit = _units(observations, by)
    rng = np.random.default_rng(seed)
    fold = np.zeros(len(observations), np.int64)
    n_co = observations.n_co_runners
    for n in np.unique(n_co):
        rows = np.flatnonzero(n_co == n)
        units, position = np.unique(unit[rows], return_inverse=True)
        fold[rows] = (rng.permutation(len(units)) % n_folds)[position.reshape(-1)]
    return fold


def enough_of(observations: Observations, most: int, *, by: str = "job", seed: int = 0) -> NDArray[np.bool_]:
    """(N,) all rows of a number of co-runners, or whole jobs of about `most` rows where there are many more."""
    enough, n_co = np.ones(len(observations), bool), observations.n_co_runners
    for n in np.unique(n_co):
        rows = np.flatnonzero(n_co == n)
        parts = max(1, round(len(rows) / most))
        enough[rows] = folds(observations[rows], parts, by=by, seed=seed) == 0
    return enough


def _units(observations: Observations, by: str) -> NDArray[np.int64]:
    if by == "job":
        return _jobs_with_equal_rows(observations)
    if by == "row":
        return np.arange(len(observations))
    raise SplitError(f'rows are split by="job" or by="row", not by={by!r}')


def _jobs_with_equal_rows(observations: Observations) -> NDArray[np.int64]:
    """(N,) a number per job; jobs that share a row to the last bit are one: they are copies of a measurement."""
    _, job = np.unique(observations.job, return_inverse=True)
    unit: NDArray[np.int64] = job.reshape(-1).astype(np.int64)
    order = np.argsort(observations.log_ns, kind="stable")
    first, second = order[:-1], order[1:]
    same = observations.log_ns[first] == observations.log_ns[second]
    first, second = first[same], second[same]
    rows = np.column_stack([observations.platform, observations.workload, observations.co_runners])
    equal = (rows[first] == rows[second]).all(axis=1)
    pairs = np.column_stack([unit[first[equal]], unit[second[equal]]])
    lowest = np.arange(unit.max(initial=-1) + 1)
    while len(pairs):  # every job takes the lowest number of those it is linked with, until none changes
        before = lowest.copy()
        least = lowest[pairs].min(axis=1)
        np.minimum.at(lowest, pairs[:, 0], least)
        np.minimum.at(lowest, pairs[:, 1], least)
        if np.array_equal(before, lowest):
            break
    return np.asarray(lowest[unit], np.int64)


def _keep_everything_known(
    observations: Observations, unit: NDArray[np.int64], part: NDArray[np.int64], rng: np.random.Generator
) -> None:
    """Move whole units into training until every observed workload and platform has a training row."""
    for entity in (observations.platform, observations.workload):
        known = np.zeros(int(entity.max()) + 1, bool)
        known[entity[part == 0]] = True
        for missing in np.setdiff1d(np.unique(entity), np.flatnonzero(known)):
            if known[missing]:
                continue
            rows = np.flatnonzero(entity == missing)
            fewest = rows[observations.n_co_runners[rows] == observations.n_co_runners[rows].min()]
            moved = unit == unit[rng.choice(fewest)]
            part[moved] = 0
            known[entity[moved]] = True
