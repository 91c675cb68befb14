"""How much memory a workload takes on a platform: what was measured, and a bound that also holds where nothing was.

An engine's process holds the engine, whatever it runs, and what the workload needs under it, which is nearly the same
under every engine (its linear memory above all):

    m_ij ≈ a_j + w_i

with medians for both, so that one odd cell moves nothing. Two kinds of cells are told apart. Where a cell was measured,
the expectation is the most that was ever seen, and the bound is that times what another job of a cell was above all its
earlier ones. Where it was not, the expectation is the sum above, and the bound is that times what a measured cell was
above the sum that had not seen it. Both factors are order statistics of such ratios, as in split conformal prediction.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import Any, Self

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from harness.dataset.peaks import KB, PEAK, peak_kb
from harness.dataset.store import Dataset
from harness.errors import ModelError
from pitot_core import Features, Pitot
from pitot_core.conformal import gamma
from pitot_core.keys import hashed, mixed

Array = NDArray[Any]
CARD = "memory"  # its place in the card of a model
SWEEPS = 20
FOLDS = 5
FREE_SHARE = 0.05  # a device has as much free memory as before all but this share of its jobs
DIGITS = 4


class Kept(msgspec.Struct, frozen=True):
    """As it stands in a model: P platforms and W workloads by the model's numbers, memory in kB of 1,024 bytes.

    engine (P,) and own (W,) add up to what is expected, null where nothing was measured; cells are [platform, workload,
    most that was measured]; again and new are the sorted logarithms of ratios; free is by device.
    """

    engine: list[float | None]
    own: list[float | None]
    cells: list[tuple[int, int, int]]
    again: list[float]
    new: list[float]
    free: dict[str, int]


@dataclass(frozen=True)
class Memory:
    """measured and expected (P, W) bytes, NaN where there is none; free bytes of devices that tell it."""

    measured: Array
    expected: Array
    again: Array
    new: Array
    free: dict[str, int]

    def bound(self, eps: float) -> Array:
        """(P, W) bytes that are exceeded with probability ε at most; infinite where nothing can be promised."""
        known = ~np.isnan(self.measured)
        factor = np.exp(np.where(known, gamma(self.again, eps), gamma(self.new, eps)))
        bound = np.maximum(self.expected * factor, self.expected)
        return np.where(np.isnan(self.expected), np.inf, bound)

    @classmethod
    def of(cls, model: Pitot) -> Memory | None:
        """What a model was told of memory; None where it was told nothing. Raises ModelError where that is damaged."""
        if CARD not in model.card or model.features is None:
            return None
        return cls.restored(
            model.card[CARD], (len(model.features.platform_names), len(model.features.workload_names))
        )

    @classmethod
    def restored(cls, entry: Any, shape: tuple[int, int]) -> Memory:
        """From what `entry_of` gave, for a model of (P, W) platforms and workloads. Raises ModelError."""
        try:
            return _restored(msgspec.convert(entry, Kept), shape)
        except (msgspec.ValidationError, IndexError, ValueError) as error:
            raise ModelError(
                f"what the model keeps of memory is damaged ({error}); train it again."
            ) from error


class Peaks:
    """What parts of a dataset tell of memory, seen one after another: kept by cell and device, whatever their number.

    Names are numbered as the dataset describes them. Rows of a cell are taken in the order of a hash of their jobs, as
    good as a random one: the first is `one`, and `most` the largest of the others.
    """

    columns = ("job", "platform", "workload", "device", "state_before", PEAK)

    def __init__(self, dataset: Dataset) -> None:
        platforms = dataset.platforms()
        self._limits = _limits(platforms.select(["device", "facts"]).to_pylist())
        self._names = tuple(
            sorted(table[kind].to_pylist())
            for kind, table in (("platform", platforms), ("workload", dataset.workloads()))
        )
        self._cells: _Cells | None = None  # until a row tells of memory
        self._free: dict[str, Counter[int]] = defaultdict(Counter)

    def add(self, part: pa.Table) -> None:
        """A table with these columns."""
        free = pc.struct_field(part["state_before"].combine_chunks(), "free_memory_bytes")
        told = pa.table({"device": part["device"], "free": pc.divide(free, KB)}).filter(free.is_valid())
        for one in told.group_by(["device", "free"]).aggregate([([], "count_all")]).to_pylist():
            self._free[one["device"]][one["free"]] += one["count_all"]
        peak = peak_kb(part["samples"])
        if np.isnan(peak).all():
            return
        platform, workload = (
            pc.fill_null(pc.index_in(part[kind], pa.array(known, pa.string())), -1).to_numpy()
            for kind, known in zip(("platform", "workload"), self._names, strict=True)
        )
        known = (platform >= 0) & (workload >= 0) & ~np.isnan(peak)
        cell = platform[known].astype(np.int64) * len(self._names[1]) + workload[known]
        self._of_cells().add(cell, hashed(part["job"])[known], peak[known])

    def join(self, other: Peaks) -> None:
        """Add what another one of this dataset was shown, of other rows."""
        for device, counts in other._free.items():
            self._free[device].update(counts)
        if other._cells is not None:
            self._of_cells().join(other._cells)

    def entry(self, features: Features) -> dict[str, Any]:
        """For the card of a model of these platforms and workloads; empty where no device told of memory."""
        shape = len(self._names[0]), len(self._names[1])
        wanted = [
            np.searchsorted(known, names) for known, names in
            zip(self._names, (features.platform_names, features.workload_names), strict=True)
        ]  # fmt: skip
        one, others = (
            values.reshape(shape)[np.ix_(*wanted)]
            for values in (self._of_cells().one, self._of_cells().others)
        )
        least = {device: _quantile(counts, FREE_SHARE) for device, counts in sorted(self._free.items())}
        limited = {device: min(free, self._limits.get(device, free)) for device, free in least.items()}
        return _entry(one, others, limited)

    def _of_cells(self) -> _Cells:
        if self._cells is None:
            self._cells = _Cells.none(len(self._names[0]) * len(self._names[1]))
        return self._cells


@dataclass
class _Cells:
    """Of each cell (C,) the least hash of a job, the peak of that one, and the most of all others (NaN: none)."""

    least: Array
    one: Array
    others: Array

    @classmethod
    def none(cls, size: int) -> Self:
        return cls(np.full(size, np.uint64(2**64 - 1)), np.full(size, np.nan), np.full(size, np.nan))

    def join(self, other: _Cells) -> None:
        cell = np.flatnonzero(~np.isnan(other.one))
        self.add(cell, other.least[cell], other.one[cell])
        self.others = np.fmax(self.others, other.others)

    def add(self, cell: Array, job: Array, peak: Array) -> None:
        """Rows in any order; of those of one cell the order of their jobs decides."""
        order = np.lexsort((peak, job, cell))
        cell, job, peak = cell[order], job[order], peak[order]
        first = np.append(True, cell[1:] != cell[:-1])[: len(cell)]
        np.fmax.at(self.others, cell[~first], peak[~first])
        cell, job, peak = cell[first], job[first], peak[first]
        ahead = job < self.least[cell]
        behind = cell[~ahead]
        self.others[behind] = np.fmax(self.others[behind], peak[~ahead])
        now = cell[ahead]
        self.others[now] = np.fmax(self.others[now], self.one[now])
        self.one[now], self.least[now] = peak[ahead], job[ahead]


def _limits(platforms: list[dict[str, Any]]) -> dict[str, int]:
    """kB by device that the control group of its agent allows, where there is such a limit."""
    found: dict[str, int] = {}
    for row in platforms:
        limit = dict(row["facts"] or []).get("memory_limit_bytes", "")
        if limit.isdecimal():
            found[row["device"]] = min(found.get(row["device"], int(limit) // KB), int(limit) // KB)
    return found


def _quantile(counts: Counter[int], share: float) -> int:
    """The lower empirical quantile of counted values."""
    values = sorted(counts)
    upto = np.cumsum([counts[value] for value in values])
    return values[int(np.searchsorted(upto, int(share * (upto[-1] - 1)), side="right"))]


def entry_of(peaks: Array, shape: tuple[int, int], free: dict[str, int]) -> dict[str, Any]:
    """The same from (N, 4) platform, workload, job and peak in kB, and free kB by device."""
    size = shape[0] * shape[1]
    cells = _Cells.none(size)
    cell = (peaks[:, 0] * shape[1] + peaks[:, 1]).astype(np.int64)
    cells.add(cell, mixed(peaks[:, 2]), peaks[:, 3])
    return _entry(cells.one.reshape(shape), cells.others.reshape(shape), free)


def _entry(one: Array, others: Array, free: dict[str, int]) -> dict[str, Any]:
    most = np.fmax(one, others)
    if np.isnan(most).all():
        return {}
    engine, own = fit(most)
    cells = [(p, w, int(most[p, w])) for p, w in np.argwhere(~np.isnan(most)).tolist()]
    again = np.log(one / others)
    kept = Kept(
        _listed(engine),
        _listed(own),
        cells,
        _sorted(again[~np.isnan(again)]),
        _sorted(_seen_anew(most)),
        free,
    )
    return {CARD: msgspec.to_builtins(kept)}


def fit(most: Array) -> tuple[Array, Array]:
    """Of (P, W) measured cells, NaN where there is none: (P,) engine and (W,) own, none of which is negative."""
    engine, own = np.zeros(most.shape[0]), np.zeros(most.shape[1])
    for _ in range(SWEEPS):
        engine = _median(most - own, axis=1)
        own = _median(most - engine[:, None], axis=0)
    shift = np.nanmin(own)  # what every workload needs belongs to the engine
    return np.maximum(engine + shift, 0), own - shift


def _seen_anew(most: Array) -> Array:
    """Of each cell ln(measured / what is expected by all cells but its fold); those that leave nothing are left out."""
    cells = np.argwhere(~np.isnan(most))
    fold = np.random.default_rng(0).permutation(len(cells)) % FOLDS
    found = []
    for held in range(FOLDS):
        rows, columns = cells[fold == held].T
        others = most.copy()
        others[rows, columns] = np.nan
        if np.isnan(others).all():
            continue
        engine, own = fit(others)
        found.append(np.log(most[rows, columns] / np.maximum(engine[rows] + own[columns], 1)))
    scores = np.concatenate([np.zeros(0), *found])
    return np.asarray(scores[~np.isnan(scores)])


def _restored(kept: Kept, shape: tuple[int, int]) -> Memory:
    if len(kept.engine) > shape[0] or len(kept.own) > shape[1]:
        raise ValueError("it names more than the model does")
    sums = np.full(shape, np.nan)
    engine, own = (np.array([np.nan if x is None else x for x in side]) for side in (kept.engine, kept.own))
    sums[: len(engine), : len(own)] = engine[:, None] + own
    measured = np.full(shape, np.nan)
    for platform, workload, most in kept.cells:
        if min(platform, workload) < 0 or most <= 0:
            raise ValueError("a cell is none")
        measured[platform, workload] = most
    expected = np.where(np.isnan(measured), sums, measured)
    again, new = np.array(kept.again, np.float64), np.array(kept.new, np.float64)
    free = {device: KB * size for device, size in kept.free.items()}
    return Memory(KB * measured, KB * expected, again, new, free)


def _median(values: Array, axis: int) -> Array:
    """Medians of what is there; NaN where nothing is."""
    found = np.full(values.shape[1 - axis], np.nan)
    some = ~np.isnan(values).all(axis=axis)
    found[some] = np.nanmedian(values[some] if axis == 1 else values[:, some], axis=axis)
    return found


def _listed(values: Array) -> list[float | None]:
    return [None if np.isnan(x) else round(x, 1) for x in values.tolist()]


def _sorted(scores: Array) -> list[float]:
    return np.round(np.sort(scores), DIGITS).tolist()  # type: ignore[no-any-return]
