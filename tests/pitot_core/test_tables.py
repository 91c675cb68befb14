"""Tables solved under Gaussian-process priors, against dense linear algebra and made-up laws."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pitot_core import (
    Features,
    Observations,
    Pitot,
    Queries,
    SettingsError,
    UncalibratedDegree,
    mape,
    split,
)  # fmt: skip
from pitot_core.tables import Tables, solve, stages, sweeps
from pitot_core.tables.kernels import matern, squared_distances, unit
from pitot_core.tables.noise import pace_slope
from pitot_core.tables.rows import Rows
from pitot_core.tables.solve import Factor, Table
from tests.perf.kinds import law
from tests.pitot_core.problems import made_up


def _kernel(n: int, seed: int) -> np.ndarray:
    x = np.random.default_rng(seed).standard_normal((n, 3))
    return unit(matern(squared_distances(x), 1.0) + 0.1 * np.eye(n))


def _solved(
    precision: np.ndarray, moment: np.ndarray, k_p: np.ndarray, k_w: np.ndarray
) -> tuple[Table, Table]:
    table = Table(precision.shape, 0.3)
    table.prior(Factor(k_p), Factor(k_w), 0.5)
    for _ in range(3):
        table.solve(precision, moment)
    return table, table


def test_a_table_is_the_posterior_mean_of_dense_algebra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pitot_core.tables.solve.TOLERANCE", 1e-6)
    monkeypatch.setattr("pitot_core.tables.solve.CUT", 0.0)
    rng = np.random.default_rng(0)
    k_p, k_w = _kernel(5, 1), _kernel(7, 2)
    precision = rng.gamma(0.5, 10.0, (5, 7)) * (rng.random((5, 7)) < 0.6)
    moment = precision * rng.standard_normal((5, 7))
    table, _ = _solved(precision, moment, k_p, k_w)
    covariance = 0.5 * np.kron(k_p, k_w)
    weight = np.diag(precision.ravel())
    right = (moment - precision * 0.3).ravel()
    dense = 0.3 + np.linalg.solve(np.linalg.inv(covariance) + weight, right)
    np.testing.assert_allclose(table.f.ravel(), dense, atol=2e-3)


def test_the_variance_is_exact_where_precision_is_a_product() -> None:
    k_p, k_w = _kernel(5, 1), _kernel(7, 2)
    precision = np.outer(np.linspace(1, 5, 5), np.linspace(0, 3, 7))
    table, _ = _solved(precision, precision, k_p, k_w)
    covariance = 0.5 * np.kron(k_p, k_w)
    dense = np.diag(np.linalg.inv(np.linalg.inv(covariance) + np.diag(precision.ravel())))
    np.testing.assert_allclose(table.variance(precision).ravel(), dense, rtol=1e-3)


def test_directions_that_rows_say_nothing_of_are_left_out_within_what_is_not_known_anyway() -> None:
    rng = np.random.default_rng(0)
    k_p, k_w = (
        unit(matern(squared_distances(rng.standard_normal((n, 2))), 2.0) + 1e-3 * np.eye(n)) for n in (15, 25)
    )
    precision = rng.gamma(2.0, 10.0, (15, 25)) * (rng.random((15, 25)) < 0.5)
    truth = (
        0.3
        + np.sqrt(0.5) * np.linalg.cholesky(k_p) @ rng.standard_normal((15, 25)) @ np.linalg.cholesky(k_w).T
    )
    noise = rng.standard_normal((15, 25)) / np.sqrt(np.maximum(precision, 1e-9))
    moment = precision * (truth + noise)
    table, _ = _solved(precision, moment, k_p, k_w)
    posterior = np.linalg.inv(np.linalg.inv(0.5 * np.kron(k_p, k_w)) + np.diag(precision.ravel()))
    dense = 0.3 + posterior @ (moment - precision * 0.3).ravel()
    assert table._right.shape[1] < 20
    off = (table.f.ravel() - dense) ** 2
    assert np.sum(precision.ravel() * off) < 0.02 * np.sum(precision.ravel() * np.diag(posterior))


def test_equal_rows_become_one_and_limits_stay_apart() -> None:
    rows = Observations.of(
        [1, 0, 1, 1, 1, 1], [2, 2, 2, 2, 2, 2], [[-1, -1], [-1, -1], [0, 1], [1, 0], [-1, -1], [0, 1]],
        log_ns=[10.0, 11.0, 12.001, 12.003, 9.0, 14.0], censored=[False, False, False, False, True, False],
    )  # fmt: skip
    alone, pairs = Rows.of(rows, 2, 3).groups
    assert alone.cell.tolist() == [2, 5, 5] and alone.log_ns.tolist() == [11.0, 10.0, 9.0]
    assert alone.censored.tolist() == [False, False, True]
    np.testing.assert_allclose(pairs.log_ns, [12.002, 14.0])
    assert pairs.count.tolist() == [2.0, 1.0]
    assert sorted(pairs.beside[:, 0].tolist()) == [3, 4]


def test_a_known_law_is_found_with_up_to_three_co_runners() -> None:
    rows, features = made_up(rows=6000, platforms=12, workloads=24, noise=0.01)
    parts = split(rows, train=0.8, test=0.2, seed=0)
    model = Pitot().fit(rows[parts.train], features)
    test = rows[parts.test]
    for n in range(4):
        some = test[test.n_co_runners == n]
        assert mape(model.predict(some), np.exp(some.log_ns)) < 0.025


def test_a_number_of_co_runners_never_seen_has_a_mean_and_no_bound() -> None:
    rows, features = made_up(rows=3000, platforms=10, workloads=20, noise=0.01)
    model = Pitot().fit(rows[rows.n_co_runners < 3], features)
    unseen = rows[rows.n_co_runners == 3]
    assert mape(model.predict(unseen), np.exp(unseen.log_ns)) < 0.06
    with pytest.raises(UncalibratedDegree, match="no bound for 3 co-runners"):
        model.bound(unseen, 0.1)


def test_times_that_a_limit_cut_off_pull_as_limits_and_the_bias_of_ignoring_them_goes() -> None:
    truth, features = made_up(platforms=8, workloads=24, rows=2400, noise=0.0, seed=1)
    log_ns = truth.log_ns + 0.1 * np.random.default_rng(1).standard_normal(len(truth))
    limit = np.quantile(log_ns, 5 / 6)  # a third of the slower half
    cut = log_ns > limit
    limited = replace(truth, log_ns=np.minimum(log_ns, limit), censored=cut)
    slow, near = truth.log_ns > limit, np.abs(truth.log_ns - limit) < 0.1

    def bias(rows: Observations) -> tuple[float, float]:
        found = Tables.solved(rows, features).log_ns(truth) - truth.log_ns
        return found[slow].mean(), found[near].mean()

    ignored, told = bias(limited[~cut]), bias(limited)
    assert ignored[0] < -0.4 and ignored[1] < -0.03, "a bias that is not there could not go"
    assert abs(told[0]) < 0.25 * abs(ignored[0]) and abs(told[1]) < 0.6 * abs(ignored[1])


@pytest.mark.parametrize("wide", [False, True])
def test_threads_and_seeds_do_not_move_a_bit(wide: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if wide:  # all that is worked at side by side in large tables only
        for module, name in (
            (solve, "LARGE"),
            (solve, "MIDDLING"),
            (stages, "MIDDLING"),
            (sweeps, "MANY_ROWS"),
        ):
            monkeypatch.setattr(module, name, 0)
    rows, features = made_up(rows=900)
    calibration, training = rows[:90], rows[90:]
    one, other = (
        Pitot(threads=threads).fit(training, features, calibration=calibration) for threads in (1, 3)
    )
    np.testing.assert_array_equal(one.predict(rows), other.predict(rows))
    np.testing.assert_array_equal(one.bound(rows, 0.1), other.bound(rows, 0.1))


@pytest.mark.parametrize("shape", [(1, 12), (6, 1), (1, 1)])
def test_one_platform_or_one_workload_is_enough(shape: tuple[int, int]) -> None:
    platforms, workloads = shape
    rng = np.random.default_rng(0)
    rows = Observations.of(
        np.arange(60) % platforms, np.arange(60) % workloads, log_ns=15 + 0.01 * rng.standard_normal(60)
    )
    names = tuple(f"w{i}" for i in range(workloads)), tuple(f"e:d{j}" for j in range(platforms))
    features = Features(np.ones((workloads, 2)), np.ones((platforms, 2)), *names)
    predicted = np.log(Pitot().fit(rows, features).predict(Queries.of([0], [0])))
    np.testing.assert_allclose(predicted, 15.0, atol=0.05)


def test_further_rows_of_what_is_known_are_learned(tmp_path: Path) -> None:
    rows, features = made_up(rows=1500, platforms=8, workloads=16, noise=0.01)
    rare = rows.platform == 3
    few = np.flatnonzero(rare)[:4]
    model = Pitot().fit(rows[np.concatenate([np.flatnonzero(~rare), few])], features)
    later = rows[np.setdiff1d(np.flatnonzero(rare), few)]
    measured = np.exp(later.log_ns)
    before = mape(model.predict(later), measured)
    model.update(later[::2])
    after = mape(model.predict(later[1::2]), measured[1::2])
    assert after < 0.7 * before
    model.save(tmp_path / "m.npz")
    np.testing.assert_array_equal(Pitot.load(tmp_path / "m.npz").predict(later), model.predict(later))


def test_two_observations_and_then_five_are_seven(tmp_path: Path) -> None:
    rows, features = made_up(rows=3000, platforms=10, workloads=20, noise=0.02)
    known = rows[(rows.workload != 19) & (rows.co_runners != 19).all(axis=1)]
    mine = rows[(rows.workload == 19) & (rows.n_co_runners == 0)]
    model = Pitot().fit(known, features)
    model.save(tmp_path / "m.npz")
    once, twice = Pitot.load(tmp_path / "m.npz"), Pitot.load(tmp_path / "m.npz")
    once.update(mine[:7])
    twice.update(mine[:2])
    twice.save(tmp_path / "two.npz")
    twice = Pitot.load(tmp_path / "two.npz").update(mine[2:7])
    rest = mine[7:]
    np.testing.assert_array_equal(once.predict(rest), twice.predict(rest))
    assert mape(once.predict(rest), np.exp(rest.log_ns)) < 0.1


def test_bounds_by_quantile_heads_are_refused() -> None:
    with pytest.raises(SettingsError, match="quantile heads"):
        Pitot(bounds="heads")


def test_wild_rows_are_smoothed_over_as_far_as_they_ask_for(monkeypatch: pytest.MonkeyPatch) -> None:
    steady, features = made_up(rows=700, platforms=7, workloads=30, noise=0.0)
    training, test = steady[:500], steady[500:]
    noise = 0.3 * np.random.default_rng(0).standard_normal(len(training))
    wild = Observations.of(
        training.platform, training.workload, training.co_runners, log_ns=training.log_ns + noise
    )
    found = Pitot().fit(wild, features)
    usual = Pitot().fit(training, features).completion.solution.hyper.noise
    monkeypatch.setattr("pitot_core.tables.noise.FEW_ROWS", len(wild) + 1)
    fixed = Pitot().fit(wild, features)
    measured = np.exp(test.log_ns)
    assert found.completion.solution.hyper.noise > usual == fixed.completion.solution.hyper.noise
    assert mape(found.predict(test), measured) < 0.95 * mape(fixed.predict(test), measured)


def _at_a_pace(slope: float, seed: int = 0) -> tuple[Observations, Observations, Features]:
    """Rows of a machine that is up to 80 % slower at times, by which times go with `slope`; and rows without that."""
    steady, features = made_up(rows=700, platforms=7, workloads=30, noise=0.02)
    training, test = steady[:500], steady[500:]
    pace = np.random.default_rng(seed).uniform(-0.3, 0.3, len(training))
    return replace(training, log_ns=training.log_ns + slope * pace, pace=pace), test, features


def test_times_are_learned_at_the_usual_pace_of_the_machine() -> None:
    training, test, features = _at_a_pace(0.7)
    found, blind = Pitot().fit(training, features), Pitot().fit(replace(training, pace=None), features)
    measured = np.exp(test.log_ns)
    assert found.completion.solution.hyper.pace == pytest.approx(0.7, abs=0.05)
    assert mape(found.predict(test), measured) < 0.5 * mape(blind.predict(test), measured)
    calibrated = found.calibration_rows
    assert calibrated is not None
    assert np.isin(calibrated.log_ns, training.log_ns).all()  # bounds are for times as they are measured
    assert 0.8 < np.mean(np.exp(training.log_ns) < found.bound(training, 0.1)) < 0.99


def test_a_pace_that_times_do_not_go_by_is_left_alone() -> None:
    training, _, features = _at_a_pace(0.0)
    assert Pitot().fit(training, features).completion.solution.hyper.pace < 0.05
    assert pace_slope(np.zeros(50), np.ones(50)) == 0.0
    assert pace_slope(np.array([-0.1, 0.1]), np.array([-1.0, 1.0])) <= 1.0


def test_what_was_measured_at_a_pace_is_updated_at_the_usual_one(tmp_path: Path) -> None:
    training, _, features = _at_a_pace(0.7)
    Pitot().fit(training[:400], features).save(tmp_path / "m.npz")
    model, more = Pitot.load(tmp_path / "m.npz"), training[400:]
    slope = model.completion.solution.hyper.pace
    assert slope > 0.6
    same = Pitot.load(tmp_path / "m.npz").update(more.at_usual_pace(slope))
    np.testing.assert_array_equal(model.update(more).predict(more), same.predict(more))


def test_co_runners_that_slow_each_other_more_are_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    training, test, features = law(0, shape=(16, 40), rows=2000, press=1.0)
    found = Pitot().fit(training, features)
    monkeypatch.setattr("pitot_core.tables.noise.FURTHER", ())
    fixed = Pitot().fit(training, features)
    amplitudes = [one.completion.solution.hyper.suffers for one in (found, fixed)]
    measured = np.exp(test.log_ns)
    assert amplitudes[0] > amplitudes[1]
    assert mape(found.predict(test), measured) < 0.9 * mape(fixed.predict(test), measured)
