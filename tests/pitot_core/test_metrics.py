from __future__ import annotations

import math

import numpy as np
import pytest

from pitot_core import binomial_interval, coverage, mape, mape_reference, margin, width_reference


def test_metrics_on_two_rows_by_hand() -> None:
    measured, predicted = [100.0, 200.0], [150.0, 100.0]
    found = (mape(predicted, measured), mape_reference(predicted, measured), margin(predicted, measured))
    assert found == pytest.approx(((0.5 + 0.5) / 2, (1 / 3 + 1.0) / 2, 0.25))
    assert width_reference(predicted, measured) == pytest.approx((1 / 3 + 1.0) / 2)


def test_an_infinite_bound_has_an_infinite_margin() -> None:
    assert margin([math.inf], [1.0]) == math.inf


def test_clopper_pearson_matches_the_beta_quantiles() -> None:
    from scipy.stats import beta

    for covered, rows in ((0, 10), (10, 10), (90, 100), (950, 1000)):
        low, high = binomial_interval(covered, rows, confidence=0.99)
        exact_low = 0.0 if covered == 0 else beta.ppf(0.005, covered, rows - covered + 1)
        exact_high = 1.0 if covered == rows else beta.ppf(0.995, covered + 1, rows - covered)
        assert (low, high) == pytest.approx((exact_low, exact_high), abs=1e-9)


def test_coverage_counts_a_time_equal_to_its_bound() -> None:
    found = coverage([1.0, 2.0, 3.0, 4.0], [1.0, 2.0, 3.0, 5.0])
    assert (found.share, found.covered, found.rows) == (0.75, 3, 4)
    assert found.low < 0.75 < found.high


def test_no_rows_have_no_coverage() -> None:
    assert math.isnan(coverage(np.zeros(0), np.zeros(0)).share)


def test_rows_of_a_job_that_are_late_together_count_as_one() -> None:
    rng = np.random.default_rng(0)
    late = rng.random(500) < 0.1
    held = np.repeat(~late, 4)
    bound, measured, job = np.where(held, 2.0, 0.5), np.ones(2000), np.repeat(np.arange(500), 4)
    alone, together = coverage(bound, measured), coverage(bound, measured, job=job)
    assert alone.share == together.share
    assert together.independent == pytest.approx(500, rel=0.01)
    assert together.high - together.low == pytest.approx(2 * (alone.high - alone.low), rel=0.1)
    mixed = coverage(np.where(rng.permutation(held), 2.0, 0.5), measured, job=job)
    assert mixed.independent > 1500
    assert coverage(np.full(8, 2.0), np.ones(8), job=np.zeros(8)).independent == 8
