"""Observations, features and splits: what they accept, refuse and promise."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pitot_core import (
    Features,
    FeaturesError,
    Observations,
    ObservationsError,
    Pitot,
    Queries,
    SplitError,
    folds,
    split,
)
from pitot_core.keys import hashed, numbers_of_jobs
from tests.pitot_core.problems import made_up


def test_co_runners_are_sorted_and_counted() -> None:
    queries = Queries.of([0, 0, 0], [1, 1, 1], [[-1, 5, 2], [3, -1, -1], [-1, -1, -1]])
    assert queries.co_runners.tolist() == [[5, 2, -1], [3, -1, -1], [-1, -1, -1]]
    assert (queries.n_co_runners.tolist(), queries.degree.tolist()) == ([2, 1, 0], [3, 2, 1])


def test_mirrored_rows_of_one_job_share_its_number() -> None:
    rows = Observations.of([0, 0, 0, 1], [1, 2, 1, 1], [2, 1, -1, 2], log_ns=[10.0] * 4)
    assert rows.job[0] == rows.job[1]
    assert len(set(rows.job.tolist())) == 3


def test_rows_are_chosen_by_mask_slice_or_numbers() -> None:
    rows, _ = made_up(rows=100)
    chosen = rows[rows.platform == 2]
    assert type(chosen) is Observations
    assert set(chosen.platform.tolist()) == {2}
    assert len(rows[:7]) == 7
    np.testing.assert_array_equal(rows[np.array([3, 1])].log_ns, rows.log_ns[[3, 1]])


def test_rows_above_a_limit_are_marked_kept_by_choosing_and_never_calibrated_on() -> None:
    rows, features = made_up(rows=400)
    assert rows.censored is None
    assert rows.measured.all()
    limit = np.quantile(rows.log_ns, 0.9)
    cut = Observations(
        rows.platform,
        rows.workload,
        rows.co_runners,
        np.minimum(rows.log_ns, limit),
        rows.job,
        rows.log_ns > limit,
    )
    assert cut.censored is not None
    np.testing.assert_array_equal(cut[::3].measured, (rows.log_ns <= limit)[::3])
    assert cut[cut.measured].censored is not None
    assert not cut[cut.measured].censored.any()
    model = Pitot("towers", steps=3, calibration="split", calibration_share=0.3).fit(cut, features)
    assert model.rows_used == {
        "training": cut.measured.sum() - len(model.calibration_rows), "calibration": len(model.calibration_rows)
    }  # fmt: skip
    assert len(model.calibration_rows) > 0
    assert model.calibration_rows.log_ns.max() < limit


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"censored": [1]}, "censored must be true or false"),
        ({"log_ns": [np.nan]}, "row 0 has log_ns"),
        ({"log_ns": [-1.0]}, "row 0 has log_ns"),
        ({"log_ns": [1.0, 2.0]}, "one of each per row"),
        ({"platform": [-1]}, "negative"),
        ({"workload": [0.5]}, "whole row numbers"),
        ({"co_runners": [[0, 1, 2, 3]]}, "at most 3 co-runners"),
        ({"co_runners": [[-2]]}, "or −1 where there is none"),
    ],
)
def test_rows_that_make_no_sense_are_refused(change: dict, sentence: str) -> None:
    given_rows = {"platform": [0], "workload": [0], "co_runners": [[1]], "log_ns": [10.0]} | change
    with pytest.raises(ObservationsError, match=sentence):
        Observations.of(
            given_rows.pop("platform"), given_rows.pop("workload"), given_rows.pop("co_runners"), **given_rows
        )


def test_features_must_fit_their_names() -> None:
    with pytest.raises(FeaturesError, match="2 rows of workloads features but 1 names"):
        Features(np.zeros((2, 1)), np.zeros((1, 1)), ("a",), ("b",))
    with pytest.raises(FeaturesError, match="feature 0 of 'a' is not a finite number"):
        Features(np.full((1, 1), np.inf), np.zeros((1, 1)), ("a",), ("b",))


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), train=st.floats(0.05, 0.9), by=st.sampled_from(["job", "row"]))
def test_a_split_is_disjoint_keeps_jobs_together_and_everything_known(
    seed: int, train: float, by: str
) -> None:
    rows, _ = made_up(rows=300, seed=seed % 5)
    parts = split(rows, train=train, calibration=(1 - train) / 2, test=(1 - train) / 2, by=by, seed=seed)
    together = np.concatenate(parts)
    assert len(np.unique(together)) == len(together)
    assert set(rows.platform[parts.train]) == set(rows.platform)
    assert set(rows.workload[parts.train]) == set(rows.workload)
    if by == "job":
        sides = [set(rows.job[part].tolist()) for part in parts]
        assert not sides[0] & sides[3]
        assert not sides[2] & sides[3]


def test_a_split_has_about_the_shares_asked_for_in_every_degree() -> None:
    rows, _ = made_up(rows=3000, platforms=12, workloads=40)
    parts = split(rows, train=0.5, validation=0.1, calibration=0.1, test=0.3, seed=1)
    for n in range(4):
        shares = [np.mean(rows.n_co_runners[part] == n) * len(part) for part in parts]
        np.testing.assert_allclose(np.array(shares) / sum(shares), [0.5, 0.1, 0.1, 0.3], atol=0.03)


@pytest.mark.parametrize(
    "shares", [{"train": 0.0}, {"train": 0.9, "test": 0.2}, {"train": 0.5, "test": -0.1}]
)
def test_shares_that_make_no_sense_are_refused(shares: dict) -> None:
    with pytest.raises(SplitError, match="shares"):
        split(made_up(rows=100)[0], **shares)


def test_folds_keep_jobs_together_and_are_balanced() -> None:
    rows, _ = made_up(rows=1000)
    fold = folds(rows, 5, seed=3)
    assert all(len(np.unique(fold[rows.job == job])) == 1 for job in np.unique(rows.job)[:50])
    counts = np.bincount(fold[rows.n_co_runners == 1])
    assert counts.max() < 1.3 * counts.min()


def test_copies_of_a_measurement_are_one_job_in_every_split() -> None:
    rows, _ = made_up(rows=400)
    again = Observations(
        np.concatenate([rows.platform, rows.platform[:100]]),
        np.concatenate([rows.workload, rows.workload[:100]]),
        np.concatenate([rows.co_runners, rows.co_runners[:100]]),
        np.concatenate([rows.log_ns, rows.log_ns[:100]]),
        np.arange(500),
    )
    parts = split(again, train=0.5, test=0.5, seed=3)
    side = np.zeros(500, int)
    side[parts.test] = 1
    np.testing.assert_array_equal(side[:100], side[400:])
    fold = folds(again, 5, seed=1)
    np.testing.assert_array_equal(fold[:100], fold[400:])
    with pytest.raises(SplitError, match="seed"):
        split(again, train=0.5, test=0.5, seed=-1)


def test_a_text_has_the_same_hash_in_whatever_batch_and_type() -> None:
    texts = ["", "a", "b", "ab", "aaaaaaaa", "aaaaaaaa\0", "ä" * 40, *(f"{k:032x}" for k in range(300))]
    column = pa.array(texts)
    found = hashed(column)
    assert len(set(found.tolist())) == len(texts)
    parts = pa.chunked_array([column[:3], column[3:3], column[3:]])
    for same in (parts, column.cast(pa.large_string()), column.dictionary_encode()):
        np.testing.assert_array_equal(hashed(same), found)
    np.testing.assert_array_equal(hashed(column[7:]), found[7:])
    np.testing.assert_array_equal(numbers_of_jobs(column), (found >> np.uint64(1)).astype(np.int64))
    np.testing.assert_array_equal(numbers_of_jobs(pa.array([5, 2])), [5, 2])
