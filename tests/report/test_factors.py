"""Headlines of partial data: what they say must not depend on which workloads happened to be measured where."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from harness.report.factors import Fit, fit
from tests.published import ABSENT, PLACE

NAMES = [f"{engine}:{device}" for engine in ("fast", "slow") for device in ("near", "far", "old")]
SPEED = np.array([0.0, 1.0, 2.0, 2.3, 3.3, 4.3])  # ln: an engine of 10×, devices of 2.7× and 7.4×


def times(seed: int = 0, workloads: int = 40) -> Any:
    draw = np.random.default_rng(seed)
    work = draw.normal(16, 1.5, workloads)
    return np.exp(work + SPEED[:, None] + draw.normal(0, 0.05, (6, workloads)))


def found(matrix: Any, limits: Any = None) -> Fit:
    made = fit(matrix, np.full(matrix.shape, np.nan) if limits is None else limits, NAMES)
    assert made is not None
    return made


def test_an_engine_that_only_ran_long_workloads_is_not_called_slow_for_it() -> None:
    matrix = times()
    work = np.log(matrix[0])
    matrix[:3, np.argsort(work)[:25]] = (
        np.nan
    )  # the fast engine has the long workloads, and a few with the slow one
    matrix[3:, np.argsort(work)[30:]] = np.nan
    made = found(matrix)
    assert [made.engines.names[k] for k in made.engines.order] == ["fast", "slow"]
    assert made.engines.ratio[1] == pytest.approx(10, rel=0.05)
    assert made.devices.ratio[[made.devices.names.index(d) for d in ("far", "old")]] == pytest.approx(
        [np.e, np.e**2], rel=0.05
    )
    assert made.platforms.ratio == pytest.approx(np.exp(SPEED), rel=0.1)


def test_one_wild_time_is_outvoted() -> None:
    matrix = times()
    matrix[1, 7] *= 1000
    assert found(matrix).platforms.ratio[1] == pytest.approx(np.e, rel=0.03)


def test_what_a_limit_ended_counts_as_longer() -> None:
    """A start-up of 10 ms hides the work of short workloads, and a limit ends all others on the slow platform."""
    draw = np.random.default_rng(1)
    work = draw.uniform(13, 21, 60)
    matrix = np.exp(np.logaddexp(16, work + SPEED[:, None]) + draw.normal(0, 0.03, (6, 60)))
    limit = np.exp(22.0)
    cut = matrix > limit
    whole = found(matrix).platforms.ratio
    limits = np.where(cut, limit, np.nan)
    partial = found(np.where(cut, np.nan, matrix), limits).platforms.ratio
    measured = np.exp(np.nanmean(np.where(cut, np.nan, np.log(matrix)), axis=1))
    assert partial == pytest.approx(whole, rel=0.1)
    assert (measured / measured[0])[5] < 0.7 * whole[5]  # a mean of what ended would be far too small


def test_platforms_that_share_nothing_with_the_others_are_not_compared() -> None:
    matrix = times()
    matrix[5, :30] = np.nan
    matrix[:5, 30:] = np.nan
    made = found(matrix)
    assert made.compared.tolist() == [True] * 5 + [False]
    assert np.isnan(made.platforms.log[5])
    nothing = np.full((6, 4), np.nan)
    nothing[0] = 1e6
    assert fit(nothing, np.full((6, 4), np.nan), NAMES) is None


def test_a_ratio_from_one_workload_has_no_interval() -> None:
    matrix = times()
    matrix[5, 1:] = np.nan
    low, high = found(matrix).platforms.interval
    assert np.isnan([low[5], high[5], low[0], high[0]]).all()  # and the fastest is 1 by definition
    assert (low[1:5] < np.exp(SPEED[1:5]) * 1.01).all()
    assert (high[1:5] > np.exp(SPEED[1:5]) * 0.99).all()
    assert (high[1:5] / low[1:5] < 1.1).all()


def test_intervals_hold_the_truth_about_as_often_as_they_say() -> None:
    """Workloads that differ between platforms, drawn anew 40 times, of which a third is measured."""
    truth, held = np.exp(SPEED), []
    for seed in range(40):
        draw = np.random.default_rng(seed)
        work = draw.normal(16, 1.5, 45)
        matrix = np.exp(work + SPEED[:, None] + draw.normal(0, 0.3, (6, 45)))
        made = found(np.where(draw.random(matrix.shape) < 0.35, matrix, np.nan)).platforms
        low, high = made.interval_against(0)
        held += ((low[1:] <= truth[1:] / truth[0]) & (truth[1:] / truth[0] <= high[1:])).tolist()
    assert np.mean(held) > 0.86  # 200 of them: 0.95 less four standard errors of what draws of a seed share


@pytest.mark.skipif(not (PLACE / "data.npz").exists(), reason=ABSENT)
def test_published_times_thinned_to_a_sixth_give_the_headlines_of_all() -> None:
    from tests.perf.bench_report import headlines

    for kind, near, held in headlines(draws=2):
        assert near >= 0.85, kind
        assert held >= 0.85, kind
