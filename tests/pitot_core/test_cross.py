"""CV+: the order statistic of all parts together."""

from __future__ import annotations

import numpy as np
import pytest

from pitot_core.conformal import order
from pitot_core.cross import CrossPool
from pitot_core.settings import MOST_CALIBRATE
from pitot_core.splits import enough_of
from tests.pitot_core.problems import made_up


@pytest.mark.parametrize("scaled", [True, False])
def test_a_bound_is_the_order_statistic_of_what_every_part_says(scaled: bool) -> None:
    rng = np.random.default_rng(0)
    residual, spread = rng.standard_cauchy(301), rng.gamma(2.0, size=301)
    part, by_part, asked = rng.integers(0, 5, 301), rng.normal(15, 1, (5, 50)), rng.gamma(2.0, size=50)
    pool = CrossPool(residual, spread, part)
    before = np.full(50, -np.inf)
    for eps in (0.9, 0.3, 0.1, 0.01):
        away = residual[:, None] / spread[:, None] * asked if scaled else residual[:, None]
        every = np.sort(by_part[part] + away, axis=0)
        found = pool.bound(by_part, asked if scaled else None, eps)
        np.testing.assert_allclose(found, every[order(301, eps) - 1])
        assert np.all(found >= before)
        before = found
    assert np.isinf(pool.bound(by_part, asked, 0.001)).all()


def test_no_more_rows_calibrate_than_make_a_bound_better() -> None:
    rows, _ = made_up(platforms=20, workloads=40, rows=9000, degrees=2)
    enough = enough_of(rows, 1000, seed=1)
    for n in (0, 1):
        assert np.count_nonzero(enough & (rows.n_co_runners == n)) == pytest.approx(1000, rel=0.15)
    assert not np.isin(rows.job[enough], rows.job[~enough]).any()
    assert enough_of(rows, MOST_CALIBRATE * 10).all()
