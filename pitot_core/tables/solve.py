"""One table under a Gaussian-process prior: the posterior mean, without ever building a matrix of cells × cells.

f (P, W) ~ GP(mean, K_p ⊗ K_w). Rows enter through two numbers per cell, the precision Λ = Σ weight · coefficient² and
the moment Σ weight · coefficient · target, so that f solves

    (Λ + K⁻¹)(f − mean) = moment − Λ mean

With K_p = L_p L_pᵀ and K_w = L_w L_wᵀ it is f = mean + L_p B L_wᵀ, where B solves

    B + L_pᵀ (Λ ∘ (L_p B L_wᵀ)) L_w = L_pᵀ (moment − Λ mean) L_w

by conjugate gradients: four small matrix products an iteration, whatever the number of rows. Factors may be turned,
L_p V with any orthogonal V. They are turned so that for Λ ≈ r cᵀ, the product of its row and column sums, the
system is diagonal: 1 + d_p d_w with the eigenvalues of L_pᵀ diag(r) L_p and L_wᵀ diag(c) L_w. That diagonal is the
preconditioner, and 10 iterations from the last solution are enough. Tables that share a `Factor` are turned by the sums
of the first of them: the diagonal of another is then that of (L V)ᵀ diag(r) (L V).

In such a direction (k, l) the prior variance is s = d_k d_l times the noise of what rows say of it: their expected
squared error is s without that and s/(1 + s) with it. Directions of either side whose s²/(1 + s) make together less
than a hundredth of the sum of all s/(1 + s) are left out, so that a table of which rows say little costs little.
"""

from __future__ import annotations

from copy import copy
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pitot_core.steps import side_by_side

Array = NDArray[Any]
ITERATIONS = 10
TOLERANCE = 2e-3  # of the residual's norm in the preconditioner against that of the solution
CUT = 0.01  # of the expected squared error: what directions that are left out may add to it
UNSEEN = 1e-6  # of the largest eigenvalue: directions that no row tells of, as far as float32 can say
FLOAT = np.float32
LARGE = 300_000  # cells of a table whose products are worth two threads
MIDDLING = 20_000  # of one whose factors are


class Factor:
    """L (n, n) of a kernel L Lᵀ, and once it is turned L V and its inverse, all float32; tables may share one."""

    def __init__(self, kernel: Array) -> None:
        self.lower = cholesky(kernel).astype(FLOAT)
        self._turned: tuple[Array, Array] | None = None

    def __len__(self) -> int:
        return len(self.lower)

    def variances(self) -> Array:
        """(n,) the diagonal of the kernel."""
        return np.asarray(np.sum(self.lower.astype(np.float64) ** 2, axis=1))

    def twin(self) -> Factor:
        """The same kernel, to be turned by other tables."""
        found = copy(self)
        found._turned = None
        return found

    def turn(self, weight: Array) -> tuple[Array, Array]:
        """L V and its inverse, such that Vᵀ Lᵀ diag(weight) L V is diagonal for the weight (n,) of the first who asks.

        Directions come in falling order. The inverse is E⁻¹ (L V)ᵀ diag(weight) with that diagonal E; what no weight
        sees has none.
        """
        if self._turned is None:
            lower, weight = self.lower, np.asarray(weight, FLOAT)
            scaled = lower * np.sqrt(weight)[:, None]
            values, vectors = np.linalg.eigh(scaled.T @ scaled)
            turned, values = lower @ vectors[:, ::-1], values[::-1]
            seen = values > UNSEEN * max(float(values[0]), 0.0)
            inverse = np.where(seen, FLOAT(1) / np.where(seen, values, FLOAT(1)), FLOAT(0))
            self._turned = turned, inverse[:, None] * (turned.T * weight)
        return self._turned


