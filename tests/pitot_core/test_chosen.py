"""Rows that were measured for what they teach: they train, and only a fair sample tests and calibrates."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pitot_core import Observations, Pitot, split
from tests.pitot_core.problems import made_up

EPS = 0.1


def lopsided(seed: int = 0) -> tuple[Observations, Observations, object]:
    """Half of the platforms are ten times as noisy, and what was chosen is mostly of the others; and fair test rows."""
    rows, features = made_up(platforms=6, workloads=30, rows=9000, noise=0.0, degrees=1, seed=seed)
    rng = np.random.default_rng(seed)
    noisy = rows.platform % 2 == 1
    log_ns = rows.log_ns + np.where(noisy, 0.1, 0.01) * rng.standard_normal(len(rows))
    test = rng.random(len(rows)) < 0.3
    fair = rng.random(len(rows)) < 0.25
    seen = ~test & (fair | ~noisy | (rng.random(len(rows)) < 0.2))
    job = np.arange(len(rows))  # each a measurement of its own
    whole = replace(rows, log_ns=log_ns, job=job, chosen=~fair)
    return whole[seen], replace(whole[test], chosen=None), features


def held(train: Observations, test: Observations, features: object, **options: float) -> float:
    model = Pitot(bounds="plain", **options).fit(train, features)  # type: ignore[arg-type]
    return float(np.mean(np.exp(test.log_ns) <= model.bound(test, EPS)))


def test_bounds_hold_where_only_the_fair_sample_calibrates_and_fail_where_chosen_rows_do_too() -> None:
    """Steady platforms always hold, so that what misses is of noisy ones, which are rare among the chosen rows.

    How often bounds then hold is known, and how far a share of so many rows scatters about it: calibrated by a tenth
    of them it would be too far for the two to be told apart on every draw.
    """
    train, test, features = lopsided()
    assert train.chosen is not None
    deviation = np.sqrt(EPS * (1 - EPS) * (1 / train.fair.sum() + 1 / len(test)))  # of a beta-binomial share
    assert held(train, test, features) == pytest.approx(1 - EPS, abs=3 * deviation)
    rarer = float(np.mean(test.platform % 2 == 1) / np.mean(train.platform % 2 == 1))
    lower, share = 1 - EPS * rarer, 0.4
    of_lower = np.hypot(
        rarer * np.sqrt(EPS * (1 - EPS) / (share * len(train))), np.sqrt(lower * (1 - lower) / len(test))
    )
    unfair = held(replace(train, chosen=None), test, features, calibration_share=share)
    assert unfair == pytest.approx(lower, abs=3 * of_lower)
    assert lower + 3 * of_lower < 1 - EPS - 3 * deviation


def test_few_rows_are_calibrated_by_the_fair_ones_alone() -> None:
    train, _, features = lopsided()
    few = train[:1500]
    model = Pitot().fit(few, features)  # type: ignore[arg-type]
    assert model.pools()[0].kind == "cross"
    assert model.pools()[0].rows == few.fair.sum()


def test_chosen_rows_are_in_no_part_but_training() -> None:
    train, _, _ = lopsided()
    parts = split(train, train=0.4, calibration=0.3, test=0.3)
    for part in (parts.calibration, parts.test):
        assert train.fair[part].all()
        assert len(part) == pytest.approx(0.3 * train.fair.sum(), abs=2)
    assert sum(map(len, parts)) == len(train)
