"""A small perceptron with gradients by hand and the loop that trains several of them on random rows."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pitot_core.steps import Progress, Step, one_blas_thread
from pitot_core.towers.optimise import Adam, cosine

Array = NDArray[Any]


class Perceptron:
    """Layers of leaky ReLU (slope 0.05 below zero) with a linear last one, on (n, inputs)."""

    def __init__(
        self, widths: tuple[int, ...], rng: np.random.Generator, *, output_gain: float = 0.1
    ) -> None:
        last = len(widths) - 2
        self.weights, self.biases = [], []
        for layer, (inside, outside) in enumerate(pairwise(widths)):
            gain = output_gain if layer == last else math.sqrt(2.0)
            self.weights.append(
                (rng.standard_normal((inside, outside)) * gain / math.sqrt(inside)).astype(np.float32)
            )
            self.biases.append(np.zeros(outside, np.float32))

    @property
    def values(self) -> list[Array]:
        return [*self.weights, *self.biases]

    def forward(self, x: Array) -> Array:
        """(n, outputs); keeps what `backward` needs."""
        self._inputs, self._slopes = [x], []
        for layer, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            z = self._inputs[-1] @ weight + bias
            if layer == len(self.weights) - 1:
                return np.asarray(z)
            slope = np.where(z > 0, np.float32(1.0), np.float32(0.05))
            self._slopes.append(slope)
            self._inputs.append(z * slope)
        raise AssertionError("a perceptron has at least one layer")

    def backward(self, upstream: Array) -> tuple[Array, list[Array]]:
        """d loss / d input and the gradients in the order of `values`."""
        weights, biases = [], []
        for layer in range(len(self.weights) - 1, -1, -1):
            weights.append(self._inputs[layer].T @ upstream)
            biases.append(upstream.sum(axis=0))
            upstream = upstream @ self.weights[layer].T
            if layer:
                upstream = upstream * self._slopes[layer - 1]
        return upstream, [*weights[::-1], *biases[::-1]]


def train_on_batches(
    parts: list[Perceptron],
    gradient: Callable[[Array], tuple[float, list[Array]]],
    held_out: Callable[[], float],
    rows: int,
    *,
    steps: int,
    batch: int,
    rate: float,
    decay: float,
    seed: int,
    progress: Progress | None,
) -> None:
    """AdamW on random rows, keeping the values with the smallest held-out loss.

    gradient(rows) gives the loss of these row numbers and the gradients of all parts' values in order.
    """
    values = [array for part in parts for array in part.values]
    flat = np.concatenate([array.ravel() for array in values])[None]
    decays = np.concatenate([np.full(array.size, array.ndim == 2) for array in values])
    optimiser = Adam(flat, decays, decay=decay)
    rng = np.random.default_rng(seed)
    best, least = flat.copy(), math.inf

    def write_back(source: Array) -> None:
        start = 0
        for array in values:
            array[...] = source[0, start : start + array.size].reshape(array.shape)
            start += array.size

    with one_blas_thread():
        for step in range(steps + 1):
            if step % 100 == 0 or step == steps:
                now = held_out()
                if now < least:
                    best, least = flat.copy(), now
                if progress is not None:
                    progress(Step("training", step, steps, now))
            if step == steps:
                break
            _, gradients = gradient(rng.integers(0, rows, batch))
            joined = np.concatenate([g.ravel() for g in gradients])[None].astype(np.float32)
            optimiser.step(flat, joined, rate * cosine(step, steps, warm_up=min(100, steps // 4)))
            write_back(flat)
    write_back(best)
