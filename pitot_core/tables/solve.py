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
"""

from __future__ import annotations

from copy import copy
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pitot_core.steps import side_by_side

Array = NDArray[Any]
ITERATIONS = 10
TOLERANCE = 2e-3  # of the preconditioned residual's norm against that of the right-hand side
FLOAT = np.float32
LARGE = 300_000  # cells of a table whose products are worth two threads


class Factor:
    """L (n, n) of a kernel L Lᵀ, and once it is turned L V and Vᵀ L⁻¹ in float32; tables may share one."""

    def __init__(self, kernel: Array) -> None:
        self.lower = cholesky(kernel)
        self._inverse: Array | None = None
        self._turned: tuple[Array, Array] | None = None

    def __len__(self) -> int:
        return len(self.lower)

    def twin(self) -> Factor:
        """The same kernel, to be turned by other tables."""
        found = copy(self)
        found._inverse, found._turned = self.inverse, None
        return found

    @property
    def inverse(self) -> Array:
        """L⁻¹ in float32: it only has to find where to start from."""
        if self._inverse is None:
            self._inverse = np.linalg.inv(self.lower.astype(FLOAT))
        return self._inverse

    def turn(self, weight: Array) -> tuple[Array, Array]:
        """L V and Vᵀ L⁻¹, such that Vᵀ Lᵀ diag(weight) L V is diagonal for the weight (n,) of the first who asks."""
        if self._turned is None:
            _, vectors = self.eigen(weight)
            self._turned = (self.lower.astype(FLOAT) @ vectors, vectors.T @ self.inverse)
        return self._turned

    def eigen(self, weight: Array) -> tuple[Array, Array]:
        """Eigenvalues and eigenvectors of Lᵀ diag(weight) L."""
        scaled = self.lower * np.sqrt(weight)[:, None]
        values, vectors = np.linalg.eigh((scaled.T @ scaled).astype(FLOAT))
        return np.maximum(values, 0.0), vectors


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

    def solve(self, precision: Array, moment: Array) -> None:
        """Move f to the posterior mean, from where it is."""
        precision = np.asarray(precision, FLOAT)
        if self._b is None:
            self._turn(precision)
        left, right, b = self._left, self._right, self._b
        assert b is not None
        left_t, right_t = left.T, right.T
        times = _halves if self.f.size > LARGE else np.matmul
        target = times(times(left_t, np.asarray(moment, FLOAT) - precision * self.mean), right)
        weight = self._weight

        def system(direction: Array) -> Array:
            cells = times(left, times(direction, right_t))
            cells *= precision
            cells = times(times(left_t, cells), right)
            cells += direction
            return np.asarray(cells)

        residual = target - system(b)
        stop = TOLERANCE**2 * _dot(target, weight * target)
        step = weight * residual
        direction, size = step.copy(), _dot(residual, step)
        for _ in range(ITERATIONS):
            if size <= stop or size <= 0.0:
                break
            image = system(direction)
            length = FLOAT(size / _dot(direction, image))
            b += length * direction
            image *= length
            residual -= image
            np.multiply(weight, residual, out=step)
            before, size = size, _dot(residual, step)
            direction *= FLOAT(size / before)
            direction += step
        self.f = times(left, times(b, right_t))
        self.f += self.mean

    def variance(self, precision: Array) -> Array:
        """(P, W) posterior variance of every cell, about.

        With Λ ≈ r cᵀ the posterior covariance is diagonal in B, so the variance of all cells is one product of
        matrices. What a cell really has of its own, instead of r_j c_i, is put right by 1/v + Λ_ji − r_j c_i.
        """
        precision = np.asarray(precision, np.float64)
        sides = _sides(precision)
        squares, values, prior = [], [], []
        for factor, weight in zip(self._factors, sides, strict=True):
            found, vectors = factor.eigen(weight)
            squares.append(((factor.lower @ vectors).astype(FLOAT) ** 2).astype(np.float64))
            values.append(found.astype(np.float64))
            prior.append(np.sum(factor.lower**2, axis=1))
        shrunk = self._amplitude / (1.0 + self._amplitude * np.outer(*values))
        shared = squares[0] @ shrunk @ squares[1].T
        most = self._amplitude * np.outer(*prior)
        return np.asarray(1.0 / (np.maximum(1.0 / shared - np.outer(*sides), 1.0 / most) + precision))

    def _turn(self, precision: Array) -> None:
        """Into the basis of the factors, with b where f is."""
        sides, root = _sides(precision), np.sqrt(self._amplitude)
        pairs = list(zip(self._factors, sides, strict=True))
        (left, from_left), (right, from_right) = side_by_side(
            lambda pair: pair[0].turn(pair[1]), pairs, worth=self.f.size > LARGE
        )
        self._left, self._right = FLOAT(root) * left, right
        diagonal = [
            square.T @ weight for square, weight in zip((self._left**2, right**2), sides, strict=True)
        ]
        self._weight = (1.0 / (1.0 + np.outer(*diagonal))).astype(FLOAT)
        self._b = FLOAT(1.0 / root) * (from_left @ (self.f - self.mean) @ from_right.T)


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
