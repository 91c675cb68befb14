"""What a dataset cannot support, each as one sentence with what to collect next."""

from __future__ import annotations

import math

import numpy as np

from harness.spelling import noun, several
from pitot_core import Features, Observations, Pitot, binomial_interval

USUAL_EPS = 0.05  # what `harness predict` asks for
TOLD_EPS = 0.1
FEW_TEST_ROWS = 50


def unsupported(model: Pitot, rows: Observations, features: Features, test: Observations) -> list[str]:
    """Sentences for a person who has just trained on these rows; none where there is nothing to say."""
    told = []
    platforms, workloads = np.unique(rows.platform), np.unique(rows.workload)
    if len(platforms) == 1:
        told.append(
            f"Every job ran on {features.platform_names[platforms[0]]}: nothing is known of other engines or devices; "
            "collect on a second one."
        )
    if len(workloads) == 1:
        told.append(
            f"Every job measured {features.workload_names[workloads[0]]}: nothing is known of other workloads; collect "
            "a suite of them."
        )
    only_beside = np.setdiff1d(rows.co_runners[rows.co_runners >= 0], workloads)
    if len(only_beside):
        name = features.workload_names[only_beside[0]]
        more = f" and {len(only_beside) - 1} more" if len(only_beside) > 1 else ""
        told.append(
            f"{name}{more} ran beside others but was never measured itself: it cannot be predicted, nor what runs "
            "beside it; measure it alone."
        )
    if not np.any(rows.n_co_runners):
        told.append(
            "No job had co-runners: what runs beside others is predicted as if alone, without a bound; collect jobs of "
            "two or more workloads."
        )
    elif not np.any(rows.n_co_runners == 0):
        told.append("No workload ran alone: collect jobs of one workload too.")
    for n, pool in model.pools().items():
        if pool.smallest_eps > USUAL_EPS:
            company = f"with {several(n, 'co-runner')}" if n else "alone"
            missing = math.ceil(1 / USUAL_EPS) - 1 - pool.rows
            told.append(
                f"{several(pool.rows, 'row')} {company} "
                f"{noun(pool.rows, 'calibrates', 'calibrate')} no bound below ε = "
                f"{pool.smallest_eps:.2g}; for ε = {USUAL_EPS:g} collect at least {missing} more."
            )
    if not len(test):
        told.append(
            "No job could be held out for testing, since each is all that is known of its workload or platform: how "
            "good the model is, is not known; measure workloads on more than one platform, or more than once."
        )
    elif len(test) < FEW_TEST_ROWS:
        rough = f"The accuracy comes from {several(len(test), 'row')} and is rough"
        told.append(f"{rough}{_held(model, test)}; collect more to know it better.")
    return told


def few_tell(held: int, count: int) -> str:
    """That so many of a few bounds held tells little, as half a sentence; nothing where they are not few."""
    if not 0 < count < FEW_TEST_ROWS:
        return ""
    low, high = (f"{100 * end:.0f}" for end in binomial_interval(held, count, confidence=0.9))
    often = f"bounds that hold anywhere from {low} to {high} % of the time would often do the same"
    return f"{held} of {count} tells little, since {often}"


def _held(model: Pitot, test: Observations) -> str:
    """How many finite bounds held, and what that says; nothing where there are none."""
    some = test[test.measured]
    some = some[model.knows(some) & np.isin(some.n_co_runners, list(model.pools()))]
    bound = model.bound(some, TOLD_EPS) if len(some) else np.zeros(0)
    finite = np.isfinite(bound)
    if not finite.any():
        return ""
    held = int(np.count_nonzero((bound >= np.exp(some.log_ns))[finite]))
    return f": that bounds at ε = {TOLD_EPS:g} held in {few_tell(held, int(finite.sum()))}"
