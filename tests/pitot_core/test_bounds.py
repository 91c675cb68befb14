"""The promise of a bound, on scores whose distribution is known."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from pitot_core import (
    Features,
    Observations,
    Pitot,
    PitotError,
    PoolSize,
    Queries,
    UncalibratedDegree,
    margin,
    split,
)
from pitot_core.candidates import Candidates, Located
from pitot_core.choice import fairest
from pitot_core.conformal import gamma, ranked
from pitot_core.curves import Curves
from pitot_core.pool import Pool
from pitot_core.spread import Alike, Spread
from tests.pitot_core.problems import made_up


def test_gamma_is_an_order_statistic_without_interpolation() -> None:
    scores = np.arange(19.0)
    assert [gamma(scores, eps) for eps in (0.5, 0.1, 0.05, 0.049)] == [9.0, 17.0, 18.0, math.inf]


def test_smallest_eps_is_where_the_bound_turns_infinite() -> None:
    size = PoolSize.of(0, 30)
    assert (size.rows, size.smallest_eps) == (30, 1 / 31)
    at, below = gamma(np.arange(30.0), 1 / 31), gamma(np.arange(30.0), 1 / 31 - 1e-6)
    assert (math.isfinite(at), math.isfinite(below)) == (True, False)


@pytest.mark.parametrize("eps", [0.5, 0.1, 0.05, 0.01])
def test_coverage_over_many_draws_is_what_exchangeability_says(eps: float) -> None:
    rng = np.random.default_rng(0)
    n, draws = 199, 4000
    scores = rng.standard_cauchy((draws, n + 1))
    held = sum(scores[d, n] <= gamma(ranked(scores[d, :n]), eps) for d in range(draws))
    exact = math.ceil((n + 1) * (1 - eps) - 1e-9) / (n + 1)
    assert abs(held / draws - exact) < 4 * math.sqrt(exact * (1 - exact) / draws)


def test_a_degree_without_a_pool_is_refused() -> None:
    rows, features = made_up(degrees=2)
    model = Pitot("towers", steps=2).fit(rows, features)
    three = made_up(degrees=4)[0]
    with pytest.raises(UncalibratedDegree, match="no bound for 3 co-runners"):
        model.bound(three[three.n_co_runners == 3], 0.1)


def test_too_few_calibration_rows_make_an_infinite_bound_not_a_clipped_one() -> None:
    rows, features = made_up(rows=200)
    model = Pitot("towers", steps=2).fit(rows, features)
    alone = rows[rows.n_co_runners == 0]
    smallest = model.pools()[0].smallest_eps
    assert np.isinf(model.bound(alone, smallest * 0.99)).all()
    assert np.isfinite(model.bound(alone, smallest * 1.01)).all()


@pytest.mark.parametrize("eps", [0.0, 1.0, -0.1, math.nan])
def test_eps_outside_zero_and_one_is_refused(eps: float) -> None:
    rows, features = made_up(rows=200)
    with pytest.raises(PitotError, match="not between 0 and 1"):
        Pitot("towers", steps=2).fit(rows, features).bound(rows, eps)


def test_a_smaller_eps_never_lowers_the_bound() -> None:
    rows, features = made_up()
    model = Pitot("towers", steps=20, calibration_share=0.4).fit(rows, features)
    alone = rows[rows.n_co_runners == 0]
    bounds = np.stack([model.bound(alone, eps) for eps in (0.5, 0.3, 0.2, 0.1)])
    assert np.all(np.diff(bounds, axis=0) >= 0)


def test_calibration_rows_have_no_say_in_the_choice_between_heads() -> None:
    """The second head is far better on the rows that choose and far worse on calibration rows, and is still taken."""
    n = 400
    candidates = Candidates((), (0.5, 0.9))
    y = np.abs(np.random.default_rng(0).standard_normal(n))
    device = np.zeros(n, np.int64)
    good, bad = np.stack([np.full(n, 3.0), y]), np.stack([y, np.full(n, 3.0)])
    shaped = Pool.shaped(candidates, y, Located(0 * y, device, None, good), 1, beside=False)
    pool = shaped.calibrated(y, Located(0 * y, device, None, bad))
    assert pool.chosen(0.1) == "head 0.9"


def test_the_candidate_that_gives_up_on_the_most_uncertain_rows_is_not_chosen() -> None:
    """Bounds: one distance for all rows has the least margin and covers the widest tenth half as often as promised."""
    rng = np.random.default_rng(0)
    spread = np.repeat([0.01, 1.0], [9000, 1000])
    y = spread * rng.exponential(size=len(spread))
    device = np.zeros(len(y), np.int64)
    everywhere = [np.full(len(y), np.quantile(y, 1 - eps)) for eps in (0.1, 0.05, 0.01)]
    in_proportion = [spread * -np.log(eps) for eps in (0.1, 0.05, 0.01)]
    bounds = np.array([everywhere, in_proportion])
    cheap, fair = ([np.mean(np.maximum(b - y, 0)) for b in one] for one in bounds)
    assert cheap[0] < fair[0]
    assert fairest(bounds, y, spread, device) == 1
    assert fairest(bounds[:1], y, spread, device) == 0


def test_a_device_with_heavier_tails_than_its_spread_tells_gets_a_curve_of_its_own() -> None:
    rng = np.random.default_rng(0)
    device = np.repeat([0, 1], 4000)
    z = np.where(device == 0, rng.uniform(0, 1, 8000), rng.exponential(size=8000) ** 2)
    curves = Curves.fit(z, device, 3)
    assert curves.stretch(np.full(2, -np.log(0.05)), np.array([0, 1])) == pytest.approx([0.95, 9.0], rel=0.15)
    back = curves.stretch(curves.score(z[-50:], device[-50:]), device[-50:])
    np.testing.assert_allclose(back, z[-50:], rtol=1e-6, atol=1e-6)
    assert np.isinf(curves.stretch(np.array([math.inf]), np.array([0]))).all()
    scores = curves.score(np.array([-50.0, 0.5, 500.0]), np.zeros(3, np.int64))
    assert np.all(np.diff(scores) > 0)


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
    model = Pitot("towers", split_by="row", steps=150, members=2, folds=2).fit(noisy[parts.train], features)
    test = noisy[parts.test]
    measured = np.exp(test.log_ns)
    chosen, plain = (
        margin(model.bound(test, 0.05, method=method), measured) for method in ("chosen", "plain")
    )
    assert chosen < 0.8 * plain
    assert abs(np.mean(model.bound(test, 0.05) >= measured) - 0.95) < 0.05


@pytest.mark.parametrize(("rows", "calibration"), [(900, "cross"), (3600, "split")])
def test_bounds_fall_where_eps_rises_and_are_never_below_the_expected_time(
    rows: int, calibration: str
) -> None:
    observations, features = made_up(rows=rows, noise=0.1)
    model = Pitot("towers", steps=30, members=3, folds=3, calibration=calibration).fit(observations, features)
    levels = np.geomspace(0.004, 0.9, 60)
    bounds = np.stack([model.bound(observations, float(eps)) for eps in levels])
    assert np.all(bounds[1:] <= bounds[:-1])
    assert np.all(bounds >= model.predict(observations))
    assert {pool.kind for pool in model.pools().values()} == {calibration}


def test_heads_chosen_per_eps_give_bounds_that_fall_where_eps_rises() -> None:
    observations, features = made_up(rows=1500, noise=0.1)
    model = Pitot("towers", steps=40, members=2, folds=2, bounds="heads", calibration_share=0.3).fit(
        observations, features
    )
    bounds = np.stack([model.bound(observations, eps) for eps in np.geomspace(0.004, 0.9, 60).tolist()])
    assert len({name for eps in (0.02, 0.1, 0.4) for name in model.chosen(eps).values()}) > 1
    assert np.all(bounds[1:] <= bounds[:-1])


def test_cross_calibration_spends_no_row_and_holds_about_as_often_as_promised() -> None:
    """CV+ on 8 small datasets: proved is 1 − 2ε, measured is about 1 − ε."""
    covered = []
    for seed in range(8):
        rows, features = made_up(rows=560, noise=0.1, seed=seed)
        train, test = rows[:260], rows[260:]
        model = Pitot("towers", steps=40, members=5, folds=5, threads=1, seed=seed).fit(train, features)
        assert model.rows_used == {"training": 260, "calibration": 260}
        covered.append(np.mean(model.bound(test, 0.2) >= np.exp(test.log_ns)))
    assert 0.8 - 0.03 < np.mean(covered) < 0.9


def test_the_spread_is_as_large_as_the_errors_of_new_rows_in_every_tenth_of_it() -> None:
    rows, features = made_up(rows=9000, degrees=2, noise=0.0)
    rng = np.random.default_rng(2)
    loud = np.exp(rng.normal(-3.0, 0.7, 6))[rows.platform] * np.exp(rng.normal(0.0, 0.7, 12))[rows.workload]
    noisy = replace(rows, log_ns=rows.log_ns + loud * rng.standard_normal(len(rows)))
    parts = split(noisy, train=0.7, test=0.3, by="row", seed=0)
    model = Pitot("towers", split_by="row", steps=150, members=5, folds=5).fit(noisy[parts.train], features)
    test = noisy[parts.test]
    spread = model.spread(test)
    z = (test.log_ns - np.log(model.predict(test))) / spread
    tenths = np.array_split(z[np.argsort(spread)], 10)
    np.testing.assert_allclose([np.sqrt(np.mean(tenth**2)) for tenth in tenths], 1.0, atol=0.3)


def test_what_varies_beside_others_is_taken_to_vary_alone_where_it_was_never_measured_so() -> None:
    rng = np.random.default_rng(0)
    names = tuple(f"w{i}" for i in range(30)), tuple(f"p{j}" for j in range(10))
    features = Features(rng.normal(size=(30, 3)), rng.normal(size=(10, 3)), *names)
    alike = Alike.of(rng.normal(size=(10, 30)), features)
    platform, workload = np.divmod(np.repeat(np.arange(300), 9), 30)
    co_runner = np.where(np.arange(2700) % 9 == 0, -1, (workload + 1 + rng.integers(0, 29, 2700)) % 30)
    residual = np.where(platform % 2, 0.02, 0.2) * rng.standard_normal(2700)
    rows = Observations.of(platform, workload, co_runner, log_ns=20.0 + residual)
    known = (co_runner >= 0) | (platform < 2)
    spread, _ = Spread.fit(rows[known], residual[known], None, alike, "row", 0)
    of_platform = [np.median(spread(Queries.of(np.full(30, j), np.arange(30)))) for j in range(2, 10)]
    assert min(of_platform[::2]) > 2 * max(of_platform[1::2])
