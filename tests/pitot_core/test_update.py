"""Newcomers to a trained model."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pitot_core import Features, FeaturesError, Observations, ObservationsError, Pitot, UnknownEntity, mape
from pitot_core.observations import joined
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
    known = rows[(rows.workload != 29) & (rows.platform != 15)][:5]
    with pytest.raises(ObservationsError, match="is known"):
        model.update(replace(known, log_ns=known.log_ns + 0.01))


@pytest.mark.parametrize("method", ["tables", "towers"])
def test_what_was_learned_is_not_learned_again(
    problem: tuple[Observations, Features, Pitot], method: str, tmp_path: Path
) -> None:
    rows, features, towers = problem
    known = rows[(rows.workload != 29) & (rows.platform != 15) & (rows.co_runners != 29).all(axis=1)]
    trained = Pitot().fit(known[:-50], features) if method == "tables" else towers
    model = _copy(trained, tmp_path)
    further = known[-50:] if method == "tables" else known[:0]
    mine = joined(_alone(rows, "workload")[:6], further, known[:100])
    model.update(mine).save(tmp_path / "once.npz")
    assert model.remembered(mine).all()
    turned = mine[::-1]
    again = replace(turned, job=turned.job + 1000, log_ns=np.nextafter(turned.log_ns, 0))
    Pitot.load(tmp_path / "once.npz").update(again).save(tmp_path / "twice.npz")
    assert (tmp_path / "twice.npz").read_bytes() == (tmp_path / "once.npz").read_bytes()


def test_what_a_limit_ended_is_still_only_a_limit_after_the_disk(tmp_path: Path) -> None:
    """A newcomer's time-outs come first, and its times in a later update of the model as it was saved."""
    rows, features = made_up(rows=2000, platforms=10, workloads=20)
    beside = (rows.co_runners == 19).any(axis=1)
    model = Pitot().fit(rows[(rows.workload != 19) & ~beside], features)
    mine = rows[(rows.workload == 19) & (rows.n_co_runners == 0)]
    ended = replace(mine[:4], log_ns=mine.log_ns[:4] - 2.0, censored=np.ones(4, bool))
    saved = _copy(model.update(joined(ended, mine[4:5])), tmp_path)
    for one in (model, saved):
        one.update(mine[5:7])
    np.testing.assert_array_equal(saved.predict(mine), model.predict(mine))


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
