"""The ways to stretch a prediction into a bound, among which calibration chooses.

A candidate is a location μ_c and a scale σ_c per row; its bound is μ_c + γσ_c (see `conformal`).

plain    μ, 1      the same distance for every row
scale κ  μ, σ^κ    the distance grows with the row's own spread σ, for κ < 1 less than in proportion
head ξ   q_ξ, 1    conformalised quantile regression: the ξ-quantile, shifted (where there are quantile heads)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pitot_core.errors import SettingsError

Array = NDArray[Any]
POWERS = (0.7, 0.85, 1.0, 1.15)
METHODS = ("chosen", "plain", "naive")


@dataclass(frozen=True)
class Candidates:
    """Which candidates exist: the point prediction, then scales where there is a spread, then heads ξ."""

    scales: bool
    levels: tuple[float, ...]

    @property
    def names(self) -> tuple[str, ...]:
        scales = tuple(f"scale {power:g}" for power in POWERS) if self.scales else ()
        return ("plain", *scales, *(f"head {xi:g}" for xi in self.levels))

    def of(self, point: Array, spread: Array | None, quantile: Array | None) -> tuple[Array, Array]:
        """Location and scale (C, M) of all, from log Ĉ (M,), σ (M,) and the quantiles of log C* (Q, M)."""
        pairs = [self.one(candidate, point, spread, quantile) for candidate in range(len(self.names))]
        return np.stack([location for location, _ in pairs]), np.stack([scale for _, scale in pairs])

    def one(
        self, candidate: int, point: Array, spread: Array | None, quantile: Array | None
    ) -> tuple[Array, Array]:
        """Location and scale (M,) of one candidate."""
        which = candidate - 1
        if which >= 0 and self.scales and spread is not None:
            if which < len(POWERS):
                return point, spread ** POWERS[which]
            which -= len(POWERS)
        if which >= 0 and quantile is not None:
            return quantile[which], np.ones_like(point)
        return point, np.ones_like(point)

    def allowed(self, method: str, eps: float) -> list[int]:
        """Candidate numbers a method may choose among.

        chosen: all; plain: split conformal prediction on the point prediction; naive: the head whose ξ is nearest
        to 1 − ε (naive CQR). Raises SettingsError for another method.
        """
        if method == "chosen":
            return list(range(len(self.names)))
        if method == "plain" or (method == "naive" and not self.levels):
            return [0]
        if method == "naive":
            first = len(self.names) - len(self.levels)
            return [first + int(np.argmin(np.abs(np.array(self.levels) - (1.0 - eps))))]
        raise SettingsError(f"method must be one of {', '.join(METHODS)}, not {method!r}")