class Table:
    """f (P, W) float32 and its prior."""

    def __init__(self, shape: tuple[int, int], mean: float = 0.0) -> None:
        self.mean = FLOAT(mean)
        self.f = np.full(shape, mean, FLOAT)

    def prior(self, platform: Factor, workload: Factor, amplitude: float) -> None:
        """Factors of K_p and K_w, and the variance that both are multiplied by; f stays as it is."""
        self._factors, self._amplitude = (platform, workload), amplitude
        self._b: Array | None = None

    def copy(self) -> Table:
        """The same prior, with an f of its own."""
        twin = copy(self)
        twin.f = self.f.copy()
        if self._b is not None:
            twin._b = self._b.copy()
        return twin

    def solve(self, precision: Array, moment: Array, loose: float = 1.0) -> None:
        """Move f to the posterior mean, from where it is; `loose` is how many times TOLERANCE will do.

        f and B move together, so that what they leave of the right-hand side costs two products to find and not six.
        """
        precision = np.asarray(precision, FLOAT)
        if self._b is None:
            self._turn(precision)
        b, weight = self._b, self._weight
        assert b is not None
        f = self.f.copy()
        residual = self._seen(np.asarray(moment, FLOAT) - precision * f) - b
        step = weight * residual
        direction, size = step.copy(), _dot(residual, step)
        stop = (loose * TOLERANCE) ** 2 * max(_dot(b, b / weight), size)
        for _ in range(ITERATIONS):
            if size <= stop:
                break
            change = self._cells(direction)
            image = self._seen(precision * change)
            image += direction
            length = FLOAT(size / _dot(direction, image))
            b += length * direction
            change *= length
            f += change
            image *= length
            residual -= image
            np.multiply(weight, residual, out=step)
            before, size = size, _dot(residual, step)
            direction *= FLOAT(size / before)
            direction += step
        self.f = f

    def _cells(self, b: Array) -> Array:
        """L_p B L_wᵀ (P, W)."""
        times, left, right_t = self._times, self._left, self._right.T
        return times(times(left, b), right_t) if self._by_rows else times(left, times(b, right_t))

    def _seen(self, cells: Array) -> Array:
        """L_pᵀ C L_w, of the shape of B."""
        times, left_t, right = self._times, self._left.T, self._right
        return times(left_t, times(cells, right)) if self._by_rows else times(times(left_t, cells), right)

    def _times(self, a: Array, b: Array) -> Array:
        return np.asarray(_halves(a, b) if self.f.size > LARGE else a @ b)

    def variance(self, precision: Array) -> Array:
        """(P, W) posterior variance of every cell, about.

        With Λ ≈ r cᵀ the posterior covariance is diagonal in B, so the variance of all cells is one product of
        matrices, and directions that are left out keep their prior variance. What a cell really has of its own,
        instead of r_j c_i, is put right by 1/v + Λ_ji − r_j c_i.
        """
        precision = np.asarray(precision, np.float64)
        if self._b is None:
            self._turn(precision.astype(FLOAT))
        sides, (left, right) = _sides(precision), self._squares()
        shrunk = 1.0 / (1.0 + np.outer(left.T @ sides[0], right.T @ sides[1]))
        platform, workload = self._factors
        most = self._amplitude * np.outer(platform.variances(), workload.variances())
        unknown = np.maximum(most - np.outer(left.sum(axis=1), right.sum(axis=1)), 0.0)
        shared = unknown + left @ shrunk @ right.T
        return np.asarray(1.0 / (np.maximum(1.0 / shared - np.outer(*sides), 1.0 / most) + precision))

    def _turn(self, precision: Array) -> None:
        """Into the basis of the factors, with f and b where f is, as far as that basis goes."""
        sides, root = _sides(precision), FLOAT(np.sqrt(self._amplitude))
        pairs = list(zip(self._factors, sides, strict=True))
        (left, from_left), (right, from_right) = side_by_side(
            lambda pair: pair[0].turn(pair[1]), pairs, worth=self.f.size > MIDDLING
        )
        self._left, self._right = root * left, right
        signal = np.outer(*(square.T @ side for square, side in zip(self._squares(), sides, strict=True)))
        k_p, k_w = _ranks(signal)
        self._left, self._right = (
            np.ascontiguousarray(m[:, :k]) for m, k in ((self._left, k_p), (right, k_w))
        )
        n_p, n_w = self.f.shape
        self._by_rows = n_p * k_w * (k_p + n_w) <= n_w * k_p * (k_w + n_p)  # what lies between is (P, k_w)
        self._weight = (1.0 / (1.0 + signal[:k_p, :k_w])).astype(FLOAT)
        self._b = (FLOAT(1.0) / root) * (from_left[:k_p] @ (self.f - self.mean) @ from_right[:k_w].T)
        self.f = self._cells(self._b) + self.mean

    def _squares(self) -> tuple[Array, Array]:
        return self._left.astype(np.float64) ** 2, self._right.astype(np.float64) ** 2


def _ranks(signal: Array) -> tuple[int, int]:
    """How many directions of each side are kept, of s (P, W) of all, whose sides fall."""
    error = signal / (1.0 + signal)
    allowed = CUT / 2 * float(error.sum())
    added = signal * error
    kept = [int(np.count_nonzero(np.cumsum(added.sum(axis=axis)[::-1]) >= allowed)) for axis in (1, 0)]
    return max(kept[0], 1), max(kept[1], 1)


def cholesky(kernel: Array) -> Array:
    """Lower Cholesky factor; the diagonal is raised by a millionth, for kernels that are only just positive."""
    raised = kernel + 1e-6 * np.mean(np.diag(kernel)) * np.eye(len(kernel))
    return np.asarray(np.linalg.cholesky(raised))


def _sides(precision: Array) -> tuple[Array, Array]:
    """r (P,) and c (W,) of the product r cᵀ that has the row and column sums of Λ."""
    total = float(np.sum(precision, dtype=np.float64))
    if total <= 0.0:
        return np.zeros(len(precision)), np.zeros(precision.shape[1])
    root = np.sqrt(total)
    return (
        np.sum(precision, axis=1, dtype=np.float64) / root,
        np.sum(precision, axis=0, dtype=np.float64) / root,
    )


def _halves(a: Array, b: Array) -> Array:
    """a @ b, each half of its rows for itself."""
    found = np.empty((len(a), b.shape[1]), FLOAT)
    middle = len(a) // 2
    parts = (slice(0, middle), slice(middle, None))
    side_by_side(lambda part: np.matmul(a[part], b, out=found[part]), parts, worth=True)
    return found


def _dot(a: Array, b: Array) -> float:
    return float(np.vdot(a, b))
