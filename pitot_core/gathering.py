"""More rows than memory holds: batches of them become distinct rows, with some jobs kept apart as they came.

Up to `MANY` rows nothing is done to them. Of more,

- a job calibrates, tests or trains by a hash of its number alone, so that both rows of a pair are on one side wherever
  they stand. Rows to calibrate and test with are kept as they are, one by one, for a bound is about one job and not
  about a mean: at most `HELD` of them, and where these are fewer than the shares asked for, the others train;
- rows that train are merged with their equals (see `tables.rows`): memory then depends on the distinct rows;
- of more than `MOST` distinct rows with co-runners a sample is kept, by a hash of platform and workloads, which a pair
  shares; rows alone are all kept. `Gathered.share` says how large it is.

Nothing depends on how rows are cut into batches: times are summed as whole numbers (2⁻³⁰ ln units), and what is
kept is what the whole would keep.
"""

from __future__ import annotations

from collections.abc import Iterable
from copy import copy
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from pitot_core import naming
from pitot_core.distinct import Store, asked_by, observations_of, sets, whole, words_of
from pitot_core.errors import ObservationsError
from pitot_core.features import Features
from pitot_core.keys import mixed, shares
from pitot_core.numbering import MAX_CO_RUNNERS
from pitot_core.observations import Observations, joined
from pitot_core.settings import Settings
from pitot_core.tables.rows import sizes_of

Array = NDArray[Any]
MANY = 1_000_000  # rows up to which all are kept as they are
MOST = 8_000_000  # distinct rows with co-runners
HELD = 200_000  # rows kept apart
PENDING = 1 << 21  # rows that wait to be merged
FEWER = 0.8  # of a share, the next that is tried


@dataclass(frozen=True)
class Gathered:
    """What batches came to.

    training     distinct rows, each with its count; or all rows as they came, where they are few
    calibration  rows kept apart, None where rows are few and the usual split may divide them
    test         the same
    rows         how many there were
    share        of the distinct sets of co-runners, how many train
    """

    training: Observations
    calibration: Observations | None
    test: Observations | None
    rows: int
    share: float


