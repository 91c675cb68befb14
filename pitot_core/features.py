"""What is known about workloads and platforms before anything is measured."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from pitot_core.errors import FeaturesError, UnknownEntity
from pitot_core.observations import Queries


@dataclass(frozen=True, repr=False)
class Features:
    """Feature tables, in any scaling (the model standardises them and drops constant columns).

    workloads  (W, dw) float64, such as ln(1 + dynamic count) of every opcode
    platforms  (P, dp) float64, such as one-hot microarchitecture and engine, ln(MHz), log2(cache bytes)
    """

    workloads: NDArray[np.float64]
    platforms: NDArray[np.float64]
    workload_names: tuple[str, ...]
    platform_names: tuple[str, ...]

    def __post_init__(self) -> None:
        for table_name, names_name in (("workloads", "workload_names"), ("platforms", "platform_names")):
            table = np.asarray(getattr(self, table_name), dtype=np.float64)
            names = tuple(str(name) for name in getattr(self, names_name))
            if table.ndim != 2:
                raise FeaturesError(f"features of {table_name} must be a table, not of shape {table.shape}")
            if len(table) != len(names):
                raise FeaturesError(f"{len(table)} rows of {table_name} features but {len(names)} names")
            if len(set(names)) != len(names):
                raise FeaturesError(f"{table_name} has a name twice")
            if not len(names):
                raise FeaturesError(f"there are no {table_name}")
            if not np.all(np.isfinite(table)):
                row, column = np.argwhere(~np.isfinite(table))[0]
                raise FeaturesError(f"feature {column} of {names[row]!r} is not a finite number")
            object.__setattr__(self, table_name, table)
            object.__setattr__(self, names_name, names)

    def __repr__(self) -> str:
        (w, dw), (p, dp) = self.workloads.shape, self.platforms.shape
        return f"<Features: {w} workloads with {dw} features, {p} platforms with {dp}>"

    @property
    def devices(self) -> NDArray[np.int64]:
        """(P,) a number for the device of each platform, in order of appearance.

        Platforms named engine:device share theirs with others on it; a name without a colon is a device of its own.
        """
        found: dict[str, int] = {}
        return np.array(
            [found.setdefault(name.partition(":")[2] or name, len(found)) for name in self.platform_names],
            np.int64,
        )

    def check_longer(self, old: Features) -> None:
        """Raise FeaturesError unless these tables begin with the rows of the old ones."""
        n_w, n_p = len(old.workload_names), len(old.platform_names)
        same = (
            self.workload_names[:n_w] == old.workload_names
            and self.platform_names[:n_p] == old.platform_names
            and np.array_equal(self.workloads[:n_w], old.workloads)
            and np.array_equal(self.platforms[:n_p], old.platforms)
        )
        if not same:
            raise FeaturesError("features for an update must begin with the rows the model was fitted with")

    def check(self, queries: Queries) -> None:
        """Raise UnknownEntity when a row number is outside these tables."""
        n_workloads, n_platforms = len(self.workload_names), len(self.platform_names)
        if not len(queries):
            return
        largest = max(int(queries.workload.max()), int(queries.co_runners.max()))
        if largest >= n_workloads:
            raise UnknownEntity(f"workload number {largest} is outside the table of {n_workloads} workloads")
        if int(queries.platform.max()) >= n_platforms:
            raise UnknownEntity(
                f"platform number {int(queries.platform.max())} is outside the table of {n_platforms}"
            )


@dataclass(frozen=True)
class Scaler:
    """Standardisation learned on one table and applied to rows that come later.

    columns (d',) kept column numbers; mean, scale (d',).
    """

    columns: NDArray[np.int64]
    mean: NDArray[np.float64]
    scale: NDArray[np.float64]

    @classmethod
    def of(cls, table: NDArray[np.float64], *, standardise: bool = True) -> Self:
        """Keep the columns that differ between rows; `standardise` false leaves their values as they are."""
        spread = table.std(axis=0)
        columns = np.flatnonzero(spread > 1e-9 * (1.0 + np.abs(table).max(axis=0, initial=0.0)))
        if standardise:
            return cls(columns, table[:, columns].mean(axis=0), spread[columns])
        return cls(columns, np.zeros(len(columns)), np.ones(len(columns)))

    @classmethod
    def none(cls) -> Self:
        """Keep nothing: the ablation without features."""
        return cls(np.zeros(0, np.int64), np.zeros(0), np.zeros(0))

    def __call__(self, table: NDArray[Any]) -> NDArray[np.float64]:
        return (np.asarray(table, np.float64)[:, self.columns] - self.mean) / self.scale
