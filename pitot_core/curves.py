"""How the residuals of one device are distributed, in units of their spread.

Residuals divided by their spread σ would be distributed alike everywhere if σ told all there is to know. It does not:
one device is disturbed rarely and badly, another often and a little. So every device with enough rows gets a
quantile curve of its own, z = q_device(t). Where t = −ln(1 − share of rows below), a curve is a line for an exponential
tail; between its knots it is one. A row's score is then t rather than z (Eq. 10 with a score of nearly the same
distribution on every device), and a bound goes back from t to z: both ways rise strictly, so bounds are monotone in ε.

A device's curve is the common one times a factor per knot. At every knot the factor moves from that of the knot before
towards what the device's own rows say, the further the more of its rows lie above the knot.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from pitot_core.archive import check_shape
from pitot_core.errors import ModelFileError

Array = NDArray[Any]
SHARES = np.array([0.3, 0.5, 0.65, 0.8, 0.88, 0.92, 0.95, 0.97, 0.985, 0.993, 0.997])
KNOTS = -np.log1p(-SHARES)
ENOUGH = 20.0  # rows above a knot at which a device's own say and that of the knot before weigh the same
TAIL = 4  # knots whose line goes on above the last
LEAST_STEP = 1e-6
MOST_FACTOR = 5.0


@dataclass(frozen=True)
class Curves:
    """values (D, G): of every device, z at KNOTS, rising strictly."""

    values: Array

    @classmethod
    def fit(cls, z: Array, device: NDArray[np.int64], n_devices: int) -> Self:
        """From (N,) residuals in units of their spread, which neither were trained on nor will calibrate."""
        common = np.quantile(z, SHARES)
        count = np.bincount(device, minlength=n_devices)
        by_device = z[np.lexsort((z, device))]
        start = np.cumsum(count) - count
        values, factor = np.tile(common, (n_devices, 1)), np.zeros(n_devices)
        typical = common[np.searchsorted(SHARES, 0.8)]
        for g, share in enumerate(SHARES):
            if common[g] <= 0.05 * typical:  # near zero and below a ratio says nothing
                continue
            at = start + np.clip(np.ceil(share * (count + 1)).astype(int) - 1, 0, np.maximum(count - 1, 0))
            own = np.where(count > 0, by_device[np.minimum(at, len(z) - 1)], common[g])
            own = np.log(np.clip(own / common[g], 1 / MOST_FACTOR, MOST_FACTOR))
            above = count * (1.0 - share)
            factor = (above * own + ENOUGH * factor) / (above + ENOUGH)
            values[:, g] = common[g] * np.exp(factor)
        return cls(np.maximum.accumulate(values, axis=1) + LEAST_STEP * np.arange(len(SHARES)))

    def softened(self, share: float) -> Curves:
        """With devices that differ from the mean curve by this share of the (log) difference they have."""
        typical = np.exp(np.log(np.maximum(self.values, LEAST_STEP)).mean(axis=0))
        ratio = np.log(np.maximum(self.values, LEAST_STEP) / typical)
        values = np.where(self.values > LEAST_STEP, typical * np.exp(share * ratio), self.values)
        return Curves(np.maximum.accumulate(values, axis=1) + LEAST_STEP * np.arange(len(SHARES)))

    def score(self, z: Array, device: NDArray[np.int64]) -> NDArray[np.float64]:
        """(N,) t of residuals z (N,) in units of their spread."""
        found = np.empty(len(z))
        knots, values = self._lines
        for d in np.unique(device):
            rows = np.flatnonzero(device == d)
            found[rows] = _line(z[rows], values[d], knots)
        return found

    def stretch(self, t: Array, device: NDArray[np.int64]) -> NDArray[np.float64]:
        """(M,) z at scores t (M,), for rows on these devices; infinite where t is."""
        knots, values = self._lines
        there = np.clip(t, knots[0], knots[-1])
        below = np.clip(np.searchsorted(knots, there) - 1, 0, len(knots) - 2)
        low, high = values[device, below], values[device, below + 1]
        share = (there - knots[below]) / (knots[below + 1] - knots[below])
        return np.where(np.isfinite(t), low + share * (high - low), t)

    def on_every(self, t: Array) -> NDArray[np.float64]:
        """(D, n) z at finite scores t (n,) on every device."""
        knots, values = self._lines
        return np.stack([_line(t, knots, of_one) for of_one in values])

    def grown(self, n_devices: int) -> Curves:
        """With devices added at the end that have the mean curve."""
        more = n_devices - len(self.values)
        return Curves(np.vstack([self.values, np.tile(self.values.mean(axis=0), (more, 1))]))

    def check(self, n_devices: int) -> None:
        """Raise ModelFileError where arrays from a file are no curves of so many devices."""
        check_shape("curves", self.values, (n_devices, len(KNOTS)))
        if not np.all(np.diff(self.values, axis=1) > 0):
            raise ModelFileError("a quantile curve of the model does not rise")

    def lines(self, device: int) -> tuple[Array, Array]:
        """Knots and values (G + 2,) of a device, with one more at either end, on the lines that go on there."""
        knots, values = self._lines
        return knots, values[device]

    @cached_property
    def _lines(self) -> tuple[Array, Array]:
        """The same of every device: (G + 2,) and (D, G + 2)."""
        values, far = self.values, 1e6
        up = (values[:, -1] - values[:, -TAIL]) / (KNOTS[-1] - KNOTS[-TAIL])
        down = (values[:, 1] - values[:, 0]) / (KNOTS[1] - KNOTS[0])
        ends = values[:, 0] - down * far, values[:, -1] + up * far
        knots = np.concatenate([[KNOTS[0] - far], KNOTS, [KNOTS[-1] + far]])
        return knots, np.concatenate([ends[0][:, None], values, ends[1][:, None]], axis=1)


def _line(x: Array, knots: Array, values: Array) -> Array:
    """Piecewise linear through (knots, values), each rising."""
    return np.asarray(np.interp(x, knots, values))
