"""Ratios of execution times: how large, how sure, and which are more than noise.

Everything is in logarithms of nanoseconds, so that a difference is the logarithm of a ratio. The samples of one job are
not independent of each other: the state of the machine, the layout of memory and the heat of that minute are common to
them. So the unit that repeats is the job. The variance of a job's log mean is

    τ² + w,   τ² between jobs, w within the job,

where w comes from the means of consecutive blocks of its samples (neighbours depend on each other, blocks hardly), and
τ² from all cells of a platform that were measured in more than one job: the variance of their means beyond w.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import ndtr, stdtr, stdtrit  # scipy.stats has the same, and takes half a second to import

from harness.dataset.quantiles import quantile

Floats = np.ndarray[Any, np.dtype[np.float64]]
Ints = np.ndarray[Any, np.dtype[np.int64]]

BLOCKS = 10
LEAST_FREEDOM = 3  # with fewer repeated jobs the noise between jobs counts as unknown
LEAST_PROGRAMS = 6  # with fewer programs a bootstrap interval would contain the truth too rarely
DRAWS = 10_000


@dataclass(frozen=True)
class Jobs:
    """One side: for each job (N,) its log mean, variance within, number of blocks, cell, and group of common noise."""

    log_ns: Floats
    within: Floats
    blocks: Ints
    cell: Ints
    group: Ints


@dataclass(frozen=True)
class Noise:
    """Per group: τ², the variance that it was found in (τ² + w), and the degrees of freedom of that."""

    between: Floats
    total: Floats
    freedom: Ints


@dataclass(frozen=True)
class Estimate:
    """Per workload (K,): log ratio B/A, its 95 % interval, and p under "no difference"; NaN where noise is unknown.

    ``error`` is the standard error of the log ratio, ``freedom`` the degrees of freedom of Student's t for it.
    """

    log_ratio: Floats
    low: Floats
    high: Floats
    p: Floats
    error: Floats
    freedom: Floats


def block_variance(wall_ns: Floats, row: Ints, rows: int, share: float | None = None) -> tuple[Floats, Ints]:
    """Of each row's log mean, or log quantile of a ``share``, the variance from those of blocks of its samples, and
    the number of blocks; 0 where < 2.

    ``wall_ns`` (S,) in order of time, ``row`` (S,) rising, the row that each sample belongs to.
    """
    count = np.bincount(row, minlength=rows)
    blocks = np.minimum(count, BLOCKS)
    blocks[blocks < 2] = 0
    place = np.arange(len(row)) - np.repeat(np.cumsum(count) - count, count)
    block = row * BLOCKS + place * blocks[row] // np.maximum(count[row], 1)
    sizes = np.bincount(block, minlength=rows * BLOCKS)
    if share is None:
        means = np.bincount(block, wall_ns, rows * BLOCKS) / np.maximum(sizes, 1)
    else:
        means = np.nan_to_num(quantile(wall_ns, block, rows * BLOCKS, share))
    means, there = means.reshape(rows, BLOCKS), sizes.reshape(rows, BLOCKS) > 0
    mean = (means * there).sum(1) / np.maximum(there.sum(1), 1)
    squares = (((means - mean[:, None]) ** 2) * there).sum(1)
    ok = blocks >= 2
    variance = np.zeros(rows)
    variance[ok] = squares[ok] / (blocks[ok] - 1) / blocks[ok] / mean[ok] ** 2
    return variance, blocks


def noise(jobs: Jobs, groups: int) -> Noise:
    """Between-job variance of each group, from cells with several jobs; of all together where a group has too few."""
    cells = int(jobs.cell.max(initial=-1)) + 1
    count = np.bincount(jobs.cell, minlength=cells)
    mean = np.bincount(jobs.cell, jobs.log_ns, cells) / np.maximum(count, 1)
    repeated = count[jobs.cell] > 1
    square = np.where(repeated, (jobs.log_ns - mean[jobs.cell]) ** 2, 0.0)
    # What each job contributes to the degrees of freedom.
    share = np.where(repeated, 1 - 1 / count[jobs.cell], 0.0)

    def pooled(values: Floats) -> Floats:
        own = np.bincount(jobs.group, values, groups)
        return np.where(own_freedom >= LEAST_FREEDOM, own, own.sum())

    own_freedom = np.rint(np.bincount(jobs.group, share, groups)).astype(np.int64)
    freedom = np.where(own_freedom >= LEAST_FREEDOM, own_freedom, own_freedom.sum())
    usable = np.maximum(freedom, 1)
    total = pooled(square) / usable
    within = pooled(share * jobs.within) / usable
    return Noise(np.maximum(total - within, 0.0), total, freedom)


def estimate(a: Jobs, b: Jobs, workload: Ints, workloads: int, groups: int) -> Estimate:
    """The log ratio of each workload, the mean over its cells; ``workload`` (C,) is that of each cell.

    Both sides have jobs in every cell. A t test whose variance is put together from both sides' noise, with the degrees
    of freedom by Satterthwaite.
    """
    cells = len(workload)
    per_workload = np.bincount(workload, minlength=workloads)
    ratio, variance = np.zeros(cells), np.zeros(workloads)
    against, unknown = np.zeros(workloads), np.zeros(workloads, bool)
    for side, sign in ((a, -1.0), (b, 1.0)):
        found = noise(side, groups)
        count = np.bincount(side.cell, minlength=cells)
        ratio += sign * np.bincount(side.cell, side.log_ns, cells) / count
        owner = workload[side.cell]
        weight = (
            1 / (per_workload[owner] * count[side.cell]) ** 2
        )  # weight of each job in the variance of its workload
        variance += np.bincount(owner, weight * (found.between[side.group] + side.within), workloads)
        shared = np.zeros((workloads, groups))
        np.add.at(shared, (owner, side.group), weight)
        against += ((shared * found.total) ** 2 / np.maximum(found.freedom, 1)).sum(1)
        against += np.bincount(owner, (weight * side.within) ** 2 / np.maximum(side.blocks - 1, 1), workloads)
        unknown |= ((shared > 0) & (found.freedom < LEAST_FREEDOM)).any(1)
    log_ratio = np.bincount(workload, ratio, workloads) / per_workload
    with np.errstate(divide="ignore", invalid="ignore"):
        error = np.sqrt(variance)
        freedom = np.where(against > 0, variance**2 / against, 1.0)
        t = np.where(error > 0, np.abs(log_ratio) / error, np.where(log_ratio == 0, 0.0, np.inf))
        p = 2 * stdtr(np.maximum(freedom, 1.0), -t)
        width = stdtrit(np.maximum(freedom, 1.0), 0.975) * error
    hide = np.where(unknown, np.nan, 0.0)
    low, high = log_ratio - width + hide, log_ratio + width + hide
    return Estimate(log_ratio, low, high, p + hide, error + hide, np.maximum(freedom, 1.0))


def adjusted(p: Floats) -> Floats:
    """Benjamini–Hochberg: those at or below q have at most a share q of false ones among them. NaN stays NaN."""
    q = np.full(len(p), np.nan)
    known = ~np.isnan(p)
    order = np.flatnonzero(known)[np.argsort(p[known])]
    scaled = p[order] * (len(order) / np.arange(1, len(order) + 1))
    q[order] = np.minimum(np.minimum.accumulate(scaled[::-1])[::-1], 1.0)
    return q


def geometric_interval(
    log_ratio: Floats, program: Sequence[str], seed: int = 0
) -> tuple[float, float] | None:
    """95 % interval of the mean of log ratios over programs like these, by drawing programs anew.

    A program comes with all its sizes, jobs and samples, whose noise is thereby in the interval too.
    The quantiles are moved outward as Student's t demands of few programs (Hesterberg's expanded percentiles). None for
    fewer than LEAST_PROGRAMS.
    """
    names, number = np.unique(np.asarray(program), return_inverse=True)
    n = len(names)
    if n < LEAST_PROGRAMS:
        return None
    total = np.bincount(number, log_ratio, n)
    count = np.bincount(number, minlength=n)
    drawn = np.random.default_rng(seed).integers(0, n, (DRAWS, n))
    means = total[drawn].sum(1) / count[drawn].sum(1)
    outward = ndtr(-np.sqrt(n / (n - 1)) * stdtrit(n - 1, 0.975))
    low, high = np.quantile(means, [outward, 1 - outward])
    return float(low), float(high)
