"""Which rows the misses fall on: shares of tenths of spread, and what they leave of the margin."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from pitot_core import Pitot
from pitot_core.allotment import MOST, SELDOM, SHARES, TENTHS, Allotment, cheapest
from pitot_core.archive import read, write
from pitot_core.candidates import FORMER
from pitot_core.curves import Curves
from tests.pitot_core.problems import made_up


def drawn(seed: int, n: int = 20_000) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Residuals, spreads that are right, and devices that are all alike."""
    rng = np.random.default_rng(seed)
    spread = np.exp(rng.normal(-3.5, 1.0, n))
    return spread * (rng.exponential(size=n) - 0.5), spread, rng.integers(0, 3, n)


@pytest.mark.parametrize("eps", [0.1, 0.05, 0.01])
def test_equal_tenths_have_equal_shares_and_a_dear_one_is_missed_more_but_within_the_limit(
    eps: float,
) -> None:
    costs = -np.log(1 - SHARES)
    equal = SHARES[cheapest(np.tile(costs, (TENTHS, 1)), np.array([eps]), MOST[0])[0]]
    np.testing.assert_allclose(equal, 1 - eps, atol=0.1 * eps)
    shares = SHARES[cheapest(np.geomspace(0.01, 1, TENTHS)[:, None] * costs, np.array([eps]), MOST[0])[0]]
    assert shares.mean() >= 1 - eps
    assert np.all(np.diff(shares) <= 0)
    assert shares[-1] == pytest.approx(1 - min(2 * eps, max(eps + MOST[0], SELDOM)), abs=0.1 * eps)


def test_what_is_allotted_lowers_the_margin_and_keeps_new_rows_of_every_tenth_within_the_limit() -> None:
    residual, spread, device = drawn(0)
    curves = Curves.fit(residual / spread, device, 3)
    allotment = Allotment.fit(residual, spread, spread, device, curves, beside=True)
    assert allotment is not None
    residual, spread, device = drawn(1)
    at_eps = -np.log(0.1)
    bound = spread * curves.stretch(allotment.places(at_eps, spread), device)
    even = spread * curves.stretch(np.full(len(spread), at_eps), device)
    missed = [np.mean(residual[rows] > bound[rows]) for rows in np.array_split(np.argsort(spread), TENTHS)]
    assert np.mean(missed) == pytest.approx(0.1, abs=0.01)
    assert max(missed) < 0.1 + MOST[1] + 0.02  # of which two standard deviations are chance
    margins = [np.mean(np.maximum(one - residual, 0)) for one in (bound, even)]
    assert margins[0] < 0.95 * margins[1]


def test_scores_and_places_are_each_others_inverse_and_rise_together() -> None:
    residual, spread, device = drawn(0)
    curves = Curves.fit(residual / spread, device, 3)
    allotment = Allotment.fit(residual, spread, spread, device, curves, beside=False)
    assert allotment is not None
    some = spread[:50]
    scores = np.array([-1.0, 0.5, 2.0, 2.31, 5.0, 9.0])
    places = np.stack([allotment.places(score, some) for score in scores])
    assert np.all(np.diff(places, axis=0) > 0)
    for score, place in zip(scores, places, strict=True):
        np.testing.assert_allclose(allotment.score(place, some), score, rtol=1e-6)
    assert np.isinf(allotment.places(np.inf, some)).all()
    few = residual[:1000], spread[:1000], spread[:1000], device[:1000]
    assert Allotment.fit(*few, curves, beside=False) is None


def test_a_model_of_before_there_were_allotments_is_read_and_its_bounds_are_those_it_had(
    tmp_path: Path,
) -> None:
    rows, features = made_up(rows=900)
    model = Pitot(calibration="split").fit(rows, features)
    model.save(tmp_path / "new.npz")
    arrays = read(tmp_path / "new.npz", None)
    header = json.loads(arrays["header"].tobytes())
    header["format"], header["bounds"]["scales"] = 4, True
    for n, pool in model.bounds.pools.items():  # type: ignore[union-attr]
        scores = pool.scores[[int(pool.choice[0])]]
        arrays[f"pool{n}_scores"] = np.tile(scores, (len(FORMER) + 1, 1))
        arrays[f"pool{n}_choice"] = np.full(len(pool.choice), 1 + FORMER.index((1.0, 1.0)))
    arrays["header"] = np.frombuffer(json.dumps(header).encode(), np.uint8)
    write(tmp_path / "old.npz", arrays)
    old = Pitot.load(tmp_path / "old.npz")
    for n in model.pools():
        some = rows[rows.n_co_runners == n][:50]
        np.testing.assert_allclose(old.bound(some, 0.1), model.bound(some, 0.1), rtol=1e-5)
