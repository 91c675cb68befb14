"""A neural network on the features of platform and workload, with one more per co-runner (METHOD section 8)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pitot_core.baseline import Baseline
from pitot_core.baselines.mlp import Perceptron, train_on_batches
from pitot_core.baselines.point import PointModel
from pitot_core.features import Features, Scaler
from pitot_core.observations import Observations, Queries
from pitot_core.splits import folds
from pitot_core.steps import Progress

Array = NDArray[Any]
PREDICT_AT_ONCE = 16_384


class NeuralNetwork(PointModel):
    """log Ĉ = log C̄ + MLP([x_p, x_w]) + Σ_k MLP([x_p, x_w, x_k]), squared loss."""

    def __init__(
        self,
        *,
        hidden: tuple[int, ...] = (256, 256),
        steps: int = 3000,
        batch: int = 1024,
        learning_rate: float = 2e-3,
        weight_decay: float = 1e-2,
        startup: bool = False,
        **shared: Any,
    ) -> None:
        super().__init__(**shared)
        self.hidden, self.steps, self.batch = hidden, steps, batch
        self.learning_rate, self.weight_decay, self.startup = learning_rate, weight_decay, startup

    def _learn(self, rows: Observations, features: Features, progress: Progress | None) -> None:
        self.x_w = Scaler.of(features.workloads)(features.workloads).astype(np.float32)
        self.x_p = Scaler.of(features.platforms)(features.platforms).astype(np.float32)
        held = folds(rows, 10, by=self.split_by, seed=self.seed) == 0
        fit, check = rows[~held], rows[held]
        sizes = len(features.platform_names), len(features.workload_names)
        self.baseline = Baseline.fit(fit, *sizes, startup=self.startup)
        self.parts = self._build(np.random.default_rng(self.seed))
        target = (fit.log_ns - self.baseline(fit.platform, fit.workload)).astype(np.float32)

        def gradient(chosen: Array) -> tuple[float, list[Array]]:
            some = fit[chosen]
            error = self._residual(some) - target[chosen]
            return float(np.mean(error**2)), self._gradient(some, 2.0 * error / len(error))

        def held_out() -> float:
            return float(np.mean((self._log_ns(check) - check.log_ns) ** 2)) if len(check) else 0.0

        train_on_batches(
            self.parts, gradient, held_out, len(fit), steps=self.steps, batch=self.batch, rate=self.learning_rate,
            decay=self.weight_decay, seed=self.seed, progress=progress,
        )  # fmt: skip

    def _build(self, rng: np.random.Generator) -> list[Perceptron]:
        alone, beside = self.x_p.shape[1] + self.x_w.shape[1], self.x_p.shape[1] + 2 * self.x_w.shape[1]
        return [Perceptron((alone, *self.hidden, 1), rng), Perceptron((beside, *self.hidden, 1), rng)]

    def _residual(self, rows: Queries) -> Array:
        """(M,) log Ĉ − log C̄; keeps what the gradient needs."""
        x = np.hstack([self.x_p[rows.platform], self.x_w[rows.workload]])
        out = self.parts[0].forward(x)[:, 0]
        self._at, self._which = np.nonzero(rows.co_runners >= 0)
        if len(self._at):
            x_k = self.x_w[rows.co_runners[self._at, self._which]]
            extra = self.parts[1].forward(np.hstack([x[self._at], x_k]))[:, 0]
            np.add.at(out, self._at, extra)
        return out

    def _gradient(self, rows: Queries, upstream: Array) -> list[Array]:
        first = self.parts[0].backward(upstream[:, None])[1]
        if len(self._at):
            return first + self.parts[1].backward(upstream[self._at][:, None])[1]
        return first + [np.zeros_like(value) for value in self.parts[1].values]

    def _log_ns(self, queries: Queries) -> Array:
        out = self.baseline(queries.platform, queries.workload)
        for start in range(0, len(queries), PREDICT_AT_ONCE):
            part = slice(start, start + PREDICT_AT_ONCE)
            out[part] += self._residual(queries[part])
        return out
