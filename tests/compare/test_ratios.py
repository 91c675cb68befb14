"""Ratios on simulated measurements of known truth: intervals hold as often as they say, chance is called chance."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from harness.compare.ratios import (
    LEAST_PROGRAMS,
    Jobs,
    adjusted,
    block_variance,
    estimate,
    geometric_interval,
    noise,
)

WORKLOADS, PLACES, SAMPLES = 20, 3, 40
CELLS = WORKLOADS * PLACES
WORKLOAD = np.repeat(np.arange(WORKLOADS), PLACES)
PLACE = np.tile(np.arange(PLACES), WORKLOADS)


def measure(draw: np.random.Generator, log_ratio: float, jobs: np.ndarray, between: float = 0.03):
    """Both sides as (jobs, wall (N, SAMPLES)): noise common to a job, and samples that depend on their neighbours."""
    base = draw.normal(15, 2, CELLS)
    sides = []
    for side in (0, 1):
        cell = np.repeat(np.arange(CELLS), jobs)
        level = base[cell] + side * log_ratio + draw.normal(0, between, len(cell)) * (1 + PLACE[cell] / 2)
        steps = draw.normal(0, 0.05, (len(cell), SAMPLES))
        for k in range(1, SAMPLES):
            steps[:, k] = 0.6 * steps[:, k - 1] + 0.8 * steps[:, k]
        wall = np.exp(level[:, None] + steps)
        row = np.repeat(np.arange(len(cell)), SAMPLES)
        within, blocks = block_variance(wall.ravel(), row, len(cell))
        sides.append((Jobs(np.log(wall.mean(1)), within, blocks, cell, PLACE[cell]), wall))
    return sides


@pytest.mark.parametrize("only_anchors_repeat", [False, True])
def test_intervals_hold_and_chance_is_called_chance_as_often_as_promised(only_anchors_repeat: bool) -> None:
    """Also where, as in a usual plan, only a few anchor workloads are measured in more than one job."""
    draw = np.random.default_rng(3)
    jobs = np.where(only_anchors_repeat & (WORKLOAD >= 6), 1, 2)
    held, rejected, found = [], [], []
    for turn in range(60):
        log_ratio = [0.0, np.log(1.1)][turn % 2]
        (a, _), (b, _) = measure(draw, log_ratio, jobs)
        got = estimate(a, b, WORKLOAD, WORKLOADS, PLACES)
        held.append(np.mean((got.low <= log_ratio) & (log_ratio <= got.high)))
        (rejected if log_ratio == 0 else found).append(np.mean(got.p < 0.05))
    assert 0.93 <= np.mean(held) <= 0.97
    assert 0.025 <= np.mean(rejected) <= 0.075
    assert np.mean(found) > 0.6


def test_samples_taken_for_independent_would_call_chance_a_difference() -> None:
    draw = np.random.default_rng(4)
    (_, a), (_, b) = measure(draw, 0.0, np.full(CELLS, 1))
    naive = stats.ttest_ind(np.log(a), np.log(b), axis=1).pvalue
    assert np.mean(naive < 0.05) > 0.3


def test_noise_between_jobs_is_found_beside_the_noise_within() -> None:
    draw = np.random.default_rng(5)
    found = [noise(measure(draw, 0.0, np.full(CELLS, 4))[0][0], PLACES).between for _ in range(20)]
    expected = (0.03 * (1 + np.arange(PLACES) / 2)) ** 2
    np.testing.assert_allclose(np.mean(found, axis=0), expected, rtol=0.15)


def test_without_a_repeated_job_nothing_is_said_about_chance() -> None:
    (a, _), (b, _) = measure(np.random.default_rng(6), 0.0, np.full(CELLS, 1))
    got = estimate(a, b, WORKLOAD, WORKLOADS, PLACES)
    assert np.isnan(got.p).all()
    assert np.isnan(got.low).all()
    assert np.isfinite(got.log_ratio).all()
    assert np.isnan(adjusted(got.p)).all()


def test_blocks_see_the_dependence_of_neighbours() -> None:
    """200 samples of a slow wave: their mean is far less sure than 200 independent ones would make it."""
    wave = 100 + 10 * np.sin(np.arange(200) / 15)
    variance, blocks = block_variance(wave, np.zeros(200, np.int64), 1)
    assert blocks.tolist() == [10]
    assert variance[0] > 5 * wave.var(ddof=1) / 200 / 100**2
    few, none = block_variance(np.array([1.0, 3.0, 7.0]), np.array([0, 0, 2]), 3)
    assert none.tolist() == [2, 0, 0]
    np.testing.assert_allclose(few, [2.0 / 2 / 2**2, 0, 0])


def test_the_geometric_mean_interval_holds_over_programs_whose_sizes_go_together() -> None:
    draw = np.random.default_rng(7)
    names = [f"s/program{i // 2}" for i in range(24)]
    held = 0
    for turn in range(300):
        program = np.repeat(draw.normal(0.1, 0.2, 12), 2) + draw.normal(0, 0.03, 24)
        low, high = geometric_interval(program, names, seed=turn)
        held += low <= 0.1 <= high
    low, high = stats.binom.interval(0.999, 300, 0.945)
    assert low <= held <= high


def test_of_too_few_programs_there_is_no_interval() -> None:
    names = [f"s/program{i % (LEAST_PROGRAMS - 1)}" for i in range(40)]
    assert geometric_interval(np.random.default_rng(0).normal(size=40), names) is None


def test_many_workloads_are_adjusted_for() -> None:
    p = np.array([0.01, np.nan, 0.04, 0.03, 0.5])
    np.testing.assert_allclose(adjusted(p), [0.04, np.nan, 4 / 3 * 0.04, 4 / 3 * 0.04, 0.5])
