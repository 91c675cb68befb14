"""Rows that are merged as they come: the same fit, the same bytes however they are cut, and fair sides."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pitot_core import Gathered, Gathering, Observations, Pitot, joined
from pitot_core.keys import packed, sorted_runs, unpacked
from pitot_core.tables import Tables
from tests.pitot_core.problems import made_up

SHAPE = (6, 12)
COLUMNS = ("platform", "workload", "co_runners", "log_ns", "job", "measured", "times")


def repeated(rows: int = 400, times: int = 5) -> Observations:
    """Every row of a problem measured several times: a few wild ones, and some limits."""
    once, _ = made_up(rows=rows, noise=0.0)
    rng = np.random.default_rng(0)
    every = joined(*[once] * times)
    log_ns = every.log_ns + 0.02 * rng.standard_normal(len(every))
    log_ns[rng.random(len(every)) < 0.02] += 2.0
    return replace(every, log_ns=log_ns, job=np.arange(len(every)), censored=rng.random(len(every)) < 0.05)


def gathered(rows: Observations, cuts: int, **shares: float) -> Gathered:
    gathering = Gathering(SHAPE, many=0, **shares)  # type: ignore[arg-type]
    for part in np.array_split(np.arange(len(rows)), cuts):
        gathering.add(rows[part])
    return gathering.finish()


def same(one: Observations, other: Observations) -> bool:
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in COLUMNS)


def test_merged_rows_say_what_all_rows_say(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "pitot_core.tables.noise.FEW_ROWS", 10**6
    )  # rows are divided otherwise where they are merged
    rows, (_, features) = repeated(times=40), made_up(rows=400)
    merged = gathered(rows, 3, calibration=0.0).training
    assert merged.times.sum() == len(rows)
    assert len(merged) < 0.6 * len(rows)
    by_count, by_row = (Tables.solved(some, features).log_ns(rows) for some in (merged, rows))
    np.testing.assert_allclose(by_count, by_row, atol=2e-4)
    monkeypatch.setattr("pitot_core.tables.rows.BIN", 1e-7)  # no two rows are equal
    monkeypatch.setattr("pitot_core.tables.rows.BINS", 10**9)
    np.testing.assert_allclose(by_count, Tables.solved(rows, features).log_ns(rows), atol=2e-3)


@pytest.mark.parametrize("most", [10**7, 500])
def test_cuts_do_not_move_a_bit(most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pitot_core.gathering.MOST", most)
    monkeypatch.setattr("pitot_core.gathering.HELD", 300)
    monkeypatch.setattr("pitot_core.gathering.PENDING", 100)
    rows = repeated()
    whole, cut = (gathered(rows, cuts, calibration=0.1, test=0.2) for cuts in (1, 17))
    for name in ("training", "calibration", "test"):
        assert same(getattr(whole, name), getattr(cut, name))
    assert len(whole.calibration) + len(whole.test) <= 300  # type: ignore[arg-type]
    assert (whole.share, whole.rows) == (cut.share, len(rows))
    assert np.count_nonzero(whole.training.n_co_runners) <= most
    assert (whole.share < 1.0) == (most == 500)


def test_a_sample_keeps_rows_alone_and_both_halves_of_a_pair(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pitot_core.gathering.MOST", 200)
    rows, _ = made_up(rows=400)
    pairs = rows[rows.n_co_runners == 1]
    other = replace(
        pairs,
        workload=pairs.co_runners[:, 0],
        co_runners=np.column_stack([pairs.workload, *-np.ones((2, len(pairs)), int)]),
    )
    kept = gathered(joined(rows, other), 1, calibration=0.0).training
    alone = rows[rows.n_co_runners == 0]
    assert kept.times[kept.n_co_runners == 0].sum() == len(alone)
    both = kept[kept.n_co_runners == 1]
    sets = {
        (p, w, k)
        for p, w, k in zip(
            both.platform.tolist(), both.workload.tolist(), both.co_runners[:, 0].tolist(), strict=True
        )
    }
    assert sets and {(p, k, w) for p, w, k in sets} == sets


def test_sides_are_fair() -> None:
    """No job is on two sides, no copy of a training row judges, and what was chosen or cut off only trains."""
    rows = repeated()
    copies = replace(rows[:100], job=np.arange(10_000, 10_100))
    rare = Observations.of([5] * 3, [11] * 3, log_ns=[19.0, 19.5, 20.0], job=[7, 8, 9])
    rows = replace(joined(rows[rows.workload != 11], copies[copies.workload != 11], rare), chosen=None)
    rows = rows[((rows.co_runners != 11) | (rows.co_runners < 0)).all(axis=1)]
    chosen = replace(rows, chosen=np.arange(len(rows)) % 2 == 0)
    found = gathered(chosen, 4, calibration=0.3, test=0.4)
    assert found.calibration is not None and found.test is not None
    assert 11 in found.training.workload
    seen = {
        (key, time)
        for key, time in zip(_keys(found.training), np.round(found.training.log_ns, 8).tolist(), strict=True)
    }
    fair = set(rows.job[~chosen.chosen].tolist())  # type: ignore[index]
    for side in (found.calibration, found.test):
        assert side.censored is None
        assert set(side.job.tolist()) <= fair
        assert not seen & set(zip(_keys(side), np.round(side.log_ns, 8).tolist(), strict=True))
    assert not set(found.calibration.job.tolist()) & set(found.test.job.tolist())


def _keys(rows: Observations) -> list[tuple[int, ...]]:
    return [tuple(row) for row in np.column_stack([rows.platform, rows.workload, rows.co_runners]).tolist()]


def test_a_model_of_batches_is_the_model_of_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    rows, features = made_up(rows=900)
    arrow = replace(rows, job=np.arange(900) // 2).to_arrow(features)
    named = arrow.set_column(arrow.column_names.index("job"), "job", [[f"job {k // 2}" for k in range(900)]])
    for many in (10**6, 200):
        monkeypatch.setattr("pitot_core.gathering.MANY", many)
        whole = Pitot().fit(named, features)
        cut = Pitot().fit(iter(named.to_batches(max_chunksize=70)), features)
        np.testing.assert_array_equal(whole.predict(rows), cut.predict(rows))
        np.testing.assert_array_equal(whole.bound(rows, 0.2), cut.bound(rows, 0.2))
        assert (whole.rows_used, whole.fingerprint) == (cut.rows_used, cut.fingerprint)
    assert whole.pools()[0].kind == "split"


def test_numbers_too_large_for_one_word_are_two() -> None:
    sizes = [10**9, 10**9, 10**9, 7]
    rng = np.random.default_rng(0)
    columns = [rng.integers(0, min(size, 3), 50) + size - min(size, 3) for size in sizes]
    words = packed(list(zip(columns, sizes, strict=True)))
    assert len(words) == 2
    for found, column in zip(unpacked(words, sizes), columns, strict=True):
        np.testing.assert_array_equal(found, column)
    order, begins = sorted_runs(words)
    assert len(begins) == len(np.unique(np.column_stack(columns), axis=0))
    assert order.tolist() == np.lexsort(columns[::-1]).tolist()