class Gathering:
    """Give it batches with `add`, then take what they came to with `finish`.

    shape is (P, W). calibration and test are shares of all jobs. `by_row` divides rows and not jobs. Up to `many` rows
    (None for any number) are kept as they are.
    """

    def __init__(
        self, shape: tuple[int, int], *, calibration: float = 0.1, test: float = 0.0, seed: int = 0,
        by_row: bool = False, many: int | None = MANY,
    ) -> None:  # fmt: skip
        self.shape, self.seed, self.by_row, self.many = shape, seed, by_row, many
        self.zone = calibration + test
        self._testing = test / self.zone if self.zone > 0.0 else 0.0
        self._few: list[Observations] | None = []
        self._held: list[Observations] = []
        self._places: list[Array] = []
        self._stores = {n: Store(sizes_of(shape, n)) for n in range(MAX_CO_RUNNERS + 1)}
        self.rows, self.share = 0, 1.0

    def add(self, rows: Observations) -> None:
        """Job numbers must mean the same in each batch."""
        self.rows += len(rows)
        if self._few is not None:
            self._few.append(rows)
            if self.many is not None and self.rows > self.many:
                self._divide_few()
        else:
            self._divide(rows)

    def fresh(self) -> Self:
        """One without rows, for others to fill and this to `join`; it keeps no more of them than this would."""
        found = copy(self)
        found._few = None if self._few is None else []
        found._held, found._places, found.rows = [], [], 0
        found._stores = {n: Store(sizes_of(self.shape, n)) for n in self._stores}
        return found

    def join(self, other: Self) -> None:
        """Add what another one of these settings was given, in this process or a different one.

        Both come to what one of all rows would. Where rows are divided by their numbers (`by_row`) none can be joined.
        """
        if self.by_row:
            raise ObservationsError("rows that are divided one by one must be read one after another")
        if other._few is not None:
            for part in other._few:
                self.add(part)
            return
        if self._few is not None:
            self._divide_few()
        self.rows += other.rows
        self._held += other._held
        self._places += other._places
        if other.zone != self.zone or sum(map(len, self._places)) > HELD:
            self.zone = min(self.zone, other.zone)
            self._hold_less()
        if other.share < self.share:
            self._sample(other.share)
        elif other.share > self.share:
            other._sample(self.share)
        for n, store in self._stores.items():
            store.join(other._stores[n])
        self._thin_in_time()

    def __getstate__(self) -> dict[str, Any]:
        """What goes to another process is merged first."""
        if self._few is None:
            self._thin()
        return self.__dict__

    def finish(self) -> Gathered:
        """Raises ObservationsError where there were no rows."""
        if not self.rows:
            raise ObservationsError("there are no observations to train on")
        if self._few is not None:
            return Gathered(joined(*self._few), None, None, self.rows, 1.0)
        self._thin()
        held, place = self._kept_apart()
        training = self._training()
        tests = place < self._testing
        return Gathered(training, held[~tests], held[tests], self.rows, self.share)

    def _divide_few(self) -> None:
        few, self._few, self.rows = self._few or [], None, 0
        for part in few:
            self.rows += len(part)
            self._divide(part)

    def _divide(self, rows: Observations) -> None:
        rows = replace(rows, pace=None)  # many rows at different paces even out
        unit = np.arange(self.rows - len(rows), self.rows) if self.by_row else rows.job
        place = shares(mixed(unit, np.full(len(rows), self.seed)))
        apart = (place < self.zone) & rows.fair
        if apart.any():
            self._held.append(rows[apart])
            self._places.append(place[apart])
            if sum(map(len, self._places)) > HELD:
                self._hold_less()
        self._train(rows[~apart])

    def _hold_less(self) -> None:
        """Halve the share that is kept apart until it is small enough; the others train."""
        held, place = joined(*self._held), np.concatenate(self._places)
        while np.count_nonzero(place < self.zone) > HELD:
            self.zone /= 2.0
        apart = place < self.zone
        self._held, self._places = [held[apart]], [place[apart]]
        self._train(held[~apart])

    def _train(self, rows: Observations) -> None:
        n_co = rows.n_co_runners
        for n, store in self._stores.items():
            some = rows[n_co == n]
            if n and self.share < 1.0:
                some = some[sets(some.platform, some.workload, some.co_runners) < self.share]
            if len(some):
                store.add(words_of(some, n, self.shape), some.log_ns, some.times)
        self._thin_in_time()

    def _thin_in_time(self) -> None:
        if sum(store.pending for store in self._stores.values()) > max(PENDING, self._distinct // 4):
            self._thin()

    @property
    def _distinct(self) -> int:
        return sum(len(store) for store in self._stores.values())

    def _thin(self) -> None:
        """Merge, and while there are too many keep fewer of those with co-runners."""
        for store in self._stores.values():
            store.merge()
        beside = [n for n, store in self._stores.items() if n and len(store)]
        while sum(len(self._stores[n]) for n in beside) > MOST:
            self._sample(self.share * FEWER)

    def _sample(self, share: float) -> None:
        """Of sets of co-runners keep this share alone."""
        self.share = share
        for n, store in self._stores.items():
            if n:
                store.merge()
                store.keep(lambda words, n=n: sets(*asked_by(words, n, self.shape)) < share)  # type: ignore[misc]

    def _kept_apart(self) -> tuple[Observations, Array]:
        """Rows kept apart and their places (n,) in the zone, without copies of what trains.

        Jobs that no other row of their platform or workload would leave to train on go to training, and a time that is
        only known to be above a limit cannot judge.
        """
        if not self._held:
            nothing = np.zeros(0, np.int64)
            return Observations.of(nothing, nothing, log_ns=np.zeros(0)), np.zeros(0)
        held, place = joined(*self._held), np.concatenate(self._places)
        again = np.isin(held.job, held.job[self._copied(held)])
        held, place = held[~again], place[~again]
        for side in ("platform", "workload"):
            numbers = getattr(held, side)
            lacking = ~np.isin(numbers, self._known(side))
            if lacking.any():
                back = np.isin(held.job, held.job[lacking])
                self._train(held[back])
                held, place = held[~back], place[~back]
        if held.censored is not None:
            self._train(held[held.censored])
            held, place = replace(held[held.measured], censored=None), place[held.measured]
        self._thin()
        order = np.lexsort((held.workload, place))
        return held[order], place[order] / self.zone

    def _known(self, side: str) -> Array:
        """Numbers of platforms or workloads that have a row to train on."""
        found = [np.zeros(0, np.int64)]
        for n, store in self._stores.items():
            store.merge()
            platform, workload, _ = asked_by(store.words, n, self.shape)
            found.append(np.unique(platform if side == "platform" else workload))
        return np.concatenate(found)

    def _copied(self, held: Observations) -> NDArray[np.bool_]:
        """(n,) rows that a row to train on equals to the last digit: the same measurement under another job."""
        found = np.zeros(len(held), bool)
        for n, store in self._stores.items():
            at = np.flatnonzero(held.n_co_runners == n)
            if not len(at) or not len(store):
                continue
            words, exact = mixed(*words_of(held[at], n, self.shape)), whole(held.log_ns[at])
            own = mixed(*store.words)
            place = np.argsort(words)
            near = np.minimum(np.searchsorted(words, own, sorter=place), len(at) - 1)
            met = np.flatnonzero(words[place[near]] == own)
            mean = dict(zip(own[met].tolist(), (store.total[met] / store.count[met]).tolist(), strict=True))
            found[at] = [
                mean.get(key) == time for key, time in zip(words.tolist(), exact.tolist(), strict=True)
            ]
        return found

    def _training(self) -> Observations:
        parts = [observations_of(store, n, self.shape) for n, store in self._stores.items() if len(store)]
        return joined(*parts)


def gather(
    given: Any, features: Features, settings: Settings, *, apart: bool, merges: bool
) -> tuple[Observations, Observations | None]:
    """Rows to train on, and where they are many and some are to be kept apart, those to calibrate with.

    They are given as Observations, a table or frame of them, or an iterable of either (see `Observations.named`).
    Raises ObservationsError, UnknownEntity.
    """
    if isinstance(given, Observations) and given.count is not None:  # gathered before
        features.check(given)
        return given, None
    shape, share = (
        (len(features.platforms), len(features.workloads)),
        settings.calibration_share if apart else 0.0,
    )
    many, by_row = MANY if merges else None, settings.split_by == "row"
    gathering = Gathering(shape, calibration=share, seed=settings.seed, by_row=by_row, many=many)
    for batch in _batches(given):
        rows = batch if isinstance(batch, Observations) else Observations.named(batch, features)
        features.check(rows)
        gathering.add(rows)
    found = gathering.finish()
    return found.training, found.calibration if apart else None


def _batches(given: Any) -> Iterable[Any]:
    if isinstance(given, Observations):
        return (
            (given[at : at + PENDING] for at in range(0, len(given), PENDING))
            if len(given) > MANY
            else [given]
        )
    if isinstance(given, dict) or hasattr(given, "columns") or hasattr(given, "column_names"):
        return [naming.arrow(given)]
    if not isinstance(given, Iterable):
        raise ObservationsError(f"{type(given).__name__} is neither observations nor batches of them")
    return given
