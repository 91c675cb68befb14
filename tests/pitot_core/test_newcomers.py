"""Bounds of newcomers: those who come are exchangeable with known ones made new again, not rows with rows."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from pitot_core import Observations, Pitot
from pitot_core.conformal import EACH, evenly, gamma
from tests.pitot_core.problems import made_up


def test_everyone_counts_alike_and_one_more_is_worse_than_all() -> None:
    who = np.array([3, 8, 8, 8, 8])
    scores = evenly(np.array([[5.0, 1.0, 2.0, 3.0, 4.0]]), who)[0]
    values, counts = np.unique(scores, return_counts=True)
    assert dict(zip(values.tolist(), counts.tolist(), strict=True)) == {
        1.0: EACH / 4, 2.0: EACH / 4, 3.0: EACH / 4, 4.0: EACH / 4, 5.0: EACH, 10.0: EACH
    }  # fmt: skip
    assert evenly(np.zeros((2, 0)), np.zeros(0, np.int64)).shape == (2, 0)


@pytest.mark.parametrize("eps", [0.2, 0.1, 0.05])
def test_rows_of_one_that_share_an_error_are_held_as_often_as_promised(eps: float) -> None:
    rng = np.random.default_rng(0)
    known, draws, rows = 24, 600, 12
    shared = rng.standard_normal((draws, known + 1, 1))
    scores = shared + 0.3 * rng.standard_normal((draws, known + 1, rows))
    who = np.repeat(np.arange(known), rows)
    evened, pooled = [], []
    for one in scores:
        of_known = one[:known].reshape(1, -1)
        evened.append(np.mean(one[known] <= gamma(np.sort(evenly(of_known, who)[0]), eps)))
        pooled.append(np.mean(one[known] <= gamma(np.sort(of_known[0]), eps)))
    error = 3 * np.std(evened) / math.sqrt(draws)
    assert 1 - eps - error < np.mean(evened) < 1 - eps + 1 / known + error
    assert np.mean(pooled) < np.mean(evened)


def test_bounds_of_many_newcomers_hold_whatever_number_of_rows_they_bring(tmp_path: Path) -> None:
    rows, features = made_up(platforms=16, workloads=72, rows=5000, degrees=2, noise=0.03, seed=3)
    new = np.arange(48, 72)
    ours = np.isin(rows.workload, new)
    others = ~ours & ~np.isin(rows.co_runners, new).any(axis=1)
    Pitot().fit(rows[others], features).save(tmp_path / "m.npz")
    alone = np.flatnonzero(ours & (rows.n_co_runners == 0))
    order = np.lexsort((np.random.default_rng(0).random(len(alone)), rows.workload[alone]))
    alone = alone[order]
    place = np.arange(len(alone)) - np.searchsorted(rows.workload[alone], rows.workload[alone])
    for n in (1, 12):  # of about 16 that each has: more than known ones can spare half of
        model = Pitot.load(tmp_path / "m.npz").update(rows[alone[place < n]])
        rest = rows[alone[place >= n]]
        held = np.exp(rest.log_ns) <= model.bound(rest, 0.2)
        assert 0.72 < _by_workload(rest, held) < 0.97
        assert np.isfinite(model.bound(rest, 0.05)).all()


def _by_workload(rows: Observations, held: np.ndarray) -> float:
    return float(np.mean([held[rows.workload == one].mean() for one in np.unique(rows.workload)]))
