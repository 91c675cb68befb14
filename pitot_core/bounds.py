"""From predictions to times that are not exceeded: spread, pools by number of co-runners, and newcomers apart."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from pitot_core.candidates import SCALES, Candidates, Located
from pitot_core.completion import Completion, LeftOut
from pitot_core.conformal import PoolSize, check_eps, require
from pitot_core.cross import CrossPool
from pitot_core.features import Features
from pitot_core.known import SIDES, Known
from pitot_core.observations import Observations, Queries
from pitot_core.pool import Pool
from pitot_core.settings import Settings
from pitot_core.spread import Alike, Spread
from pitot_core.steps import side_by_side

Array = NDArray[Any]
ENOUGH_FOR_SPREAD = 200  # left-out rows below which every row gets the same distance


@dataclass(frozen=True)
class Bounds:
    """What turns log Ĉ into a bound.

    candidates  which forms of a bound there are
    spread      σ of every row
    devices     (P,) the device of each platform
    pools       by number of co-runners; without scores where `cross` serves
    cross       by number of co-runners, where no rows were kept apart for calibration
    newcomers   by side ("workload", "platform"), pools of known ones that were predicted as though they were new
    """

    candidates: Candidates
    spread: Spread
    devices: NDArray[np.int64]
    pools: dict[int, Pool]
    cross: dict[int, CrossPool]
    newcomers: dict[str, dict[int, Pool]]

    @classmethod
    def fit(
        cls, completion: Completion, left_out: LeftOut, calibration: Observations | None, features: Features,
        settings: Settings,
    ) -> Self:  # fmt: skip
        """Rows left out in training shape the spread and choose between candidates; calibration rows set γ.

        Without calibration rows, the rows left out set it too (CV+), and choose nothing: all but those that were
        measured for what they teach.
        """
        rows = left_out.rows
        sizes = len(features.platforms), len(features.workloads)
        alike = Alike.of(_judged_alone(completion, sizes), features)
        spread, own = Spread.fit(
            rows, left_out.residual, left_out.deviation, alike, settings.split_by, settings.seed + 5
        )
        scales = settings.bounds == "spread" and len(rows) >= ENOUGH_FOR_SPREAD
        candidates = Candidates(SCALES if scales else (), completion.levels)
        empty = cls(candidates, spread, features.devices, {}, {}, {})
        located = Located(
            left_out.log_ns, empty.devices[rows.platform], own if scales else None, left_out.quantile
        )
        if calibration is None:
            cross = _cross(left_out[rows.fair], own[rows.fair] if scales else None)
            return replace(empty, cross=cross, pools=empty._unshaped(rows))
        scored = empty._located(completion, calibration)
        n_devices, numbers = int(empty.devices.max()) + 1, np.unique(calibration.n_co_runners).tolist()

        def pool(n: int) -> Pool:
            these, ours = rows.n_co_runners == n, calibration.n_co_runners == n
            there = located[these]
            shaped = Pool.shaped(candidates, rows.log_ns[these], there, n_devices, beside=n > 0)
            return shaped.calibrated(calibration.log_ns[ours], scored[ours])

        pools = dict(zip(numbers, side_by_side(pool, numbers, worth=True), strict=True))
        return replace(empty, pools=pools)

    def __call__(
        self, completion: Completion, queries: Queries, known: Known, eps: float, method: str
    ) -> NDArray[np.float64]:
        """(M,) ln ns that log C* stays below with probability ≥ 1 − ε, never below log Ĉ."""
        check_eps(eps)
        self.candidates.allowed(method, eps)
        n_co, rows = queries.n_co_runners, self._located(completion, queries)
        touched = known.touched(queries)
        by_part = completion.by_part(queries) if self.cross else None
        bound = np.empty(len(queries))
        for n in np.unique(n_co).tolist():
            require(n, self.calibrated)
            these = np.flatnonzero(n_co == n)
            asked = rows[these]
            if n in self.cross:
                assert by_part is not None
                scaled = asked.spread if method == "chosen" and self.candidates.scales else None
                bound[these] = self.cross[n].bound(by_part[:, these], scaled, eps)
            else:
                bound[these] = self.pools[n].bound(asked, eps, method)
            for side, mask in touched.items():
                some = mask[these]
                own = self.newcomers[side][n].bound(asked[some], eps, method)
                bound[these[some]] = np.maximum(bound[these[some]], own)
        return np.maximum(bound, completion.log_ns(queries))

    @property
    def calibrated(self) -> Iterable[int]:
        """The numbers of co-runners that bounds can be asked for."""
        return sorted({n for n, pool in self.pools.items() if pool.scores.shape[1]} | set(self.cross))

    def sizes(self) -> dict[int, PoolSize]:
        """By number of co-runners: calibration rows and the smallest ε with a finite bound."""
        found = {}
        for n in self.calibrated:
            if n in self.cross:
                found[n] = PoolSize.of(n, len(self.cross[n].residual), "cross")
            else:
                found[n] = PoolSize.of(n, self.pools[n].scores.shape[1])
        return found

    def chosen(self, eps: float) -> dict[int, str]:
        """By number of co-runners: the name of the candidate that gives the bound at ε."""
        check_eps(eps)
        return {n: self.pools[n].chosen(eps) for n in self.calibrated}

    def with_newcomers(self, rehearsed: dict[str, LeftOut], features: Features, known: Known) -> Bounds:
        """With pools for newcomers from known ones predicted as though they were new, and for longer tables."""
        devices = features.devices
        spread = self.spread.grown(len(features.platforms), len(features.workloads))
        for side in SIDES:
            spread = spread.anew(side, np.flatnonzero(known.new_of_side(side)), known.trained(side))

        def grown(pools: dict[int, Pool]) -> dict[int, Pool]:
            return {n: pool.grown(int(devices.max()) + 1) for n, pool in pools.items()}

        newcomers = {side: grown(pools) for side, pools in self.newcomers.items()}
        longer = replace(self, spread=spread, devices=devices, pools=grown(self.pools), newcomers=newcomers)
        for side, left_out in rehearsed.items():
            rows = left_out.rows
            who = rows.workload if side == "workload" else rows.platform
            as_new = spread.anew(side, np.unique(who), known.trained(side))
            located = Located(
                left_out.log_ns, devices[rows.platform], as_new(rows, left_out.deviation), left_out.quantile
            )
            newcomers[side] = {}
            for n, pool in longer.pools.items():
                mine = rows.n_co_runners == n
                newcomers[side][n] = pool.calibrated(rows.log_ns[mine], located[mine], who[mine])
        return longer

    def _unshaped(self, rows: Observations) -> dict[int, Pool]:
        """Pools that only newcomers will need: one scale or the same distance for all, and no scores."""
        last = self.candidates.allowed("chosen", 0.1)[-1]
        return {int(n): Pool.plain(self.candidates, last) for n in np.unique(rows.n_co_runners)}

    def _located(self, completion: Completion, queries: Queries) -> Located:
        spread = self.spread(queries, completion.deviation(queries)) if self.candidates.scales else None
        device = self.devices[queries.platform]
        return Located(completion.judged_ns(queries), device, spread, completion.quantiles(queries))


def _judged_alone(completion: Completion, sizes: tuple[int, int]) -> Array:
    """(P, W) ln ns alone, by the fit that bounds are measured from."""
    platform, workload = np.divmod(np.arange(sizes[0] * sizes[1]), sizes[1])
    return completion.judged_ns(Queries.of(platform, workload)).reshape(sizes)


def _cross(left_out: LeftOut, own: Array | None) -> dict[int, CrossPool]:
    n_co, residual = left_out.rows.n_co_runners, left_out.residual
    assert left_out.part is not None
    spread = np.ones(len(residual)) if own is None else own
    return {
        int(n): CrossPool(residual[n_co == n], spread[n_co == n], left_out.part[n_co == n])
        for n in np.unique(n_co)
    }
