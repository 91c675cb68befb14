"""How long a collection still takes: devices work beside each other, so the one that needs longest says it."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Mapping


class Pace:
    """Each device's time per job so far; orders are random, so that the jobs to come are like those before.

    ``left`` are the jobs still to do by device; after ``budget_s`` none is begun.
    """

    def __init__(self, left: Mapping[str, int], budget_s: float | None = None) -> None:
        self._left = Counter(left)
        self._started = time.monotonic()
        self._ends = self._started + (math.inf if budget_s is None else budget_s)
        self._done: Counter[str] = Counter()
        self._last: dict[str, float] = {}

    def finished(self, device: str) -> None:
        self._last[device] = time.monotonic()
        self._done[device] += 1
        self._left[device] -= 1

    def left_s(self) -> float | None:
        """Seconds until the last device is done; None before any has finished a job."""
        now = time.monotonic()
        told = [
            (last - self._started) / self._done[device] * max(self._left[device], 0) - (now - last)
            for device, last in list(self._last.items())
        ]
        return max(0.0, min(max(told), self._ends - now)) if told else None
