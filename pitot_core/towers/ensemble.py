"""The completion by towers: an ensemble of two-tower networks, each with a baseline of its own (METHOD section 3)."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from pitot_core.baseline import Baseline
from pitot_core.completion import LeftOut, State
from pitot_core.errors import ModelFileError, ObservationsError
from pitot_core.features import Features, Scaler
from pitot_core.known import Known, learnable
from pitot_core.observations import Observations, Queries
from pitot_core.settings import Settings
from pitot_core.splits import folds
from pitot_core.steps import Progress
from pitot_core.towers.learned import Learned
from pitot_core.towers.losses import Loss
from pitot_core.towers.newcomers import learned_again, with_newcomer
from pitot_core.towers.options import SMALL, TowerOptions
from pitot_core.towers.training import Task, Trained, train

Array = NDArray[Any]


class Towers:
    """point: the networks of log Ĉ; heads: those with quantile heads, the same ones where bounds="shared"."""

    Options: ClassVar[type[TowerOptions]] = TowerOptions
    DTYPES: ClassVar[dict[str, str]] = {
        f"{prefix}{name}": "f4" for prefix in ("", "heads_") for name in ("platforms", "workloads")
    }

    def __init__(
        self, settings: Settings, options: TowerOptions, point: Learned, heads: Learned | None
    ) -> None:
        self.settings, self.options, self.point, self.heads = settings, options, point, heads
        self._head = options.quantiles.index(0.5) if settings.bounds == "shared" else 0

    @classmethod
    def usable(cls, rows: Observations, options: TowerOptions) -> Observations:
        """Rows whose time is known; of those the isolated ones with interference="discarded"."""
        rows = rows[rows.measured]
        if options.interference == "discarded":
            rows = rows[rows.n_co_runners == 0]
            if not len(rows):
                raise ObservationsError(
                    'there are no isolated rows, and interference="discarded" drops the others'
                )
        if not len(rows):
            raise ObservationsError("no row has a time that is known; towers cannot learn from limits alone")
        return rows

    @classmethod
    def fit(
        cls,
        rows: Observations,
        features: Features,
        settings: Settings,
        options: TowerOptions,
        progress: Progress | None,
        further: Observations | None = None,
    ) -> tuple[Self, LeftOut]:
        """Train the members, without further rows. A row left out is predicted by a member that has not seen it."""
        fold = folds(rows, options.folds, by=settings.split_by, seed=settings.seed)
        baselines = _baselines(rows, features, fold, options)
        sized = options.sized(len(rows))
        offset = np.stack([baseline(rows.platform, rows.workload) for baseline in baselines])
        task = Task("training", rows, *_inputs(features, options), offset, fold)
        loss = _point_loss(settings, options, sized.huber_delta)
        trained = train(task, settings, options, sized, loss, progress)
        point = Learned.of(trained, baselines, options.negative_slope)
        held, part, left_out = _left_out(task, trained, options)
        heads, quantile = None, None
        if settings.bounds == "heads":
            loss = Loss("pinball", quantiles=options.quantiles)
            second = train(replace(task, phase="heads"), settings, options, sized, loss, progress)
            heads = Learned.of(second, baselines, options.negative_slope)
            quantile = _left_out(task, second, options)[2].T
        elif settings.bounds == "shared":
            heads, quantile = point, left_out.T
        made = cls(settings, options, point, heads)
        return made, LeftOut(rows[held], left_out[:, made._head], quantile, part)

    def log_ns(self, queries: Queries) -> NDArray[np.float64]:
        """(M,) log Ĉ in ln ns, averaged over the members."""
        return self.point.forecast(queries)[:, self._head]

    def judged_ns(self, queries: Queries) -> NDArray[np.float64]:
        """The same: towers learn nothing from calibration rows."""
        return self.log_ns(queries)

    def quantiles(self, queries: Queries) -> NDArray[np.float64] | None:
        """(Q, M) quantiles of log C* in ln ns, or None without heads."""
        return None if self.heads is None else self.heads.forecast(queries).T

    @property
    def levels(self) -> tuple[float, ...]:
        return () if self.heads is None else self.options.quantiles

    def deviation(self, queries: Queries) -> None:
        """None: towers have no posterior."""

    @property
    def parts(self) -> int:
        return self.point.members

    def by_part(self, queries: Queries) -> NDArray[np.float64]:
        """(E, M) ln ns of every member by itself."""
        return np.stack([member.forecast(queries)[:, self._head] for member in self._members])

    @cached_property
    def _members(self) -> list[Learned]:
        return [self.point.member(number) for number in range(self.parts)]

    def alone(self) -> Array:
        return np.asarray(self.point.forecast.alone[..., self._head])

    def startup_share(self, queries: Queries) -> Array:
        base = self.point.base()[:, queries.platform, queries.workload]
        return np.asarray(np.exp(self.point.startup[:, queries.platform] - base).mean(axis=0))

    def interference_norms(self) -> Array:
        return self.point.interference_norms()

    def updated(
        self, rows: Observations, features: Features, known: Known, rehearsal: Observations
    ) -> tuple[Self, Known, dict[str, LeftOut]]:
        """Learn workloads and platforms that no row had before; everything known stays as it is, to the bit.

        Rows of known workloads on known platforms are not used. Raises ObservationsError where nothing is new or a
        newcomer appears only as a co-runner.
        """
        rows = rows[rows.measured]
        newcomers = known.newcomers(rows)
        if not any(len(numbers) for numbers in newcomers.values()):
            raise ObservationsError(
                "every workload and platform of these observations is known; fit again to use them"
            )
        x_w, x_p = _inputs(features, self.options)
        shared = self.heads is self.point
        point = self.point.grown(len(x_w), len(x_p))
        heads = point if shared else self.heads and self.heads.grown(len(x_w), len(x_p))
        rehearsed = {}
        for side, numbers in newcomers.items():
            x = x_w if side == "workload" else x_p
            for number in numbers.tolist():
                mine = learnable(rows, side, number, known, features)
                before = point
                point = with_newcomer(before, side, number, mine, x, known.trained(side))
                if heads is not None:
                    again = with_newcomer(heads, side, number, mine, x, known.trained(side))
                    heads = point if shared else again
                rehearsed[side] = (before, x, known.trained(side), len(mine))
                known = known.with_newcomer(side, number)
        grown = type(self)(self.settings, self.options, point, heads)
        left_out = {side: grown._rehearse(side, rehearsal, *how) for side, how in rehearsed.items()}
        return grown, known, left_out

    def _rehearse(
        self, side: str, rows: Observations, before: Learned, x: Array, known: Array, n_rows: int
    ) -> LeftOut:
        """Rows of known entities, predicted as though each had only n_rows observations."""
        again, left = learned_again(before, rows, side, x, known, n_rows)
        rows = rows[left]
        log_ns = again.forecast(rows)[:, self._head]
        quantile = self.quantiles(rows)
        return LeftOut(rows, log_ns, None if quantile is None else quantile + (log_ns - self.log_ns(rows)))

    def state(self) -> State:
        networks = {"": self.point}
        if self.heads is not None and self.heads is not self.point:
            networks["heads_"] = self.heads
        arrays = {
            prefix + name: getattr(learned, name)
            for prefix, learned in networks.items()
            for name in Learned.array_names()
        }
        return State({"networks": {p: [n.rank, n.types, n.slope] for p, n in networks.items()}}, arrays)

    @classmethod
    def restored(cls, state: State, features: Features, settings: Settings, options: TowerOptions) -> Self:
        networks = {}
        for prefix, (rank, types, slope) in state.header["networks"].items():
            values: dict[str, Any] = {name: state.arrays[prefix + name] for name in Learned.array_names()}
            networks[prefix] = Learned(**values, rank=int(rank), types=int(types), slope=float(slope))
            networks[prefix].check(len(features.platforms), len(features.workloads))
        heads = networks[""] if settings.bounds == "shared" else networks.get("heads_")
        needed = len(options.quantiles) if settings.bounds in ("heads", "shared") else 0
        if needed != (heads.heads if heads else 0):
            raise ModelFileError(f"the model has not the {needed} quantile heads that its settings ask for")
        return cls(settings, options, networks[""], heads)


def _inputs(features: Features, options: TowerOptions) -> tuple[Array, Array]:
    """What the towers see of workloads (W, dw) and of platforms (P, dp)."""

    def scaled(table: Array, used: bool) -> Array:
        return (Scaler.of(table, standardise=options.standardise) if used else Scaler.none())(table)

    return (
        scaled(features.workloads, options.workload_features),
        scaled(features.platforms, options.platform_features),
    )


def _baselines(
    rows: Observations, features: Features, fold: NDArray[np.int64], options: TowerOptions
) -> list[Baseline]:
    """Each member's baseline, fitted on the rows it trains on."""
    sizes = len(features.platform_names), len(features.workload_names)
    if options.objective == "log":
        return [Baseline.constant(rows, *sizes)] * options.members
    startup = options.baseline == "start-up"
    everything = Baseline.fit(rows, *sizes, startup=startup)
    if len(rows) < SMALL:  # every row counts, and the folds still choose the checkpoint
        return [everything] * options.members
    by_fold = []
    for held in range(min(options.members, options.folds)):
        kept = rows[fold != held]
        start = everything if startup else None
        by_fold.append(Baseline.fit(kept, *sizes, startup=startup, start=start) if len(kept) else everything)
    return [by_fold[m % options.folds] for m in range(options.members)]


def _point_loss(settings: Settings, options: TowerOptions, delta: float) -> Loss:
    if settings.bounds == "shared":
        return Loss("pinball", quantiles=options.quantiles)
    if options.objective == "proportional":
        return Loss("proportional")
    if options.loss == "pinball":
        return Loss("pinball", quantiles=(0.5,))
    return Loss(options.loss, delta)


def _left_out(task: Task, trained: Trained, options: TowerOptions) -> tuple[Array, Array, Array]:
    """(n,) rows that some member was not trained on, which member, and its predictions (n, H) of them in ln ns."""
    held = task.held(np.arange(len(trained.predictions)), options.folds)
    rows = np.flatnonzero(held.any(axis=0))
    member = held[:, rows].argmax(axis=0)
    return rows, member, trained.predictions[member, rows]
