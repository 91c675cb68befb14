"""Slowdowns of workloads in pairs, as they were measured and as a model expects them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from harness.report.judged import Judged
from harness.report.rows import Rows
from pitot_core import Queries

Array = NDArray[Any]
ASKED = 800_000  # most predictions made for the map of every pair


@dataclass(frozen=True)
class Pairs:
    """K observations of one workload beside another: numbers of `Rows.workloads` (of which there are ``size``), and
    the logarithm of the slowdown. Means over them are geometric, NaN where there is none."""

    target: Array
    beside: Array
    logs: Array
    size: int

    @cached_property
    def targets(self) -> Array:
        """(size,) number of observations of each workload as the measured one."""
        return np.bincount(self.target, minlength=self.size)

    @cached_property
    def suffers(self) -> Array:
        """(size,) mean slowdown of each workload."""
        return _means(self.target, self.logs, self.size)

    @cached_property
    def pressing(self) -> Array:
        """(size,) number of observations of each workload as the co-runner."""
        return np.bincount(self.beside, minlength=self.size)

    @cached_property
    def presses(self) -> Array:
        """(size,) mean slowdown of what runs beside each workload."""
        return _means(self.beside, self.logs, self.size)

    @cached_property
    def counts(self) -> Array:
        """(size, size) number of observations by measured workload and co-runner."""
        return np.bincount(self._cell, minlength=self.size**2).reshape(self.size, self.size)

    @cached_property
    def means(self) -> Array:
        """(size, size) mean slowdown by measured workload and co-runner."""
        return _means(self._cell, self.logs, self.size**2).reshape(self.size, self.size)

    @property
    def _cell(self) -> Array:
        return self.target.astype(np.int64) * self.size + self.beside


def measured_pairs(rows: Rows) -> Pairs:
    at = _at(rows)
    return Pairs(rows.workload[at], rows.co_runners[at, 0], np.log(rows.slowdown[at]), len(rows.workloads))


def expected_pairs(rows: Rows, judged: Judged) -> Pairs | None:
    """The model's slowdowns of the same observations, as far as it knows the workloads; None if it never
    learned from a pair.
    """
    if not (judged.observations.n_co_runners == 1).any():
        return None
    at = _at(rows)
    place = np.full(len(rows), -1)
    place[np.flatnonzero(rows.measured)] = np.arange(len(judged.observations))
    asked = judged.observations[place[at]]
    learned = judged.model.knows(asked)
    at, asked = at[learned], asked[learned]
    logs = np.log(
        judged.model.predict(asked) / judged.model.predict(Queries.of(asked.platform, asked.workload))
    )
    return Pairs(rows.workload[at], rows.co_runners[at, 0], logs, len(rows.workloads))


def expected_everywhere(judged: Judged, targets: list[str], co_runners: list[str]) -> tuple[Array, int]:
    """(T, C) geometric mean slowdown that the model expects of pairs of named workloads, NaN for one beside itself or
    unknown to it; and the number of platforms that it is the mean of, evenly taken where there are very many."""
    model = judged.model
    assert model.features is not None
    numbers = {name: k for k, name in enumerate(model.features.workload_names) if model.seen_workloads[k]}
    down, across = (np.array([numbers.get(name, -1) for name in names]) for names in (targets, co_runners))
    seen = np.flatnonzero(model.seen_platforms)
    platforms = seen[:: -(-len(seen) * len(down) * len(across) // ASKED)]
    i, k = np.nonzero((down[:, None] >= 0) & (across[None, :] >= 0) & (down[:, None] != across[None, :]))
    total = np.zeros(len(i))
    for platform in platforms.tolist():
        where = np.full(len(i), platform)
        alone = np.full(len(down), np.nan)
        some = np.flatnonzero(down >= 0)
        alone[some] = model.predict(Queries.of(np.full(len(some), platform), down[some]))
        total += np.log(model.predict(Queries.of(where, down[i], across[k])) / alone[i])
    found = np.full((len(down), len(across)), np.nan)
    found[i, k] = np.exp(total / len(platforms))
    return found, len(platforms)


def _at(rows: Rows) -> Array:
    """Indices of the pair observations whose slowdown is known."""
    return np.flatnonzero((rows.n_co_runners == 1) & ~np.isnan(rows.slowdown))


def intervals(group: Array, logs: Array, size: int) -> tuple[Array, Array]:
    """(size,) ends of the 95 % interval of each group's mean slowdown, by Student's t; NaN below two observations."""
    count = np.bincount(group, minlength=size)
    mean = np.bincount(group, logs, size) / np.maximum(count, 1)
    square = np.bincount(group, (logs - mean[group]) ** 2, size)
    some = count > 1
    width = np.full(size, np.nan)
    freedom = count[some] - 1
    width[some] = stdtrit(freedom, 0.975) * np.sqrt(square[some] / freedom / count[some])
    return np.asarray(np.exp(mean - width)), np.asarray(np.exp(mean + width))


def _means(group: Array, logs: Array, size: int) -> Array:
    count, total = np.bincount(group, minlength=size), np.bincount(group, logs, minlength=size)
    return np.asarray(np.exp(np.divide(total, count, where=count > 0, out=np.full(size, np.nan))))
