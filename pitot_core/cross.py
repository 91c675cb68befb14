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
AT_ONCE = 1 << 16  # questions
HALVINGS = 16
SLACK = 1e-9  # of σ, for rounding


@dataclass(frozen=True)
class CrossPool:
    """residual (n,) log C* − μ₋ₖ₍ᵢ₎, spread (n,) σᵢ, part (n,): which part of the model had not seen the row."""

    residual: NDArray[np.float64]
    spread: NDArray[np.float64]
    part: NDArray[np.int64]

    def bound(self, by_part: Array, spread: Array | None, eps: float) -> Array:
        """(M,) ln ns, from predictions by_part (K, M) of every part and σ (M,); without σ every row has the same."""
        k, n = order(len(self.residual), eps), by_part.shape[1]
        if k > len(self.residual):
            return np.full(n, np.inf)
        score = self.residual if spread is None else self.residual / self.spread
        ranked = [(part, np.sort(score[self.part == part])) for part in np.unique(self.part)]
        scale, found = np.ones(n) if spread is None else spread, np.empty(n)
        for start in range(0, n, AT_ONCE):
            some = slice(start, start + AT_ONCE)
            found[some] = _kth([(by_part[part, some], scores) for part, scores in ranked], scale[some], k)
        return found


def _kth(parts: list[tuple[Array, Array]], scale: Array, k: int) -> Array:
    """(M,) the k-th smallest of all μ (M,) + s · scale (M,), s among the sorted scores of each part.

    It lies between the least and the largest of what the parts say alone. That is halved until hardly anything is left,
    and what is above is counted off, so that neither time nor memory grows with the number of scores.
    """

    def below(t: Array) -> Array:
        return np.stack([np.searchsorted(scores, (t - mu) / scale, side="right") for mu, scores in parts])

    def at(count: Array, some: Any = slice(None)) -> Array:
        """Of each part, the last of so many."""
        ends = [
            np.where(n > 0, mu[some] + scores[np.maximum(n, 1) - 1] * scale[some], -np.inf)
            for n, (mu, scores) in zip(count, parts, strict=True)
        ]
        return np.stack(ends)

    sizes = np.array([len(scores) for _, scores in parts])[:, None] * np.ones(len(scale))
    share = k / sizes.sum(axis=0)
    low = at(np.floor(share * sizes).astype(int)).min(axis=0)
    low = np.where(np.isfinite(low), low, at(np.ones_like(sizes, int)).min(axis=0)) - SLACK * scale
    high = at(np.ceil(share * sizes).astype(int)).max(axis=0) + SLACK * scale
    for _ in range(HALVINGS):
        middle = 0.5 * (low + high)
        enough = below(middle).sum(axis=0) >= k
        high, low = np.where(enough, middle, high), np.where(enough, low, middle)
    count = below(high)
    ends = at(count)
    while len(over := np.flatnonzero(count.sum(axis=0) > k)):
        count[ends[:, over].argmax(axis=0), over] -= 1
        ends[:, over] = at(count[:, over], over)
    return np.asarray(ends.max(axis=0))
