"""Attention over co-runners on top of a neural network (METHOD section 8)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pitot_core.baselines.mlp import Perceptron
from pitot_core.baselines.neural import NeuralNetwork
from pitot_core.observations import Queries

Array = NDArray[Any]
WIDTH = 8


class Attention(NeuralNetwork):
    """log Ĉ = log C̄ + b + MLP₃₂( Σ_k (query · key_k) value_k ), squared loss; linear attention, no softmax.

    b and the query (8) come from MLP([x_p, x_w]); key (8) and value (8) from a linear map of [x_p, x_k].
    Without co-runners the sum is empty and nothing is added.
    """

    def _build(self, rng: np.random.Generator) -> list[Perceptron]:
        both = self.x_p.shape[1] + self.x_w.shape[1]
        return [
            Perceptron((both, *self.hidden, 1 + WIDTH), rng, output_gain=0.3),
            Perceptron((both, 2 * WIDTH), rng, output_gain=1.0),
            Perceptron((WIDTH, 32, 1), rng),
        ]

    def _residual(self, rows: Queries) -> Array:
        first = self.parts[0].forward(np.hstack([self.x_p[rows.platform], self.x_w[rows.workload]]))
        out = first[:, 0].copy()
        self._at, self._which = np.nonzero(rows.co_runners >= 0)
        self._beside = np.flatnonzero(rows.n_co_runners > 0)
        if len(self._at):
            x_k = self.x_w[rows.co_runners[self._at, self._which]]
            mapped = self.parts[1].forward(np.hstack([self.x_p[rows.platform[self._at]], x_k]))
            self._key, self._value = mapped[:, :WIDTH], mapped[:, WIDTH:]
            self._query = first[self._at, 1:]
            self._match = np.sum(self._query * self._key, axis=1, keepdims=True)
            context = np.zeros((len(rows), WIDTH), np.float32)
            np.add.at(context, self._at, self._match * self._value)
            out[self._beside] += self.parts[2].forward(context[self._beside])[:, 0]
        return out

    def _gradient(self, rows: Queries, upstream: Array) -> list[Array]:
        into_first = np.zeros((len(upstream), 1 + WIDTH), np.float32)
        into_first[:, 0] = upstream
        others = [np.zeros_like(value) for part in self.parts[1:] for value in part.values]
        if len(self._at):
            into_context, third = self.parts[2].backward(upstream[self._beside][:, None])
            whole = np.zeros((len(upstream), WIDTH), np.float32)
            whole[self._beside] = into_context
            at = whole[self._at]
            into_match = np.sum(at * self._value, axis=1, keepdims=True)
            into_mapped = np.hstack([into_match * self._query, at * self._match])
            np.add.at(into_first[:, 1:], self._at, into_match * self._key)
            others = self.parts[1].backward(into_mapped)[1] + third
        return self.parts[0].backward(into_first)[1] + others
