"""The baselines on problems whose answer is known."""

from __future__ import annotations

import numpy as np

from pitot_core import Baseline, Observations
from tests.pitot_core.problems import made_up


def test_log_linear_solves_a_two_by_two_problem() -> None:
    rows = Observations.of([0, 0, 1], [0, 1, 0], log_ns=[10.0, 12.0, 11.0])
    fitted = Baseline.fit(rows, 2, 2, startup=False, ridge=1e-9)
    np.testing.assert_allclose(fitted.table(), [[10.0, 12.0], [11.0, 13.0]], atol=1e-6)


def test_start_up_plus_work_is_found_where_times_are_made_of_them() -> None:
    j, i = np.divmod(np.arange(60), 20)
    start, speed, work = np.array([14.0, 15.0, 13.0]), np.array([0.0, -1.0, 1.0]), np.linspace(8, 20, 20)
    truth = np.logaddexp(start[j], speed[j] + work[i])
    fitted = Baseline.fit(Observations.of(j, i, log_ns=truth), 3, 20, ridge=1e-6)
    np.testing.assert_allclose(fitted(j, i), truth, atol=1e-3)
    assert np.all(fitted.startup <= start + 1e-3)  # a constant share of work may count as start-up or not


def test_a_slower_workload_leaves_the_residual_alone() -> None:
    """METHOD, Eq. 3: multiplying a workload's times by γ multiplies C̄ by γ."""
    rows, _ = made_up(noise=0.3)
    slower = rows.log_ns + np.where(rows.workload == 4, np.log(5.0), 0.0)
    before = Baseline.fit(rows, 6, 12, startup=False, ridge=1e-9)
    after = Baseline.fit(
        Observations(rows.platform, rows.workload, rows.co_runners, slower, rows.job),
        6,
        12,
        startup=False,
        ridge=1e-9,
    )
    alone = rows[rows.n_co_runners == 0]
    shift = after(alone.platform, alone.workload) - before(alone.platform, alone.workload)
    np.testing.assert_allclose(shift, np.where(alone.workload == 4, np.log(5.0), 0.0), atol=1e-5)


def test_a_platform_seen_only_beside_others_still_gets_a_level() -> None:
    rows, _ = made_up(noise=0.0)
    kept = rows[(rows.platform != 3) | (rows.n_co_runners > 0)]
    fitted = Baseline.fit(kept, 6, 12)
    unseen = rows[(rows.platform == 3) & (rows.n_co_runners == 0)]
    assert np.median(np.abs(fitted(unseen.platform, unseen.workload) - unseen.log_ns)) < 0.3
