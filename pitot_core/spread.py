"""How far a time may lie from its prediction: quantiles of held-out residuals for every cell.

A small network of the same two towers, without interference terms, learns the ξ-quantiles of log C* − log Ĉ
with the pinball loss (Eq. 13). Its rows are predictions of members that had not seen them, so that they are as
wrong as predictions of new rows are. Each number of co-runners has platform rows of its own. What is kept is
only the table of its outputs, positive and rising with ξ.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from pitot_core.losses import Loss
from pitot_core.observations import Observations, Queries
from pitot_core.settings import Settings, Sized
from pitot_core.splits import folds
from pitot_core.training import Progress, Task, train

Array = NDArray[Any]
LEAST = 0.005  # half a percent: no row is surer than that
MEMBERS = 4
FOLDS = 5


@dataclass(frozen=True)
class Spread:
    """table (D, P, W, Q): quantiles of the residual in ln units for each number of co-runners in `degrees`."""

    degrees: NDArray[np.int64]
    table: NDArray[np.float32]

    def __call__(self, queries: Queries) -> NDArray[np.float64]:
        """(M, Q), at least half a percent."""
        slab = np.clip(np.searchsorted(self.degrees, queries.n_co_runners, side="right") - 1, 0, None)
        _, n_platforms, n_workloads, levels = self.table.shape
        cell = (slab * n_platforms + queries.platform) * n_workloads + queries.workload
        return np.asarray(self.table.reshape(-1, levels).take(cell, axis=0), np.float64)

    def grown(self, workloads: int, platforms: int) -> Spread:
        """With cells for so many workloads and platforms added at the end."""
        more = ((0, 0), (0, platforms), (0, workloads), (0, 0))
        return Spread(self.degrees, np.pad(self.table, more, constant_values=LEAST))

    def with_newcomer(self, side: str, new: int, known: NDArray[np.bool_]) -> Spread:
        """A newcomer is as uncertain as its known fellows are on (geometric) average."""
        table = self.table.copy()
        if side == "workload":
            table[:, :, new] = np.exp(np.log(table[:, :, known]).mean(axis=2))
        else:
            table[:, new] = np.exp(np.log(table[:, known]).mean(axis=1))
        return Spread(self.degrees, table)

    @classmethod
    def fit(
        cls, rows: Observations, predicted: Array, x_w: Array, x_p: Array, settings: Settings,
        progress: Progress | None = None,
    ) -> tuple[Self, Array]:  # fmt: skip
        """From rows and their held-out predictions (N,) in ln ns; with the rows' own held-out quantiles (N, Q).

        The second are NaN for the rows that no member left out.
        """
        n_co = rows.n_co_runners
        degrees = np.unique(n_co)
        slab = np.searchsorted(degrees, n_co)
        stacked = Observations.of(
            rows.platform + slab * len(x_p), rows.workload, log_ns=rows.log_ns, job=rows.job
        )
        mark = np.repeat(np.eye(len(degrees)) * 2.0 - 1.0, len(x_p), axis=0)
        x_stacked = np.hstack([np.tile(x_p, (len(degrees), 1)), mark])
        fold = folds(rows, FOLDS, by=settings.split_by, seed=settings.seed + 5)
        task = Task("spread", stacked, x_w, x_stacked, np.repeat(predicted[None], MEMBERS, axis=0), fold)
        ours = replace(
            settings, interference="ignored", members=MEMBERS, folds=FOLDS, learning_rate=1e-2, schedule="cosine",
            optimiser="adamw", warm_up=30, output_gain=0.3, degree_weights=None, co_run_weight=1.0, check_every=10,
            batch=None, phi="normal",
        )  # fmt: skip
        sized = Sized(
            rank=16, learned=8, hidden=(128, 128), steps=150, weight_decay=1.0, huber_delta=0.02, batch=None
        )
        trained = train(task, ours, sized, Loss("pinball", quantiles=settings.quantiles), progress)
        levels = len(settings.quantiles)
        left = trained.platforms.reshape(MEMBERS, -1, sized.rank)
        right = trained.workloads.reshape(MEMBERS, -1, sized.rank)
        table = np.matmul(left, right.swapaxes(1, 2)).mean(axis=0)
        most = max(float(np.quantile(rows.log_ns - predicted, 0.999)), 2 * LEAST)
        table = _positive_and_rising(table.reshape(len(degrees), len(x_p), len(x_w), levels), most)
        left_out = np.full((len(rows), levels), np.nan)
        for member in range(MEMBERS):
            held = fold == member
            left_out[held] = _positive_and_rising(
                trained.predictions[member, held] - predicted[held, None], most
            )
        return cls(degrees.astype(np.int64), table.astype(np.float32)), left_out


def _positive_and_rising(quantiles: Array, most: float) -> Array:
    """No less than half a percent, and no more than nearly all residuals: rarely seen cells can extrapolate."""
    return np.asarray(np.maximum.accumulate(np.clip(quantiles, LEAST, most), axis=-1))
