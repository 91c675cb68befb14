"""The whole of Pitot's network for E members: parameters → tables → rows, and the gradient back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pitot_core.towers.interference import Gathered, Plan, Tables
from pitot_core.towers.tower import Parameters, Tower, initialise, tower_shapes

Array = NDArray[Any]


@dataclass(frozen=True)
class Shape:
    """Sizes: W workloads with dw features, P platforms with dp, rank r, types s, learned q, layers, heads."""

    workloads: int
    platforms: int
    workload_features: int
    platform_features: int
    rank: int
    types: int
    learned: int
    hidden: tuple[int, ...]
    heads: int

    def parameters(self) -> dict[str, tuple[int, ...]]:
        workload = tower_shapes(
            "workload",
            self.workloads,
            self.workload_features,
            self.learned,
            self.hidden,
            self.rank * self.heads,
        )
        platform = tower_shapes(
            "platform",
            self.platforms,
            self.platform_features,
            self.learned,
            self.hidden,
            self.rank * (1 + 2 * self.types),
        )
        return workload | platform


class Network:
    """E independent networks on shared inputs, trained as one batch.

    x_w (W, dw) and x_p (P, dp) are standardised features.
    """

    def __init__(self, shape: Shape, x_w: Array, x_p: Array, members: int, dtype: Any = np.float32) -> None:
        self.shape, self.members, self.dtype = shape, members, dtype
        self.parameters = Parameters.zeros(members, shape.parameters(), dtype)
        self.gradients = Parameters.zeros(members, shape.parameters(), dtype)
        values, gradients = self.parameters.views(), self.gradients.views()
        x_w = np.ascontiguousarray(x_w, dtype)
        x_p = np.ascontiguousarray(x_p, dtype)
        self.workload_tower = Tower("workload", x_w, values, gradients)
        self.platform_tower = Tower("platform", x_p, values, gradients)
        self.tables = Tables(
            members, shape.platforms, shape.workloads, shape.rank, shape.types, shape.heads, dtype
        )

    def initialise(self, seeds: Sequence[int], *, output_gain: float, phi: str = "normal") -> None:
        """Each member from its own seed, so that a member does not depend on its company."""
        for member, seed in enumerate(seeds):
            alone = Parameters(self.parameters.flat[member : member + 1], self.parameters.shapes)
            initialise(alone, np.random.default_rng(seed), output_gain=output_gain, phi=phi)

    def embed(self) -> tuple[Array, Array]:
        """Embeddings: platforms (E, P, (1+2s)·r) as [p, v_s(1…s), v_g(1…s)], workloads (E, W, H·r)."""
        return self.platform_tower.forward(), self.workload_tower.forward()

    def forward(self, rows: Gathered) -> Array:
        """(E, N, H): Eq. 9 without the baseline, in the order of the rows' plan."""
        self._platforms, self._workloads = self.embed()
        return rows.forward(self.tables.forward(self._platforms, self._workloads))

    def backward(self, rows: Gathered, upstream: Array) -> None:
        """Fill self.gradients from d loss / d ŷ of the last forward pass."""
        rows.backward(upstream, self.tables.cells(self.tables.gradient))
        platforms, workloads = self.tables.backward(self._platforms, self._workloads)
        self.platform_tower.backward(platforms)
        self.workload_tower.backward(workloads)

    def gathered(self, plan: Plan, slope: float) -> Gathered:
        return Gathered(plan, self.members, self.shape.heads, slope, self.dtype)
