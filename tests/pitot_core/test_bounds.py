"""The promise of a bound, on scores whose distribution is known."""

from __future__ import annotations

import math

import numpy as np
import pytest

from pitot_core import Observations, Pitot, PitotError, UncalibratedDegree, margin, split
from pitot_core.conformal import Calibration, Scored
from tests.pitot_core.problems import made_up


def scored(scores: np.ndarray) -> Scored:
    one = np.ones((1, len(scores)))
    return Scored(scores, np.zeros(len(scores), np.int64), 0 * one, one)


def calibrated(scores: np.ndarray) -> Calibration:
    return Calibration.of(scored(scores), scored(scores[:0]))


def test_gamma_is_an_order_statistic_without_interpolation() -> None:
    pool = calibrated(np.arange(19.0)).pools[0]
    assert [pool.gamma(0, eps) for eps in (0.5, 0.1, 0.05, 0.049)] == [9.0, 17.0, 18.0, math.inf]


def test_smallest_eps_is_where_the_bound_turns_infinite() -> None:
    calibration = calibrated(np.arange(30.0))
    size = calibration.sizes()[0]
    assert (size.rows, size.smallest_eps) == (30, 1 / 31)
    at, below = calibration.pools[0].gamma(0, 1 / 31), calibration.pools[0].gamma(0, 1 / 31 - 1e-6)
    assert (math.isfinite(at), math.isfinite(below)) == (True, False)


@pytest.mark.parametrize("eps", [0.5, 0.1, 0.05, 0.01])
def test_coverage_over_many_draws_is_what_exchangeability_says(eps: float) -> None:
    rng = np.random.default_rng(0)
    n, draws = 199, 4000
    scores = rng.standard_cauchy((draws, n + 1))
    held = sum(scores[d, n] <= calibrated(scores[d, :n]).pools[0].gamma(0, eps) for d in range(draws))
    exact = math.ceil((n + 1) * (1 - eps) - 1e-9) / (n + 1)
    assert abs(held / draws - exact) < 4 * math.sqrt(exact * (1 - exact) / draws)


def test_a_degree_without_a_pool_is_refused() -> None:
    rows, features = made_up(degrees=2)
    model = Pitot(steps=2).fit(rows, features)
    three = made_up(degrees=4)[0]
    with pytest.raises(UncalibratedDegree, match="no bound for 3 co-runners"):
        model.bound(three[three.n_co_runners == 3], 0.1)


def test_too_few_calibration_rows_make_an_infinite_bound_not_a_clipped_one() -> None:
    rows, features = made_up(rows=200)
    model = Pitot(steps=2).fit(rows, features)
    alone = rows[rows.n_co_runners == 0]
    smallest = model.pools()[0].smallest_eps
    assert np.isinf(model.bound(alone, smallest * 0.99)).all()
    assert np.isfinite(model.bound(alone, smallest * 1.01)).all()


@pytest.mark.parametrize("eps", [0.0, 1.0, -0.1, math.nan])
def test_eps_outside_zero_and_one_is_refused(eps: float) -> None:
    rows, features = made_up(rows=200)
    with pytest.raises(PitotError, match="not between 0 and 1"):
        Pitot(steps=2).fit(rows, features).bound(rows, eps)


def test_a_smaller_eps_never_lowers_the_bound() -> None:
    rows, features = made_up()
    model = Pitot(steps=20, calibration_share=0.4).fit(rows, features)
    alone = rows[rows.n_co_runners == 0]
    bounds = np.stack([model.bound(alone, eps) for eps in (0.5, 0.3, 0.2, 0.1)])
    assert np.all(np.diff(bounds, axis=0) >= 0)


def test_calibration_rows_have_no_say_in_the_choice_between_candidates() -> None:
    """Two candidates, the second far better on the choice rows and far worse on calibration rows, is still taken."""
    n = 200
    rng = np.random.default_rng(0)
    y, zero = np.abs(rng.standard_normal(n)), np.zeros(n, np.int64)
    wide = np.stack([np.zeros(n), np.full(n, 3.0)])
    good = np.stack([np.zeros(n), y])
    one = np.ones((2, n))
    pool = Calibration.of(Scored(y, zero, wide, one), Scored(y, zero, good, one)).pools[0]
    assert pool.choose(0.1, [0, 1]) == 1
    assert pool.choose(0.1, [0]) == 0


def test_bounds_by_row_spread_are_narrower_where_noise_differs_between_platforms() -> None:
    rows, features = made_up(rows=6000, degrees=1, noise=0.0)
    rng = np.random.default_rng(1)
    loud = np.where(rows.platform < 2, 0.4, 0.02)
    noisy = Observations(
        rows.platform,
        rows.workload,
        rows.co_runners,
        rows.log_ns + loud * rng.standard_normal(len(rows)),
        rows.job,
    )
    parts = split(noisy, train=0.8, test=0.2, by="row", seed=0)
    model = Pitot(split_by="row", steps=150, members=2, folds=2).fit(noisy[parts.train], features)
    test = noisy[parts.test]
    measured = np.exp(test.log_ns)
    chosen, plain = (
        margin(model.bound(test, 0.05, method=method), measured) for method in ("chosen", "plain")
    )
    assert chosen < 0.8 * plain
    assert abs(np.mean(model.bound(test, 0.05) >= measured) - 0.95) < 0.05
