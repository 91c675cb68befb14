"""A quantile of one row is that of many rows, and NumPy's."""

from __future__ import annotations

import numpy as np
import pytest

from harness.dataset.quantiles import quantile, quantile_of


@pytest.mark.parametrize("share", [0.0, 0.5, 0.95, 1.0])
def test_one_row_and_many_rows_have_numpys_quantiles(share: float) -> None:
    draw = np.random.default_rng(0)
    rows = [sorted(draw.integers(0, 10**12, count).tolist()) for count in (1, 2, 3, 20, 21, 50)]
    values, row = np.concatenate(rows), np.repeat(np.arange(len(rows)), [len(one) for one in rows])
    expected = [np.quantile(one, share) for one in rows]
    assert [quantile_of(one, share) for one in rows] == pytest.approx(expected, rel=1e-12)
    assert quantile(values, row, len(rows), share).tolist() == pytest.approx(expected, rel=1e-12)
