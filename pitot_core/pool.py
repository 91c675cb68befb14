"""One number of co-runners: its curves and allotments, its chosen candidate and its calibration scores."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from pitot_core.allotment import Allotment, tenths_of
from pitot_core.candidates import Candidates, Located
from pitot_core.choice import EPS, fairest, least_margins
from pitot_core.conformal import evenly, gamma, order, ranked
from pitot_core.curves import Curves

Array = NDArray[Any]
GRID = np.geomspace(0.001, 0.5, 28)  # ε at which heads are chosen
ENOUGH_FOR_CURVES = 500  # left-out rows of a number of co-runners
ENOUGH_TO_CHOOSE = 30_000  # of which so many choose between candidates


@dataclass(frozen=True)
class Pool:
    """curves and allotments by candidate (none where rows are few); choice (G,) candidate at each ε of GRID.

    scores (C, n) are those of calibration rows, sorted.
    """

    candidates: Candidates
    curves: dict[int, Curves]
    choice: NDArray[np.int64]
    scores: NDArray[np.float32]
    allotments: dict[int, Allotment] = field(default_factory=dict)

    @classmethod
    def shaped(
        cls, candidates: Candidates, log_ns: Array, rows: Located, n_devices: int, *, beside: bool
    ) -> Self:
        """Curves, allotments and choice from rows left out in training, with spreads that had not seen them.

        There are no scores yet. beside says whether these rows ran beside others.
        """
        allowed = candidates.allowed("chosen", 0.1)
        made = cls.plain(candidates, allowed[-1])
        if candidates.of_spread and rows.spread is not None:
            if len(log_ns) < ENOUGH_FOR_CURVES:
                return made
            own: dict[float, Curves] = {}
            tenths = tenths_of(rows.spread)
            for candidate, (power, share) in candidates.of_spread.items():
                location, scale = candidates.one(candidate, rows)
                if power not in own:
                    own[power] = Curves.fit((log_ns - location) / scale, rows.device, n_devices)
                curves = made.curves[candidate] = own[power].softened(share)
                allotment = Allotment.fit(
                    log_ns - location, rows.spread, scale, rows.device, curves, beside=beside, tenths=tenths
                )
                if allotment is not None:
                    made.allotments[candidate] = allotment
            some = slice(None, None, -(-len(log_ns) // ENOUGH_TO_CHOOSE))
            log_ns, rows = log_ns[some], rows[some]
            assert rows.spread is not None
            bounds = np.array([made._own_bounds(candidate, log_ns, rows) for candidate in allowed])
            chosen = allowed[
                fairest(bounds, log_ns, rows.spread, rows.device, allotted=bool(made.allotments))
            ]
            return replace(made, choice=np.full(len(GRID), chosen, np.int64))
        locations = np.stack([candidates.one(candidate, rows)[0] for candidate in allowed])
        return replace(made, choice=np.array(allowed)[least_margins(locations, log_ns, GRID)])

    @classmethod
    def plain(cls, candidates: Candidates, candidate: int) -> Self:
        """One candidate at every ε, without curves and without scores."""
        empty = np.zeros((len(candidates.names), 0), np.float32)
        return cls(candidates, {}, np.full(len(GRID), candidate, np.int64), empty)

    def with_scores(self, scores: NDArray[np.float32]) -> Pool:
        return replace(self, scores=scores)

    def grown(self, n_devices: int) -> Pool:
        """For more devices."""
        return replace(self, curves={c: curves.grown(n_devices) for c, curves in self.curves.items()})

    def calibrated(self, log_ns: Array, rows: Located, who: NDArray[np.int64] | None = None) -> Pool:
        """With the scores of these rows; where `who` (N,) says whose they are, everyone counts alike."""
        names = self.candidates.names
        scores = np.stack([self._score(c, log_ns, rows) for c in range(len(names))])
        return replace(self, scores=ranked(scores if who is None else evenly(scores, who)))

    def bound(self, rows: Located, eps: float, method: str) -> Array:
        """(M,) ln ns that log C* stays below with probability ≥ 1 − ε; never falls where ε does."""
        if method != "chosen":
            return self._at(self.candidates.allowed(method, eps)[0], rows, eps)
        # Between two ε of the grid one candidate serves. Those of larger ε come in with the lower ends of theirs.
        here = int(np.searchsorted(GRID, eps))
        levels = {int(self.choice[min(here, len(GRID) - 1)]): eps}
        for g in range(here + 1, len(GRID)):
            levels.setdefault(int(self.choice[g]), float(GRID[g - 1]))
        return np.asarray(np.max([self._at(c, rows, level) for c, level in levels.items()], axis=0))

    def chosen(self, eps: float) -> str:
        """The name of the candidate that serves ε."""
        return self.candidates.names[int(self.choice[min(int(np.searchsorted(GRID, eps)), len(GRID) - 1)])]

    def _at(self, candidate: int, rows: Located, eps: float) -> Array:
        return self._stretched(candidate, rows, gamma(self.scores[candidate], eps))

    def _stretched(self, candidate: int, rows: Located, score: float) -> Array:
        location, scale = self.candidates.one(candidate, rows)
        curves, allotment = self.curves.get(candidate), self.allotments.get(candidate)
        place = np.full(len(location), score)
        if allotment is not None and rows.spread is not None:
            place = allotment.places(score, rows.spread)
        return np.asarray(
            location + scale * (place if curves is None else curves.stretch(place, rows.device))
        )

    def _score(self, candidate: int, log_ns: Array, rows: Located) -> Array:
        location, scale = self.candidates.one(candidate, rows)
        curves, allotment = self.curves.get(candidate), self.allotments.get(candidate)
        z = (log_ns - location) / scale
        if curves is None:
            return z
        place = curves.score(z, rows.device)
        if allotment is None or rows.spread is None:
            return place
        return allotment.score(place, rows.spread)

    def _own_bounds(self, candidate: int, log_ns: Array, rows: Located) -> list[Array]:
        """At each of EPS, the bounds of rows by a correction from themselves: good enough to compare candidates."""
        ordered = np.sort(self._score(candidate, log_ns, rows))
        return [
            self._stretched(candidate, rows, float(ordered[min(order(len(ordered), eps), len(ordered)) - 1]))
            for eps in EPS
        ]
