"""The next value of a measured series: five light forecasters, of which the best so far is asked.

After NWSLite: no history is kept, only what each forecaster needs and its sum of squared errors.
"""

from __future__ import annotations

from collections.abc import Iterable
from statistics import median
from typing import Self

FORECASTERS = ("last value", "running mean", "smoothed 0.05", "smoothed 0.5", "median of 5")
WINDOW = 5


class Forecast:
    """``value`` is the forecast (None before any sample), ``forecaster`` whose it is, ``samples`` how many came."""

    def __init__(self) -> None:
        self.samples = 0
        self.errors = [0.0] * len(FORECASTERS)
        self._forecasts = [0.0] * len(FORECASTERS)
        self._recent: list[float] = []

    @classmethod
    def of(cls, values: Iterable[float]) -> Self:
        forecast = cls()
        for value in values:
            forecast.update(value)
        return forecast

    @property
    def value(self) -> float | None:
        return self._forecasts[self._best()] if self.samples else None

    @property
    def forecaster(self) -> str:
        return FORECASTERS[self._best()] if self.samples else ""

    def update(self, value: float) -> float:
        """Score every forecast against what came, move each, and return the next forecast."""
        told, errors, recent = self._forecasts, self.errors, self._recent
        recent.append(value)
        self.samples += 1
        if self.samples > 1:
            last, mean, slow, fast, middle = told
            off = value - last
            errors[0] += off * off
            off = value - middle
            errors[4] += off * off
            off = value - mean
            errors[1] += off * off
            told[1] = mean + off / self.samples
            off = value - slow
            errors[2] += off * off
            told[2] = slow + 0.05 * off
            off = value - fast
            errors[3] += off * off
            told[3] = fast + 0.5 * off
        else:
            told[1] = told[2] = told[3] = value
        told[0] = value
        if len(recent) > WINDOW:
            del recent[0]
            told[4] = sorted(recent)[WINDOW // 2]
        else:
            told[4] = median(recent)
        return told[errors.index(min(errors))]

    def _best(self) -> int:
        return self.errors.index(min(self.errors))  # of equals the first
