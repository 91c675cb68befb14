"""Which rows the misses fall on: how often each tenth of predicted spread may be exceeded, at every ε.

A bound that is exceeded in a share ε of all rows may be exceeded more often in some tenths of them and less often in
others. A point of coverage costs little margin where times are sure and much where they are not, so equal shares are
dear, and the cheapest shares give up on the rows that are least sure. Here every tenth gets the share that makes the
mean margin least, but none is exceeded more than twice as often as promised, nor by more than MOST more often (or in
more than SELDOM of its rows, where that is more). Alone MOST is less: what was left out alone is known a little from
what ran beside others, most where times are least sure, so that times of new jobs are further off there.

A row's place t on the curve of its device (see `curves`) is compared with the places that its spread is allotted at
each ε, and is worth the ε at which the two are equal: its score is s = −ln ε. Places rise as ε falls, and lie on lines
between the middles of the tenths (by ln σ) and between those ε. So bounds are monotone in ε, and whatever is allotted,
calibration makes them hold (Eq. 10 with another score).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from pitot_core.archive import check_shape
from pitot_core.choice import MOST_ABOVE, TENTHS
from pitot_core.curves import Curves
from pitot_core.errors import ModelFileError

Array = NDArray[Any]
STEPS = np.array([0.5, 0.3, 0.2, 0.15, 0.1, 0.07, 0.05, 0.03, 0.02, 0.01, 0.005, 0.002])  # ε
SCORES = -np.log(STEPS)
TWICE = 2.0  # times ε, the most often that a tenth is exceeded
SELDOM = 0.09  # of its rows: a tenth may be exceeded so often, even if that is more than MOST above ε
MOST = (0.03, 0.045)  # above ε, the most often that a tenth is exceeded: alone, beside others
SHARES = 1.0 - np.geomspace(0.6, 0.0005, 90)  # of a tenth's rows, among which the share covered is chosen
ENOUGH = 200  # rows of a tenth below which nothing is allotted
TOLD = 1500  # rows of a tenth from which margins are told
LEAST_STEP = 1e-6
HALVINGS = 50


@dataclass(frozen=True)
class Allotment:
    """middle (10,) ln σ in the middle of each tenth, rising; place (E, 10) t allotted at each of STEPS, rising."""

    middle: Array
    place: Array

    @classmethod
    def fit(
        cls,
        residual: Array,
        spread: Array,
        scale: Array,
        device: NDArray[np.int64],
        curves: Curves,
        *,
        beside: bool,
        tenths: list[Array] | None = None,
    ) -> Self | None:
        """From (N,) residuals and σ of rows that predictions had not seen; None where they are too few.

        scale (N,) is what a bound multiplies places by, device (N,) the number of each row's; beside others or not.
        tenths are those of the spread, where they are known (see `tenths_of`).
        """
        if len(residual) < TENTHS * ENOUGH:
            return None
        place = curves.score(residual / scale, device)
        tenths = tenths_of(spread) if tenths is None else tenths
        at = np.stack([_quantiles(place[rows]) for rows in tenths])
        margins = np.empty_like(at)
        for tenth, rows in enumerate(tenths):
            some = rows[:: -(-len(rows) // TOLD)]
            margins[tenth] = _margins(residual[some], scale[some], curves.on_every(at[tenth]), device[some])
        chosen = np.maximum.accumulate(cheapest(margins, STEPS, MOST[int(beside)]), axis=0)
        allotted = at[np.arange(TENTHS), chosen]
        middle = np.array([np.log(spread[rows]).mean() for rows in tenths])
        return cls(rising(middle), rising(allotted))

    def score(self, place: Array, spread: Array) -> NDArray[np.float64]:
        """(M,) s of rows at these places t on their curves, with these σ."""
        between = self._between(spread)
        above = np.zeros(len(place), np.intp)
        for step in range(len(STEPS)):
            above += self._at(step, between) < place
        upper = np.clip(above, 1, len(STEPS) - 1)
        low, high = self._at(upper - 1, between), self._at(upper, between)
        share = (place - low) / (high - low)
        return np.asarray(SCORES[upper - 1] + share * (SCORES[upper] - SCORES[upper - 1]))

    def places(self, score: float, spread: Array) -> NDArray[np.float64]:
        """(M,) t at one score s, for rows of these σ; infinite where s is."""
        if np.isinf(score):
            return np.full(len(spread), score)
        upper = int(np.clip(np.searchsorted(SCORES, score), 1, len(STEPS) - 1))
        between = self._between(spread)
        low, high = self._at(upper - 1, between), self._at(upper, between)
        share = (score - SCORES[upper - 1]) / (SCORES[upper] - SCORES[upper - 1])
        return np.asarray(low + share * (high - low))

    def check(self) -> None:
        """Raise ModelFileError where arrays from a file are no allotment."""
        check_shape("allotment_middle", self.middle, (TENTHS,))
        check_shape("allotment_place", self.place, (len(STEPS), TENTHS))
        if not np.all(np.diff(self.middle) > 0) or not np.all(np.diff(self.place, axis=0) > 0):
            raise ModelFileError("an allotment of the model does not rise")

    def _between(self, spread: Array) -> tuple[NDArray[np.intp], Array]:
        """(M,) the tenth whose middle is the last below each σ, and how far it is from there to the next."""
        log = np.log(spread)
        below = np.clip(np.searchsorted(self.middle, log) - 1, 0, TENTHS - 2)
        low, high = self.middle[below], self.middle[below + 1]
        return below, np.clip((log - low) / (high - low), 0.0, 1.0)

    def _at(self, step: Any, between: tuple[NDArray[np.intp], Array]) -> Array:
        """(M,) t that is allotted at a step, or at one of each row's own (M,)."""
        below, share = between
        low = self.place[step, below]
        return np.asarray(low + share * (self.place[step, below + 1] - low))


