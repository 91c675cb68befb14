"""Bounds where rows are too few to keep some apart: CV+.

After Barber, Candès, Ramdas and Tibshirani, Predictive inference with the jackknife+, 2021.
Each of n rows was predicted by a part of the model that had not seen it, μ₋ₖ₍ᵢ₎, and has the score sᵢ = (log C* −
μ₋ₖ₍ᵢ₎) / σᵢ, where σᵢ comes from rows of other folds. The bound of a new row x is the ⌈(n+1)(1−ε)⌉-th smallest of

    μ₋ₖ₍ᵢ₎(x) + sᵢ σ(x),   i = 1 … n,

so that all rows train and all rows calibrate. With σ = 1 it holds with probability ≥ 1 − 2ε whatever the distribution
(for K folds less √(2/n) at most), and about 1 − ε in practice; with a fitted σ that is what is measured, not proved.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pitot_core.conformal import order

Array = NDArray[Any]
AT_ONCE = 1 << 22  # numbers of the table of bounds held at the same time


@dataclass(frozen=True)
class CrossPool:
    """residual (n,) log C* − μ₋ₖ₍ᵢ₎, spread (n,) σᵢ, part (n,): which part of the model had not seen the row."""

    residual: NDArray[np.float64]
    spread: NDArray[np.float64]
    part: NDArray[np.int64]

    def bound(self, by_part: Array, spread: Array | None, eps: float) -> Array:
        """(M,) ln ns, from predictions by_part (K, M) of every part and σ (M,); without σ every row has the same."""
        n, rows = len(self.residual), by_part.shape[1]
        k = order(n, eps)
        if k > n:
            return np.full(rows, np.inf)
        found = np.empty(rows)
        step = max(1, AT_ONCE // n)
        for start in range(0, rows, step):
            chunk = slice(start, start + step)
            if spread is None:
                away = np.broadcast_to(self.residual, (len(by_part[0, chunk]), n))
            else:
                away = (self.residual / self.spread) * spread[chunk, None]
            values = by_part[self.part, chunk].T + away
            values.partition(k - 1, axis=1)
            found[chunk] = values[:, k - 1]
        return found
