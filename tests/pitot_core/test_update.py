"""Newcomers to a trained model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pitot_core import Features, FeaturesError, Observations, ObservationsError, Pitot, UnknownEntity, mape
from tests.pitot_core.problems import made_up


@pytest.fixture(scope="module")
def problem() -> tuple[Observations, Features, Pitot]:
    rows, features = made_up(rows=4000, platforms=16, workloads=30, noise=0.02)
    known = rows[(rows.workload != 29) & (rows.platform != 15) & (rows.co_runners != 29).all(axis=1)]
    return rows, features, Pitot("towers", steps=120, members=2, folds=2, hidden=(64,)).fit(known, features)


def _copy(model: Pitot, place: Path) -> Pitot:
    model.save(place / "m.npz")
    return Pitot.load(place / "m.npz")


def _alone(rows: Observations, side: str) -> Observations:
    known = (rows.workload == 29) != (rows.platform == 15)
    mine = (rows.workload if side == "workload" else rows.platform) == (29 if side == "workload" else 15)
    return rows[known & mine & (rows.co_runners != 29).all(axis=1)]


@pytest.mark.parametrize("side", ["workload", "platform"])
def test_a_newcomer_is_learned_from_eight_rows_and_nothing_else_changes(
    problem: tuple[Observations, Features, Pitot], side: str, tmp_path: Path
) -> None:
    rows, _, trained = problem
    model, mine = _copy(trained, tmp_path), _alone(rows, side)
    mine = mine[np.argsort(mine.n_co_runners, kind="stable")]
    with pytest.raises(UnknownEntity):
        model.predict(mine)
    others = rows[(rows.workload != 29) & (rows.platform != 15) & (rows.co_runners != 29).all(axis=1)]
    before = model.predict(others), model.bound(others, 0.2)
    model.update(mine[:8])
    np.testing.assert_array_equal(model.predict(others), before[0])
    np.testing.assert_array_equal(model.bound(others, 0.2), before[1])
    rest = mine[8:]
    alone = rest[rest.n_co_runners == 0]
    assert mape(model.predict(alone), np.exp(alone.log_ns)) < 0.25
    assert np.mean(model.bound(alone, 0.2) >= np.exp(alone.log_ns)) > 0.5


def test_an_updated_model_survives_the_disk(
    problem: tuple[Observations, Features, Pitot], tmp_path: Path
) -> None:
    rows, _, trained = problem
    model, mine = _copy(trained, tmp_path), _alone(rows, "workload")
    model.update(mine[:6])
    loaded = _copy(model, tmp_path)
    np.testing.assert_array_equal(loaded.predict(mine), model.predict(mine))
    np.testing.assert_array_equal(loaded.bound(mine, 0.2), model.bound(mine, 0.2))


def test_a_newcomer_outside_the_tables_comes_with_its_features(tmp_path: Path) -> None:
    rows, features = made_up(rows=2000, platforms=10, workloads=20)
    short = Features(
        features.workloads[:-1], features.platforms, features.workload_names[:-1], features.platform_names
    )
    known = rows[(rows.workload != 19) & (rows.co_runners != 19).all(axis=1)]
    model = Pitot("towers", steps=100).fit(known, short)
    before = model.predict(known)
    mine = rows[(rows.workload == 19) & (rows.n_co_runners == 0)]
    model.update(mine, features)
    np.testing.assert_array_equal(model.predict(known), before)
    assert mape(model.predict(mine), np.exp(mine.log_ns)) < 0.2
    other = Features(
        features.workloads[::-1], features.platforms, features.workload_names[::-1], features.platform_names
    )
    with pytest.raises(FeaturesError, match="must begin with"):
        model.update(mine, other)


def test_an_update_without_anything_new_is_refused(problem: tuple[Observations, Features, Pitot]) -> None:
    rows, _, model = problem
    with pytest.raises(ObservationsError, match="is known"):
        model.update(rows[(rows.workload != 29) & (rows.platform != 15)][:5])


def test_the_parts_of_an_explanation_add_up(problem: tuple[Observations, Features, Pitot]) -> None:
    rows, features, model = problem
    asked = rows[(rows.workload != 29) & (rows.platform != 15) & (rows.co_runners != 29).all(axis=1)][:200]
    found = model.explain(asked, nearest=2)
    np.testing.assert_allclose(found.startup_ns + found.work_ns + found.interference_ns, found.total_ns)
    np.testing.assert_allclose(found.total_ns, model.predict(asked))
    assert np.all(found.startup_ns > 0)
    np.testing.assert_allclose(
        found.interference_ns[asked.n_co_runners == 0], 0.0, atol=1e-6 * found.total_ns.max()
    )
    names = {name for near in found.nearest_workloads for name in near}
    assert names <= set(features.workload_names) - {"w29"}
    assert all(len(near) == 2 for near in found.nearest_platforms)
