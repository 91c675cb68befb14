"""Losses of a residual e = ŷ − y in ln units: value per row and derivative by ŷ.

squared        e²                                             Eq. 1
huber          δ²(√(1 + (e/δ)²) − 1): squared near zero, absolute far away; close to what MAPE rewards
pinball        ξ|e| below, (1 − ξ)|e| above                    Eq. 13 corrected
proportional   (exp(e) − 1)²                                   squared relative error
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
LARGEST_EXPONENT = 3.0  # beyond it the proportional loss goes on along its tangent


@dataclass(frozen=True)
class Loss:
    """value(e) and derivative(e), elementwise on (E, N, H); quantiles (H,) for pinball."""

    name: str
    delta: float = 0.05
    quantiles: tuple[float, ...] = ()

    @property
    def heads(self) -> int:
        """One head for the point prediction, unless the loss is pinball alone, and one per quantile."""
        return len(self.quantiles) + (self.name != "pinball")

    def value(self, e: Array) -> Array:
        """(E, N, H) loss of every head."""
        if not self.quantiles or self.name == "pinball":
            return _FORMS[self.name][0](self, e)
        point = _FORMS[self.name][0](self, e[..., :1])
        return np.concatenate([point, _FORMS["pinball"][0](self, e[..., 1:])], axis=-1)

    def derivative(self, e: Array) -> Array:
        """(E, N, H) derivative of every head's loss by its prediction."""
        if not self.quantiles or self.name == "pinball":
            return _FORMS[self.name][1](self, e)
        point = _FORMS[self.name][1](self, e[..., :1])
        return np.concatenate([point, _FORMS["pinball"][1](self, e[..., 1:])], axis=-1)

    def _xi(self, e: Array) -> Array:
        return np.asarray(self.quantiles, e.dtype)


def _huber_slope(loss: Loss, e: Array) -> Array:
    out = np.square(e)
    out *= 1.0 / loss.delta**2
    out += 1.0
    np.sqrt(out, out=out)
    return np.divide(e, out, out=out)


def _proportional(loss: Loss, e: Array) -> Array:
    near = np.minimum(e, LARGEST_EXPONENT)
    ratio = np.exp(near) - 1.0
    return np.asarray(ratio**2 + (e - near) * 2.0 * ratio * (ratio + 1.0))


def _proportional_slope(loss: Loss, e: Array) -> Array:
    ratio = np.exp(np.minimum(e, LARGEST_EXPONENT))
    return np.asarray(2.0 * (ratio - 1.0) * ratio)


_Form = Callable[[Loss, Array], Array]
_FORMS: dict[str, tuple[_Form, _Form]] = {
    "squared": (lambda loss, e: np.square(e), lambda loss, e: 2.0 * e),
    "huber": (
        lambda loss, e: loss.delta**2 * (np.sqrt(1.0 + np.square(e / loss.delta)) - 1.0),
        _huber_slope,
    ),
    "pinball": (
        lambda loss, e: np.where(e < 0, -loss._xi(e) * e, (1.0 - loss._xi(e)) * e),
        lambda loss, e: np.subtract(e > 0, loss._xi(e), dtype=e.dtype),
    ),
    "proportional": (_proportional, _proportional_slope),
}
