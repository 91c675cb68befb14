"""From predictions to times that are not exceeded: spread, candidates, calibration, and newcomers apart."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from pitot_core.archive import check_shape
from pitot_core.candidates import Candidates
from pitot_core.completion import Completion, LeftOut, State
from pitot_core.conformal import EPS_GRID, Calibration, Pool, PoolSize, Scored, check_eps
from pitot_core.errors import ModelFileError
from pitot_core.known import Known
from pitot_core.observations import Observations, Queries
from pitot_core.settings import Settings
from pitot_core.splits import folds
from pitot_core.spread import Spread

Array = NDArray[Any]
FOLDS = 5
FEWEST_FOR_SPREAD = 200  # left-out rows below which every row gets the same distance
POOL = ("scores", "choice_margin")


@dataclass(frozen=True)
class Bounds:
    """What turns log Ĉ into a bound.

    candidates   which forms there are
    spread       σ of every row, or None
    calibration  scores of calibration rows by number of co-runners
    newcomers    by side ("workload", "platform"), scores of known ones that were predicted as though they were new
    """

    candidates: Candidates
    spread: Spread | None
    calibration: Calibration
    newcomers: dict[str, Calibration]

    @classmethod
    def fit(
        cls, completion: Completion, left_out: LeftOut, calibration: Observations, sizes: tuple[int, int],
        settings: Settings,
    ) -> Self:  # fmt: skip
        """Rows left out in training shape the spread and choose between candidates; calibration rows set γ.

        sizes are those of the tables (P, W).
        """
        rows, residual = left_out.rows, left_out.residual
        spread, own = None, None
        if settings.bounds == "spread" and len(rows) >= FEWEST_FOR_SPREAD:
            spread = Spread.fit(rows, residual, *sizes)
            own = np.empty(len(rows))  # each row's σ from rows of other jobs
            fold = folds(rows, FOLDS, by=settings.split_by, seed=settings.seed + 5)
            for held in range(FOLDS):
                others = Spread.fit(rows[fold != held], residual[fold != held], *sizes)
                own[fold == held] = others(rows[fold == held])
        candidates = Candidates(spread is not None, completion.levels)
        location, scale = candidates.of(left_out.log_ns, own, left_out.quantile)
        choosing = Scored(rows.log_ns, rows.n_co_runners, location, scale)
        empty = cls(candidates, spread, Calibration(), {})
        scored = empty._scored(
            LeftOut(calibration, completion.log_ns(calibration), completion.quantiles(calibration))
        )
        return replace(empty, calibration=Calibration.of(scored, choosing))

    def __call__(
        self, completion: Completion, queries: Queries, known: Known, eps: float, method: str
    ) -> NDArray[np.float64]:
        """(M,) ln ns that log C* stays below with probability ≥ 1 − ε."""
        check_eps(eps)
        allowed = self.candidates.allowed(method, eps)
        n_co = queries.n_co_runners
        point, quantile = completion.log_ns(queries), completion.quantiles(queries)
        spread = self.spread(queries) if self.spread is not None else None
        touched = known.touched(queries)
        bound = np.empty(len(queries))
        for n in np.unique(n_co):
            rows = np.flatnonzero(n_co == n)
            candidate, gamma = self.calibration.pick(int(n), eps, allowed)
            location, scale = self.candidates.one(
                candidate,
                point[rows],
                None if spread is None else spread[rows],
                None if quantile is None else quantile[:, rows],
            )
            bound[rows] = location + gamma * scale
            for side, mask in touched.items():
                some = mask[rows]
                own = self.newcomers[side].pools[int(n)].gamma(candidate, eps)
                bound[rows[some]] = np.maximum(bound[rows[some]], location[some] + own * scale[some])
        return np.maximum(bound, point)

    def with_newcomers(self, rehearsed: dict[str, LeftOut], n_workloads: int, n_platforms: int) -> Bounds:
        """With pools for newcomers from known ones predicted as though they were new, and for longer tables."""
        grown = replace(self, spread=self.spread and self.spread.grown(n_workloads, n_platforms))
        newcomers = dict(self.newcomers)
        for side, left_out in rehearsed.items():
            score, n_co = grown._scored(left_out).score(), left_out.rows.n_co_runners
            newcomers[side] = Calibration(
                {
                    n: replace(pool, scores=np.sort(score[:, n_co == n], axis=1).astype(np.float32))
                    for n, pool in self.calibration.pools.items()
                }
            )
        return replace(grown, newcomers=newcomers)

    def sizes(self) -> dict[int, PoolSize]:
        """By number of co-runners: calibration rows and the smallest ε with a finite bound."""
        return self.calibration.sizes()

    def chosen(self, eps: float) -> dict[int, str]:
        """By number of co-runners: the name of the candidate that gives the bound at ε."""
        check_eps(eps)
        names = self.candidates.names
        return {n: names[pool.choose(eps, range(len(names)))] for n, pool in self.calibration.pools.items()}

    def state(self) -> State:
        arrays = {
            f"pool{n}_{part}": getattr(pool, part)
            for n, pool in self.calibration.pools.items()
            for part in POOL
        }
        for side, calibration in self.newcomers.items():
            arrays |= {f"pool{n}_{side}": pool.scores for n, pool in calibration.pools.items()}
        if self.spread is not None:
            arrays |= {f"spread_{name}": getattr(self.spread, name) for name in Spread.array_names()}
        return State({"pools": sorted(self.calibration.pools), "new_sides": sorted(self.newcomers)}, arrays)

    @classmethod
    def restored(cls, state: State, completion: Completion, sizes: tuple[int, int]) -> Self:
        """From what `state` gave. Raises ModelFileError where shapes do not fit."""
        header, arrays, spread = state.header, state.arrays, None
        if "spread_cell" in arrays:
            spread = Spread(*(arrays[f"spread_{name}"] for name in Spread.array_names()))
            spread.check(*sizes)
        candidates = Candidates(spread is not None, completion.levels)
        calibration = Calibration(
            {int(n): Pool(*(arrays[f"pool{int(n)}_{part}"] for part in POOL)) for n in header["pools"]}
        )
        newcomers = {
            str(side): Calibration(
                {n: replace(pool, scores=arrays[f"pool{n}_{side}"]) for n, pool in calibration.pools.items()}
            )
            for side in header["new_sides"]
        }
        for one in (calibration, *newcomers.values()):
            for n, pool in one.pools.items():
                check_shape("scores", pool.scores, (len(candidates.names), None))
                check_shape("choice_margin", pool.choice_margin, (len(candidates.names), len(EPS_GRID)))
                if not 0 <= n <= 3:
                    raise ModelFileError(f"a pool of {n} co-runners is none")
        return cls(candidates, spread, calibration, newcomers)

    def _scored(self, left_out: LeftOut) -> Scored:
        rows = left_out.rows
        spread = self.spread(rows) if self.spread is not None else None
        location, scale = self.candidates.of(left_out.log_ns, spread, left_out.quantile)
        return Scored(rows.log_ns, rows.n_co_runners, location, scale)
