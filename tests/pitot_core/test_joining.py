"""Rows that several processes gathered come to what one of them would have made of all, to the last bit."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from pitot_core import Gathering, Observations
from tests.pitot_core.test_gathering import SHAPE, repeated, same

SIDES = ("training", "calibration", "test")


def filled(gathering: Gathering, rows: Observations, cuts: int) -> Gathering:
    """As it comes back from another process."""
    for part in np.array_split(np.arange(len(rows)), cuts):
        gathering.add(rows[part])
    return pickle.loads(pickle.dumps(gathering))


@pytest.mark.parametrize("limits", [(10**7, 10**6), (500, 300), (500, 20)])
@pytest.mark.parametrize("many", [0, 150, 10**6])
def test_joined_is_what_one_would_have_gathered(
    limits: tuple[int, int], many: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pitot_core.gathering.MOST", limits[0])
    monkeypatch.setattr("pitot_core.gathering.HELD", limits[1])
    monkeypatch.setattr("pitot_core.gathering.PENDING", 100)
    rows = repeated()
    asked = {"calibration": 0.1, "test": 0.2, "seed": 1, "many": many}
    whole = filled(Gathering(SHAPE, **asked), rows, 9).finish()
    for shuffle in range(3):
        order = np.random.default_rng(shuffle).permutation(len(rows))
        joined = Gathering(SHAPE, **asked)
        for number, part in enumerate(np.split(order, [30, 170, 900, 901])):
            # The one after the other, or some begun before others were joined; all of different sizes.
            begun = joined.fresh() if number % 2 else Gathering(SHAPE, **asked)
            joined.join(filled(begun, rows[part], 1 + number))
        found = joined.finish()
        assert (found.rows, found.share) == (len(rows), whole.share)
        for side in SIDES if many < len(rows) else ():
            assert same(getattr(found, side), getattr(whole, side))
        if many > len(rows):
            assert np.array_equal(np.sort(found.training.log_ns), np.sort(rows.log_ns))
    if many < len(rows) and limits[0] == 500:
        assert whole.share < 1.0


def test_what_is_fresh_keeps_no_more_than_there_is_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pitot_core.gathering.MOST", 200)
    monkeypatch.setattr("pitot_core.gathering.HELD", 40)
    rows = repeated()
    first = filled(Gathering(SHAPE, test=0.3, many=0), rows[:1000], 1)
    fresh = first.fresh()
    assert (fresh.rows, fresh.share, fresh.zone) == (0, first.share, first.zone)
    assert first.share < 1.0 and first.zone < 0.4
