"""The ways to stretch a prediction into a bound, among which calibration chooses.

A candidate is a location μ_c and a scale σ_c per row; its bound is μ_c + γσ_c (see `conformal`).

plain       μ, 1                       the same distance for every row
head ξ      μ + q_ξ, 1                 conformalised quantile regression: the ξ-quantile, shifted
scale ξ, τ  μ − τ q_ξ ln q_ξ, q_ξ      the distance grows with the row's own spread q_ξ; τ takes back some of it
                                       where the spread is largest

The last form is the bound of least margin for a residual whose upper tail falls like exp(−y/σ): among bounds that
hold for a share 1 − ε of *all* rows, Eq. 11 is smallest where every row's density at its bound is the same, that
is at b = σ(κ − ln σ).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pitot_core.errors import SettingsError

Array = NDArray[Any]
TAUS = (0.0, 0.25, 0.5, 0.75)
METHODS = ("chosen", "plain", "naive")


@dataclass(frozen=True)
class Candidates:
    """Which candidates exist: the point prediction, then heads ξ, then scales (ξ, τ) where there is a spread."""

    quantiles: tuple[float, ...]
    scales: bool

    @property
    def names(self) -> tuple[str, ...]:
        heads = tuple(f"head {xi:g}" for xi in self.quantiles)
        scales = (
            tuple(f"scale {xi:g}, {tau:g}" for tau in TAUS for xi in self.quantiles) if self.scales else ()
        )
        return ("plain", *heads, *scales)

    def of(self, point: Array, quantile: Array | None) -> tuple[Array, Array]:
        """Location and scale (C, M) of all, from log Ĉ (M,) and the quantiles of log C* (Q, M)."""
        pairs = [self.one(candidate, point, quantile) for candidate in range(len(self.names))]
        return np.stack([location for location, _ in pairs]), np.stack([scale for _, scale in pairs])

    def one(self, candidate: int, point: Array, quantile: Array | None) -> tuple[Array, Array]:
        """Location and scale (M,) of one candidate."""
        if candidate == 0 or quantile is None:
            return point, np.ones_like(point)
        kind, head = divmod(candidate - 1, len(self.quantiles))
        if kind == 0:
            return quantile[head], np.ones_like(point)
        spread = quantile[head] - point
        tau = TAUS[kind - 1]
        return (point - tau * spread * np.log(spread) if tau else point), spread

    def allowed(self, method: str, eps: float) -> list[int]:
        """Candidate numbers a method may choose among.

        chosen: all; plain: split conformal prediction on the point prediction; naive: the head whose ξ is nearest
        to 1 − ε (naive CQR).
        """
        if method == "chosen":
            return list(range(len(self.names)))
        if method == "plain" or (method == "naive" and not self.quantiles):
            return [0]
        if method == "naive":
            return [1 + int(np.argmin(np.abs(np.array(self.quantiles) - (1.0 - eps))))]
        raise SettingsError(f"method must be one of {', '.join(METHODS)}, not {method!r}")
