"""The ways to stretch a prediction into a bound, among which rows that do not calibrate choose.

A candidate is a location μ_c and a scale σ_c per row; a residual is z = (log C* − μ_c) / σ_c.

plain       μ, 1    the same distance for every row
scale κ, λ  μ, σ^κ  the distance grows with the row's own spread σ, for κ < 1 less than in proportion
head ξ      q_ξ, 1  conformalised quantile regression: the ξ-quantile, shifted (where there are quantile heads)

Scale candidates also have a quantile curve per device (see `curves`), which turns z into a place on it and back: λ of
the way from the common curve to the device's own. Where rows are many enough, a place is judged by what the row's
spread is allotted (see `allotment`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pitot_core.errors import SettingsError

Array = NDArray[Any]
SCALES = tuple((power, own) for power in (0.7, 0.85, 1.0) for own in (0.5, 0.75, 1.0))
FORMER = tuple(
    (power, own) for power in (0.7, 0.85, 1.0, 1.15) for own in (0.25, 0.5, 0.75, 1.0)
)  # of formats 3, 4
METHODS = ("chosen", "plain", "naive")


@dataclass(frozen=True)
class Located:
    """What bounds of M rows are made of: point (M,) log Ĉ, spread (M,) σ, quantile (Q, M), device (M,) numbers."""

    point: Array
    device: NDArray[np.int64]
    spread: Array | None = None
    quantile: Array | None = None

    def __getitem__(self, rows: Any) -> Located:
        spread = None if self.spread is None else self.spread[rows]
        quantile = None if self.quantile is None else self.quantile[:, rows]
        return Located(self.point[rows], self.device[rows], spread, quantile)


@dataclass(frozen=True)
class Candidates:
    """Which candidates exist: the point prediction, then scales (κ, λ) where there is a spread, then heads ξ."""

    scales: tuple[tuple[float, float], ...]
    levels: tuple[float, ...]

    @property
    def names(self) -> tuple[str, ...]:
        scales = (f"scale {power:g}, {own:g}" for power, own in self.scales)
        return ("plain", *scales, *(f"head {xi:g}" for xi in self.levels))

    @property
    def of_spread(self) -> dict[int, tuple[float, float]]:
        """κ and λ of every candidate that is a scale."""
        return dict(enumerate(self.scales, 1))

    def one(self, candidate: int, rows: Located) -> tuple[Array, Array]:
        """Location and scale (M,) of one candidate."""
        scale = self.of_spread.get(candidate)
        if scale is not None and rows.spread is not None:
            return rows.point, rows.spread ** scale[0]
        head = candidate - 1 - len(self.of_spread)
        if head >= 0 and rows.quantile is not None:
            return rows.quantile[head], np.ones_like(rows.point)
        return rows.point, np.ones_like(rows.point)

    def allowed(self, method: str, eps: float) -> list[int]:
        """Candidate numbers a method may choose among.

        chosen: the scales where there is a spread, else the heads where there are some, else the plain one;
        plain: split conformal prediction on the point prediction;
        naive: the head whose ξ is nearest to 1 − ε (naive CQR). Raises SettingsError for another method.
        """
        heads = list(range(len(self.names) - len(self.levels), len(self.names)))
        if method == "chosen":
            return [*self.of_spread] or heads or [0]
        if method == "plain" or (method == "naive" and not heads):
            return [0]
        if method == "naive":
            return [heads[int(np.argmin(np.abs(np.array(self.levels) - (1.0 - eps))))]]
        raise SettingsError(f"method must be one of {', '.join(METHODS)}, not {method!r}")
