"""A model's answers for the jobs it was never shown."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.dataset.store import Dataset
from harness.errors import ModelError
from harness.learn.arrays import load_training
from harness.learn.heldout import held_out
from harness.report.rows import Rows
from pitot_core import Observations, Pitot

Array = NDArray[Any]
EPSILONS = (0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3)


@dataclass(frozen=True)
class Judged:
    """observations holds every row a model could learn from; test and at are the indices of the held-out
    rows in it and in `Rows`.
    """

    model: Pitot
    observations: Observations
    test: NDArray[np.int64]
    at: NDArray[np.int64]

    @cached_property
    def rows(self) -> Observations:
        return self.observations[self.test]

    @cached_property
    def measured_ns(self) -> NDArray[np.float64]:
        return np.exp(self.rows.log_ns)

    @cached_property
    def predicted_ns(self) -> NDArray[np.float64]:
        return self.model.predict(self.rows)

    @cached_property
    def error(self) -> NDArray[np.float64]:
        """(n,) |predicted − measured| / measured of each held-out row; its mean is the MAPE."""
        return np.asarray(np.abs(self.predicted_ns / self.measured_ns - 1.0))

    @cached_property
    def calibrated(self) -> NDArray[np.bool_]:
        """(n,) whether the model has calibrated bounds for the row's number of co-runners."""
        return np.isin(self.rows.n_co_runners, list(self.model.pools()))

    @cached_property
    def bounds_ns(self) -> dict[float, NDArray[np.float64]]:
        """Bounds in ns by ε; NaN where the number of co-runners has no calibration rows, infinite where it
        has too few.
        """
        found = {}
        for eps in EPSILONS:
            bound = np.full(len(self.rows), np.nan)
            if self.calibrated.any():
                bound[self.calibrated] = self.model.bound(self.rows[self.calibrated], eps)
            found[eps] = bound
        return found


def judge(dataset: Dataset, rows: Rows, model: Pitot) -> Judged:
    """Raises ModelError where dataset and model do not belong together, DatasetError where nothing is finished."""
    everything, features = load_training(dataset)
    observations = everything[everything.measured]  # the others come last, so row numbers stay
    at = np.flatnonzero(rows.measured)
    if len(at) != len(observations) or not np.array_equal(np.log(rows.time_ns[at]), observations.log_ns):
        raise ModelError("the dataset changed while it was read; write the report again.")
    test = held_out(model, everything, features)
    test = test[model.knows(observations[test])]
    return Judged(model, observations, test, at[test])
