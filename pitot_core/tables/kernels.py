"""How alike two workloads or two platforms are taken to be: the kernels K_w (W, W) and K_p (P, P).

Before anything is measured, from features and names; then, from the tables solved so far, by behaviour: workloads that
took alike times on the same platforms are alike. Every kernel is scaled to a mean diagonal of 1, so that a table's
amplitude alone says how far it may lie from its mean.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pitot_core.features import Features, Scaler
from pitot_core.tables.hyperparameters import Hyperparameters, TableOptions

Array = NDArray[Any]
LAYERS = 2


def prior_kernels(
    features: Features, options: TableOptions, hyper: Hyperparameters, fitted: tuple[int, int]
) -> tuple[Array, Array]:
    """K_p and K_w of features, standardised on the first `fitted` (P, W) of the platforms and workloads."""

    def scaled(table: Array, used: bool, count: int) -> Array:
        return (Scaler.of(table[:count]) if used else Scaler.none())(table)

    x_p = scaled(features.platforms, options.platform_features, fitted[0])
    x_w = scaled(features.workloads, options.workload_features, fitted[1])
    return platform_prior(x_p, features.platform_names, hyper), workload_prior(x_w, hyper)


def workload_prior(x: Array, hyper: Hyperparameters) -> Array:
    """K_w of standardised features x (W, d): Matérn near and far, and a network's kernel for what is beyond.

    What a workload shares with no other is the last term.
    """
    distance = squared_distances(x)
    near = matern(distance, hyper.workload_length)
    far = hyper.workload_far * matern(distance, hyper.workload_length * hyper.workload_far_length)
    own = hyper.workload_own * np.eye(len(x))
    return unit(unit(near + far + own) + hyper.workload_network * network(x))


def platform_prior(x: Array, names: tuple[str, ...], hyper: Hyperparameters) -> Array:
    """K_p: how alike the devices are times how alike the engines are, and what a platform shares with no other.

    Names are read as `engine:device`; a name without a colon is alone of its kind.
    """
    engine, device = zip(*(_parts(name) for name in names), strict=True)
    devices = hyper.same_device * _same(device) + hyper.platform_features * matern(
        squared_distances(x), hyper.platform_length
    )
    engines = hyper.same_engine * _same(engine) + hyper.any_engine
    product = (devices + hyper.any_device) * engines
    return unit(product + hyper.platform_own * np.eye(len(x)))


def behaviour(table: Array, length: float) -> Array:
    """(n, n) kernel on the rows of a table (n, m): Matérn of their mean squared difference over its median."""
    rows = np.asarray(table, np.float64)
    distance = squared_distances(rows)
    apart = distance[~np.eye(len(rows), dtype=bool)]
    scale = float(np.median(apart)) if len(apart) else 0.0
    return matern(distance / scale, length) if scale > 0 else np.ones_like(distance)


def matern(distance: Array, length: float) -> Array:
    """Matérn 3/2 of squared distances: (1 + √3 r/ℓ) e^(−√3 r/ℓ)."""
    r = np.sqrt(3.0 * distance) / length
    return np.asarray((1.0 + r) * np.exp(-r))


def network(x: Array) -> Array:
    """The kernel of infinitely wide layers of rectified units (Cho and Saul's arc-cosine kernel), scaled to 1."""
    kernel = x @ x.T / max(x.shape[1], 1) + 1.0
    for _ in range(LAYERS):
        norm = np.sqrt(np.diag(kernel))
        scale = np.outer(norm, norm)
        cosine = np.clip(kernel / scale, -1.0, 1.0)
        angle = np.arccos(cosine)
        kernel = scale * (np.sin(angle) + (np.pi - angle) * cosine) / np.pi
    return unit(kernel)


def squared_distances(x: Array) -> Array:
    """(n, n) mean squared difference of rows; zeros where there are no columns."""
    if not x.shape[1]:
        return np.zeros((len(x), len(x)))
    squares = np.sum(x**2, axis=1)
    distance = (squares[:, None] + squares[None, :] - 2.0 * (x @ x.T)) / x.shape[1]
    np.fill_diagonal(distance, 0.0)
    return np.asarray(np.maximum(0.5 * (distance + distance.T), 0.0))


def unit(kernel: Array) -> Array:
    """Scaled to a mean diagonal of 1."""
    return np.asarray(kernel / np.mean(np.diag(kernel)))


def _parts(name: str) -> tuple[str, str]:
    engine, colon, device = name.partition(":")
    return (engine, device) if colon else (name, name)


def _same(labels: tuple[str, ...]) -> Array:
    codes = np.unique(np.array(labels), return_inverse=True)[1]
    return np.asarray(codes[:, None] == codes[None, :], np.float64)
