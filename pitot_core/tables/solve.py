"""One table under a Gaussian-process prior: the posterior mean, without ever building a matrix of cells × cells.

f (P, W) ~ GP(mean, K_p ⊗ K_w). Rows enter through two numbers per cell, the precision Λ = Σ weight · coefficient² and
the moment Σ weight · coefficient · target, so that f solves

    (Λ + K⁻¹)(f − mean) = moment − Λ mean

With K_p = L_p L_pᵀ and K_w = L_w L_wᵀ it is f = mean + L_p B L_wᵀ, where B solves

    B + L_pᵀ (Λ ∘ (L_p B L_wᵀ)) L_w = L_pᵀ (moment − Λ mean) L_w

by conjugate gradients: four small matrix products an iteration, whatever the number of rows. Factors may be turned,
L_p V with any orthogonal V. They are turned so that for Λ ≈ r cᵀ, the product of its row and column sums, the
system is diagonal: 1 + d_p d_w with the eigenvalues of L_pᵀ diag(r) L_p and L_wᵀ diag(c) L_w. That diagonal is the
preconditioner, and 10 iterations from the last solution are enough.
"""

from __future__ import annotations

from copy import copy
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
ITERATIONS = 10
TOLERANCE = 2e-3  # of the preconditioned residual's norm against that of the right-hand side
FLOAT = np.float32


class Table:
    """f (P, W) float32 and its prior. `precision` and `moment` of the last solve are kept."""

    def __init__(self, shape: tuple[int, int], mean: float = 0.0) -> None:
        self.mean = FLOAT(mean)
        self.f = np.full(shape, mean, FLOAT)

    def prior(self, platform: Array, workload: Array, amplitude: float) -> None:
        """Lower factors of K_p and K_w, and the variance that both are multiplied by; f stays as it is."""
        self._factors = platform * np.sqrt(amplitude), workload
        self._turned = False

    def copy(self) -> Table:
        """The same prior, with an f of its own."""
        twin = copy(self)
        twin.f = self.f.copy()
        if self._turned:
            twin._b = self._b.copy()
        return twin

    def solve(self, precision: Array, moment: Array) -> None:
        """Move f to the posterior mean, from where it is."""
        precision = np.asarray(precision, FLOAT)
        if not self._turned:
            self._turn(precision)
        left, right = self._left, self._right
        left_t, right_t = left.T, right.T
        target = left_t @ (np.asarray(moment, FLOAT) - precision * self.mean) @ right
        weight = 1.0 / (1.0 + self._diagonal)
        b = self._b

        def system(direction: Array) -> Array:
            cells = left @ direction @ right_t
            cells *= precision
            cells = left_t @ cells @ right
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
            length = size / _dot(direction, image)
            b += FLOAT(length) * direction
            image *= FLOAT(length)
            residual -= image
            np.multiply(weight, residual, out=step)
            before, size = size, _dot(residual, step)
            direction *= FLOAT(size / before)
            direction += step
        self.f = left @ b @ right_t
        self.f += self.mean

    def variance(self, precision: Array) -> Array:
        """(P, W) posterior variance of every cell, about.

        With Λ ≈ r cᵀ the posterior covariance is diagonal in B, so the variance of all cells is one product of
        matrices. What a cell really has of its own, instead of r_j c_i, is put right by 1/v + Λ_ji − r_j c_i.
        """
        precision = np.asarray(precision, np.float64)
        self._turn(precision)
        shared = (self._left**2).astype(np.float64) @ (1.0 / (1.0 + self._diagonal)) @ (self._right**2).T
        rows, columns = _sides(precision)
        of_others = np.maximum(1.0 / shared - np.outer(rows, columns), 1.0 / self._prior_variance())
        return np.asarray(1.0 / (of_others + precision))

    def _prior_variance(self) -> Array:
        platform, workload = self._factors
        return np.outer(np.sum(platform**2, axis=1), np.sum(workload**2, axis=1))

    def _turn(self, precision: Array) -> None:
        rows, columns = _sides(precision)
        self._left, d_p, b = _turned(self._factors[0], rows, self.f - self.mean)
        self._right, d_w, b = _turned(self._factors[1], columns, b.T)
        self._b = np.ascontiguousarray(b.T, FLOAT)
        self._diagonal = np.outer(d_p, d_w).astype(FLOAT)
        self._turned = True


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


def _turned(factor: Array, weight: Array, values: Array) -> tuple[Array, Array, Array]:
    """L V, the eigenvalues of Lᵀ diag(weight) L with eigenvectors V, and Vᵀ L⁻¹ values."""
    scaled = factor * np.sqrt(weight)[:, None]
    eigenvalues, vectors = np.linalg.eigh((scaled.T @ scaled).astype(FLOAT))
    inner = vectors.T @ np.linalg.solve(factor, np.asarray(values, np.float64))
    return np.ascontiguousarray(factor @ vectors, FLOAT), np.maximum(eigenvalues, 0.0), inner


def _dot(a: Array, b: Array) -> float:
    return float(np.sum(a * b, dtype=np.float64))
