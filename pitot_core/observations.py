"""Rows of the matrix to complete: which workload ran where, beside what, and for how long."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pitot_core import naming
from pitot_core.errors import ObservationsError
from pitot_core.keys import mixed, numbers_of_jobs
from pitot_core.naming import Named
from pitot_core.numbering import MAX_CO_RUNNERS, co_runner_sets, in_order, numbers, padded

__all__ = ["MAX_CO_RUNNERS", "Observations", "Queries"]
LONGEST_LOG_NS = 60.0  # e^60 ns is 3.6 million years: anything longer is not a time


@dataclass(frozen=True, repr=False)
class Queries:
    """M questions (i, j, K): how long does workload i take on platform j beside the set K?

    platform    (M,) int32, row numbers of the platform table
    workload    (M,) int32, row numbers of the workload table
    co_runners  (M, 3) int32, row numbers of the workload table, −1 where there is none;
                kept sorted, since their order means nothing
    """

    platform: NDArray[np.int32]
    workload: NDArray[np.int32]
    co_runners: NDArray[np.int32]

    def __post_init__(self) -> None:
        platform = numbers(self.platform, "platform")
        workload = numbers(self.workload, "workload")
        if platform.shape != workload.shape:
            raise ObservationsError(
                f"{len(platform)} platforms but {len(workload)} workloads; one of each per row"
            )
        object.__setattr__(self, "platform", platform)
        object.__setattr__(self, "workload", workload)
        object.__setattr__(self, "co_runners", co_runner_sets(self.co_runners, len(platform)))

    @classmethod
    def of(cls, platform: ArrayLike, workload: ArrayLike, co_runners: ArrayLike | None = None) -> Self:
        """Queries from anything array-like; co_runners may be None, (M,), or (M, ≤3) padded with −1."""
        return cls(np.asarray(platform), np.asarray(workload), padded(co_runners, np.asarray(platform).shape))

    @classmethod
    def named(cls, asked: Any, names: Named) -> Self:
        """From names: an Arrow table or a frame (see `naming`), or tuples (workload, platform[, co-runners]).

        `names` are the Features (or anything with workload_names and platform_names). Raises ObservationsError,
        UnknownEntity.
        """
        is_table = hasattr(asked, "columns") or hasattr(asked, "column_names") or isinstance(asked, dict)
        table = naming.arrow(asked) if is_table else naming.table_of(asked)
        return cls(*naming.numbers(table, names, MAX_CO_RUNNERS))

    from_arrow = named

    def to_arrow(self, names: Named) -> Any:
        """An Arrow table with the columns platform, workload and co_runners (a list of names)."""
        import pyarrow as pa

        workloads = pa.array(names.workload_names, pa.string())
        count = self.n_co_runners
        beside = np.concatenate([[0], np.cumsum(count)]).astype(np.int32)
        present = self.co_runners[self.co_runners >= 0]
        return pa.table(
            {
                "platform": pa.array(names.platform_names, pa.string()).take(pa.array(self.platform)),
                "workload": workloads.take(pa.array(self.workload)),
                "co_runners": pa.ListArray.from_arrays(beside, workloads.take(pa.array(present))),
            }
        )

    def to_pandas(self, names: Named) -> Any:
        """A pandas frame of `to_arrow`."""
        return self.to_arrow(names).to_pandas()

    def __repr__(self) -> str:
        parts = []
        for n, rows in enumerate(np.bincount(self.n_co_runners)):
            if rows:
                parts.append(f"{rows:,} {f'beside {n}' if n else 'alone'}")
        platforms, workloads = len(np.unique(self.platform)), len(np.unique(self.workload))
        what = f"{type(self).__name__}: {len(self):,} rows"
        told = f" ({', '.join(parts)})" if parts else ""
        return f"<{what}{told} of {workloads} workloads on {platforms} platforms>"

    def __len__(self) -> int:
        return len(self.platform)

    def __getitem__(self, rows: Any) -> Self:
        """The rows chosen by a mask, a slice or row numbers."""
        chosen = object.__new__(type(self))
        for field in fields(self):
            array = getattr(self, field.name)
            object.__setattr__(chosen, field.name, array if array is None else np.atleast_1d(array[rows]))
        if chosen.co_runners.ndim != 2:
            raise ObservationsError("choose rows by a mask, a slice or an array, not by one number")
        return chosen

    @property
    def n_co_runners(self) -> NDArray[np.int64]:
        return np.asarray(np.count_nonzero(self.co_runners >= 0, axis=1), np.int64)

    @property
    def degree(self) -> NDArray[np.int64]:
        """How many workloads ran together, 1 (isolated) to 4."""
        return self.n_co_runners + 1


@dataclass(frozen=True, repr=False)
class Observations(Queries):
    """N measured rows: Queries with their answers.

    log_ns    (N,) float64, natural logarithm of the mean execution time in nanoseconds
    job       (N,) int64; rows measured together share a number
    censored  (N,) bool, or None: a limit ended them, so that their time is only known to be above log_ns
    chosen    (N,) bool, or None: measured for what they teach, so no fair sample; never to calibrate or test with
    count     (N,) float32, or None: how many equal rows each stands for (see `gathering`)
    pace      (N,) float32, or None: how much slower than usual the machine was meanwhile, in ln units of fixed work
    """

    log_ns: NDArray[np.float64]
    job: NDArray[np.int64]
    censored: NDArray[np.bool_] | None = None
    chosen: NDArray[np.bool_] | None = None
    count: NDArray[np.float32] | None = None
    pace: NDArray[np.float32] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        log_ns = np.asarray(self.log_ns, dtype=np.float64)
        job = np.asarray(self.job)
        if log_ns.shape != self.platform.shape or job.shape != self.platform.shape:
            raise ObservationsError(
                f"{len(self)} rows but {log_ns.shape} times and {job.shape} job numbers; one of each per row"
            )
        if not np.all(np.isfinite(log_ns)) or np.any(log_ns < 0) or np.any(log_ns > LONGEST_LOG_NS):
            bad = int(np.flatnonzero(~((log_ns >= 0) & (log_ns <= LONGEST_LOG_NS)))[0])
            raise ObservationsError(
                f"has log_ns = {log_ns[bad]!r}; it is ln(time in nanoseconds), of at least 1 ns", bad
            )
        if job.dtype.kind not in "iu":
            raise ObservationsError(f"job numbers must be integers, not {job.dtype}")
        object.__setattr__(self, "log_ns", log_ns)
        object.__setattr__(self, "job", job.astype(np.int64))
        for name in ("censored", "chosen"):
            if getattr(self, name) is None:
                continue
            mask = np.asarray(getattr(self, name))
            if mask.shape != log_ns.shape or mask.dtype != bool:
                raise ObservationsError(
                    f"{name} must be true or false for each of {len(self)} rows, not {mask.dtype} of {mask.shape}"
                )
            object.__setattr__(self, name, mask if mask.any() else None)
        if self.count is not None:
            count = np.asarray(self.count, np.float32)
            if count.shape != log_ns.shape or not np.all(count > 0):
                raise ObservationsError(f"count must be above 0 for each of {len(self)} rows")
            object.__setattr__(self, "count", count)
        if self.pace is not None:
            pace = np.asarray(self.pace, np.float32)
            if pace.shape != log_ns.shape or not np.all(np.isfinite(pace)):
                raise ObservationsError(f"pace must be a finite number for each of {len(self)} rows")
            object.__setattr__(self, "pace", pace if pace.any() else None)

    @classmethod
    def named(cls, asked: Any, names: Named) -> Self:
        """From a table (see `Queries.named`) with one more column, the time: wall_ns_mean in ns, or log_ns.

        Optional columns: job (text or numbers; without it rows of one platform and one set of workloads share a job),
        censored and pace. Raises ObservationsError, UnknownEntity.
        """
        table = naming.arrow(asked)
        columns = set(table.column_names)
        if not columns & {"wall_ns_mean", "log_ns"}:
            raise ObservationsError(
                "there is no column 'wall_ns_mean' (or 'log_ns'): observations need their times"
            )
        platform, workload, beside = naming.numbers(table, names, MAX_CO_RUNNERS)
        try:
            if "log_ns" in columns:
                log_ns = np.asarray(table["log_ns"], np.float64)
            else:
                with np.errstate(divide="ignore", invalid="ignore"):
                    log_ns = np.log(np.asarray(table["wall_ns_mean"], np.float64))
            censored = np.asarray(table["censored"], bool) if "censored" in columns else None
            pace = np.asarray(table["pace"], np.float32) if "pace" in columns else None
        except (TypeError, ValueError) as problem:
            raise ObservationsError(f"the times or paces of this table are no numbers: {problem}") from None
        job = numbers_of_jobs(table["job"]) if "job" in columns else None
        return cls.of(platform, workload, beside, log_ns=log_ns, job=job, censored=censored, pace=pace)

    from_arrow = named

    def to_arrow(self, names: Named) -> Any:
        """As `Queries.to_arrow`, with wall_ns_mean, job and, where rows have them, censored and pace."""
        import pyarrow as pa

        table = super().to_arrow(names)
        more = {"wall_ns_mean": np.exp(self.log_ns), "job": self.job}
        for name in ("censored", "pace"):
            if getattr(self, name) is not None:
                more[name] = getattr(self, name)
        for name, values in more.items():
            table = table.append_column(name, pa.array(values))
        return table

    @property
    def measured(self) -> NDArray[np.bool_]:
        """(N,) rows whose time is known, not only that it is above a limit."""
        return np.ones(len(self), bool) if self.censored is None else ~self.censored

    @property
    def fair(self) -> NDArray[np.bool_]:
        """(N,) rows that were not chosen for what they teach."""
        return np.ones(len(self), bool) if self.chosen is None else ~self.chosen

    @property
    def times(self) -> NDArray[np.float32]:
        """(N,) how many rows each stands for."""
        return np.ones(len(self), np.float32) if self.count is None else self.count

    @property
    def paces(self) -> NDArray[np.float32]:
        """(N,) the pace of each, 0 where it is not known."""
        return np.zeros(len(self), np.float32) if self.pace is None else self.pace

    def at_usual_pace(self, slope: float) -> Self:
        """With the times that the machine at its usual pace would have taken, where times go by `slope` of its pace."""
        if self.pace is None or not slope:
            return self
        return replace(self, log_ns=np.maximum(self.log_ns - slope * self.pace, 0.0), pace=None)

    @classmethod
    def of(  # type: ignore[override]
        cls,
        platform: ArrayLike,
        workload: ArrayLike,
        co_runners: ArrayLike | None = None,
        *,
        log_ns: ArrayLike,
        job: ArrayLike | None = None,
        censored: ArrayLike | None = None,
        chosen: ArrayLike | None = None,
        pace: ArrayLike | None = None,
    ) -> Self:
        """Observations from anything array-like.

        Without job numbers, rows of the same platform and the same set of workloads count as one job.
        """
        filled = padded(co_runners, np.asarray(platform).shape)
        numbers = (
            jobs_of(np.asarray(platform), np.asarray(workload), filled) if job is None else np.asarray(job)
        )
        asked = np.asarray(platform), np.asarray(workload), filled
        return cls(*asked, np.asarray(log_ns), numbers, censored, chosen, pace=pace)  # type: ignore[arg-type]


def joined(*parts: Observations) -> Observations:
    """The rows of all parts, one after another; job numbers must mean the same in each."""
    names = ("platform", "workload", "co_runners", "log_ns", "job")
    columns = {name: np.concatenate([getattr(part, name) for part in parts]) for name in names}
    censored, chosen = (~np.concatenate([getattr(p, name) for p in parts]) for name in ("measured", "fair"))
    counted = any(part.count is not None for part in parts)
    count = np.concatenate([part.times for part in parts]) if counted else None
    pace = np.concatenate([part.paces for part in parts])
    return Observations(**columns, censored=censored, chosen=chosen, count=count, pace=pace)


def jobs_of(platform: NDArray[Any], workload: NDArray[Any], co_runners: NDArray[Any]) -> NDArray[np.int64]:
    """A job number per row: rows of one platform and one set of workloads share it, in whatever batch they come."""
    return (mixed(platform, *in_order(workload, *co_runners.T)) >> np.uint64(1)).astype(np.int64)
