"""Optimisers on flat (E, n) arrays, and the schedule of the step size."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


class Adam:
    """AdamW; with infinity=True AdaMaxW, whose second moment is a decaying maximum.

    Weight decay is decoupled: each step also takes rate · decay of every number under `decays` (n,).
    """

    def __init__(
        self,
        like: Array,
        decays: NDArray[np.bool_],
        *,
        decay: float,
        beta1: float = 0.9,
        beta2: float = 0.999,
        infinity: bool = False,
        epsilon: float = 1e-8,
    ) -> None:
        self.first, self.second = np.zeros_like(like), np.zeros_like(like)
        self.scratch, self.direction = np.empty_like(like), np.empty_like(like)
        self.decays = (decays * decay).astype(like.dtype)
        self.beta1, self.beta2, self.infinity, self.epsilon = beta1, beta2, infinity, epsilon
        self.steps = 0

    def step(self, values: Array, gradients: Array, rate: float) -> None:
        """Move `values` in place."""
        self.steps += 1
        scratch, direction = self.scratch, self.direction
        self.first *= self.beta1
        np.multiply(gradients, 1.0 - self.beta1, out=scratch)
        self.first += scratch
        self.second *= self.beta2
        if self.infinity:
            np.abs(gradients, out=scratch)
            np.maximum(self.second, scratch, out=self.second)
            np.add(self.second, self.epsilon, out=scratch)
        else:
            np.multiply(gradients, gradients, out=scratch)
            scratch *= 1.0 - self.beta2
            self.second += scratch
            np.multiply(self.second, 1.0 / (1.0 - self.beta2**self.steps), out=scratch)
            np.sqrt(scratch, out=scratch)
            scratch += self.epsilon
        np.divide(self.first, scratch, out=direction)
        direction *= rate / (1.0 - self.beta1**self.steps)
        np.multiply(values, self.decays, out=scratch)
        scratch *= rate
        values -= scratch
        values -= direction


def cosine(step: int, steps: int, *, warm_up: int) -> float:
    """Share of the full step size: rises linearly, then falls along a cosine to zero."""
    if step < warm_up:
        return (step + 1) / warm_up
    return 0.5 * (1.0 + math.cos(math.pi * (step - warm_up) / max(1, steps - warm_up)))
