"""The promise of a bound, on scores whose distribution is known."""

from __future__ import annotations

import math

import numpy as np
import pytest

from pitot_core import Pitot, PitotError, UncalibratedDegree
from pitot_core.conformal import Calibration
from tests.pitot_problems import made_up


def calibrated(scores: np.ndarray, choosing: np.ndarray | None = None) -> Calibration:
    one = np.ones((1, len(scores)))
    zero = np.zeros(len(scores), np.int64)
    return Calibration.of(scores, 0 * one, one, zero, zero.astype(bool) if choosing is None else choosing)


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