def tenths_of(spread: Array) -> list[Array]:
    """Row numbers of each tenth of σ (N,), the surest first."""
    return np.array_split(np.argsort(spread, kind="stable"), TENTHS)


def _quantiles(values: Array) -> Array:
    """(S,) quantiles at SHARES: of so many, those of sorted values are the cheapest to find."""
    return np.asarray(np.interp(SHARES * (len(values) - 1), np.arange(len(values)), np.sort(values)))


def _margins(residual: Array, scale: Array, stretched: Array, device: NDArray[np.int64]) -> Array:
    """(S,) mean margin of rows (N,) at each of S places, stretched (D, S) on every device; as near as float32 tells."""
    above = scale.astype(np.float32)[:, None] * stretched.astype(np.float32)[device]
    np.maximum(above, 0.0, out=above)
    above -= residual.astype(np.float32)[:, None]
    np.clip(above, 0.0, MOST_ABOVE, out=above)
    np.exp(above, out=above)
    return np.asarray(above.mean(axis=0, dtype=np.float64) - 1.0)


def cheapest(margins: Array, eps: Array, most: float) -> NDArray[np.int64]:
    """(E, 10) which of SHARES every tenth should have covered, for the least mean margin with 1 − ε covered in all.

    margins (10, S) are those of each tenth at each of SHARES, eps (E,). What a point of coverage may cost, the same in
    every tenth, is halved in until the mean is right (Lagrange).
    """
    most_often = np.minimum(TWICE * eps, np.maximum(eps + most, SELDOM))
    allowed = 1.0 - most_often[:, None] - 1e-9 <= SHARES
    forbidden = np.where(allowed, 0.0, np.inf)[:, None, :]

    def at(price: Array) -> NDArray[np.int64]:
        return np.asarray((margins - (price[:, None] * SHARES)[:, None, :] + forbidden).argmin(axis=2))

    low, high = np.full(len(eps), 1e-7), np.full(len(eps), 1e4)
    for _ in range(HALVINGS):
        price = np.sqrt(low * high)
        dear = SHARES[at(price)].mean(axis=1) < 1.0 - eps
        low, high = np.where(dear, price, low), np.where(dear, high, price)
    return at(high)


def rising(values: Array) -> Array:
    """The same, never falling along the first axis, and by LEAST_STEP at least rising."""
    steps = LEAST_STEP * np.arange(len(values))
    return np.asarray(np.maximum.accumulate(values, axis=0) + steps.reshape(-1, *[1] * (values.ndim - 1)))
