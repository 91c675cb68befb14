"""The estimator as a whole."""

from __future__ import annotations

import numpy as np
import pytest

from harness.learn.train import measure_accuracy
from pitot_core import (
    Features,
    NotFitted,
    ObservationsError,
    Pitot,
    Queries,
    SettingsError,
    Step,
    TowerOptions,
    UnknownEntity,
    coverage,
    mape,
    split,
)
from pitot_core.towers import Towers
from pitot_core.towers.training import row_weights
from tests.pitot_core.problems import made_up
from tests.published import published


def test_it_learns_a_made_up_problem() -> None:
    rows, features = made_up(rows=3000, platforms=10, workloads=20)
    parts = split(rows, train=0.8, test=0.2, seed=0)
    model = Pitot().fit(rows[parts.train], features)
    test = rows[parts.test]
    pools = [test[test.n_co_runners == n] for n in range(4)]
    errors = [mape(model.predict(pool), np.exp(pool.log_ns)) for pool in pools]
    assert max(errors) < 0.05


def test_published_rows_are_predicted_and_bounded() -> None:
    """A short training on a tenth of the jobs, so that the suite stays quick."""
    rows, features = published()
    parts = split(rows, train=0.1, test=0.9, seed=0)
    model = Pitot("towers", steps=120, members=2, hidden=(64, 64), bounds="plain", weight_decay=0.3).fit(
        rows[parts.train], features
    )
    test = rows[parts.test]
    for n in (0, 1):
        some = test[test.n_co_runners == n]
        measured = np.exp(some.log_ns)
        assert mape(model.predict(some), measured) < 0.14
        assert abs(coverage(model.bound(some, 0.1), measured).share - 0.9) < 0.05


def test_a_small_dataset_with_equal_features_neither_crashes_nor_loses_to_its_baseline() -> None:
    rows, features = made_up(platforms=5, workloads=30, rows=300, degrees=2, noise=0.05)
    flat = Features(features.workloads, np.ones((5, 4)), features.workload_names, features.platform_names)
    parts = split(rows, train=0.8, test=0.2, seed=0)
    model = Pitot().fit(rows[parts.train], flat)
    test = rows[parts.test]
    assert mape(model.predict(test), np.exp(test.log_ns)) < 0.15


def test_progress_is_told_from_first_to_last_step() -> None:
    rows, features = made_up(rows=200)
    steps: list[Step] = []
    Pitot("towers", steps=20).fit(rows, features, progress=steps.append)
    assert [(s.done, s.total) for s in steps if s.phase == "training"][:: len(steps) - 1 or 1][0] == (0, 20)
    assert (steps[-1].done, steps[-1].total) == (20, 20)


def test_the_same_seed_gives_the_same_model_on_any_number_of_threads() -> None:
    rows, features = made_up(rows=300)
    first, second, other = (
        Pitot("towers", steps=20, seed=seed, threads=threads).fit(rows, features).predict(rows)
        for seed, threads in ((1, 1), (1, 3), (2, 1))
    )
    np.testing.assert_allclose(first, second, rtol=1e-5)
    assert not np.allclose(first, other, rtol=1e-5)


def test_asking_before_fitting_is_refused() -> None:
    with pytest.raises(NotFitted, match="call fit"):
        Pitot().predict(Queries.of([0], [0]))


def test_nothing_to_train_on_is_refused() -> None:
    rows, features = made_up(rows=100)
    with pytest.raises(ObservationsError, match="no observations"):
        Pitot().fit(rows[:0], features)


def test_a_workload_never_observed_is_refused_by_name() -> None:
    rows, features = made_up(rows=400)
    model = Pitot("towers", steps=2).fit(rows[rows.workload != 7], features)
    with pytest.raises(UnknownEntity, match="workload 'w7' was never observed"):
        model.predict(Queries.of([0], [7]))
    with pytest.raises(UnknownEntity, match="outside the table of 12 workloads"):
        model.predict(Queries.of([0], [99]))


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"objective": "cubic"}, "objective must be one of"),
        ({"rank": 0}, "rank must be at least 1"),
        ({"folds": 1}, "folds must be at least 2"),
        ({"calibration_share": 1.0}, "calibration_share"),
        ({"method": "magic"}, "method must be one of tables, towers"),
        ({"ranks": 3}, "there is no option 'ranks'"),
        ({"seed": -1}, "seed must not be negative"),
        ({"seed": 1.5}, "seed must be a whole number"),
        ({"threads": True}, "threads must be a whole number"),
        ({"learning_rate": float("nan")}, "learning_rate must be a finite number"),
        ({"negative_slope": -1.0}, "negative_slope"),
        ({"hidden": (0,)}, "a layer of hidden"),
        ({"degree_weights": (1.0, 1.0)}, "degree_weights must be 4"),
        ({"bounds": "shared", "quantiles": (0.9,)}, "needs the median"),
    ],
)
def test_options_that_make_no_sense_are_refused(options: dict, sentence: str) -> None:
    with pytest.raises(SettingsError, match=sentence):
        Pitot(**({"method": "towers"} | options))


def test_the_interference_norm_is_that_of_the_matrix_in_equation_9() -> None:
    rows, features = made_up(rows=900, platforms=5, workloads=8)
    model = Pitot("towers", steps=30, members=2, rank=4, hidden=(8,), bounds="plain").fit(rows, features)
    assert isinstance(model.completion, Towers)
    parts = model.completion.point.platforms.reshape(2, 5, 5, 4)  # p, v_s(1), v_s(2), v_g(1), v_g(2)
    direct = [
        np.mean([np.linalg.norm(np.outer(p[1], p[3]) + np.outer(p[2], p[4]), 2) for p in parts[:, j]])
        for j in range(5)
    ]
    np.testing.assert_allclose(model.interference_norms(), direct, rtol=1e-5)
    alone = Pitot("towers", steps=5, members=1, bounds="plain", interference="ignored").fit(rows, features)
    assert not alone.interference_norms().any()


def test_the_weight_of_absent_degrees_goes_to_those_that_are_there() -> None:
    rows, _ = made_up(rows=400)
    published_options = Pitot.published().options
    assert isinstance(published_options, TowerOptions)
    some = rows[rows.n_co_runners < 2]
    weight = row_weights(some, published_options)
    shares = np.bincount(some.n_co_runners, weight)
    np.testing.assert_allclose(shares, [1.0, 0.5])
    every = row_weights(rows, published_options)
    np.testing.assert_allclose(np.bincount(rows.n_co_runners, every), [1.0, *[0.5 / 3] * 3])


def test_what_only_ran_beside_others_is_not_known_and_not_judged() -> None:
    rows, features = made_up(rows=1500, workloads=12)
    rows = rows[rows.workload != 11]  # measured nowhere, though others ran beside it
    assert (rows.co_runners == 11).any()
    parts = split(rows, train=0.8, test=0.2, seed=0)
    model = Pitot("towers", steps=30, members=2).fit(rows[parts.train], features)
    test = rows[parts.test]
    known = model.knows(test)
    np.testing.assert_array_equal(known, ~(test.co_runners == 11).any(axis=1))
    assert np.isfinite(model.predict(test[known])).all()
    with pytest.raises(UnknownEntity):
        model.predict(test)
    judged = measure_accuracy(model, test)
    assert sum(row["test_rows"] for row in judged) == known.sum() < len(test)
