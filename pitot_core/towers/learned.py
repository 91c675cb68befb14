"""What a training leaves for predictions: embeddings and baselines of E members, as plain arrays."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from pitot_core.archive import check_shape
from pitot_core.baseline import Baseline
from pitot_core.errors import ModelFileError
from pitot_core.towers.forecast import Forecast
from pitot_core.towers.training import Trained

Array = NDArray[Any]


@dataclass(frozen=True)
class Learned:
    """platforms (E, P, (1+2s)·r), workloads (E, W, H·r) float32; startup, platform_level (E, P) and
    workload_level (E, W) float64 in ln ns; rank r, types s and α's slope below zero."""

    platforms: Array
    workloads: Array
    startup: Array
    platform_level: Array
    workload_level: Array
    rank: int
    types: int
    slope: float

    @classmethod
    def of(cls, trained: Trained, baselines: Iterable[Baseline], slope: float) -> Self:
        kept = list(baselines)
        return cls(
            trained.platforms,
            trained.workloads,
            np.stack([b.startup for b in kept]),
            np.stack([b.platform for b in kept]),
            np.stack([b.workload for b in kept]),
            trained.shape.rank,
            trained.shape.types,
            slope,
        )

    @classmethod
    def array_names(cls) -> tuple[str, ...]:
        return tuple(field.name for field in fields(cls) if field.name not in ("rank", "types", "slope"))

    @property
    def members(self) -> int:
        return len(self.platforms)

    def member(self, number: int) -> Learned:
        """One of the members by itself."""
        one = slice(number, number + 1)
        return replace(self, **{name: getattr(self, name)[one] for name in self.array_names()})

    @property
    def heads(self) -> int:
        return int(self.workloads.shape[2]) // self.rank

    def check(self, n_platforms: int, n_workloads: int) -> None:
        """Raise ModelFileError where arrays from a file do not fit each other or the feature tables."""
        members, rank, types = len(self.startup), self.rank, self.types
        if rank < 1 or types < 0:
            raise ModelFileError(f"a network of rank {rank} with {types} interference types is none")
        check_shape("platforms", self.platforms, (members, n_platforms, rank * (1 + 2 * types)))
        check_shape("workloads", self.workloads, (members, n_workloads, None))
        check_shape("startup", self.startup, (members, n_platforms))
        check_shape("platform_level", self.platform_level, (members, n_platforms))
        check_shape("workload_level", self.workload_level, (members, n_workloads))
        if not members or self.workloads.shape[2] % rank or not self.heads:
            raise ModelFileError(f"workload embeddings {self.workloads.shape[2]} wide do not fit rank {rank}")

    def grown(self, n_workloads: int, n_platforms: int) -> Learned:
        """With rows added at the end for these sizes, all zero but for mean levels."""
        workloads = n_workloads - self.workloads.shape[1]
        platforms = n_platforms - self.platforms.shape[1]

        def longer(array: Array, more: int, *, level: bool = False) -> Array:
            end = np.zeros((len(array), more, *array.shape[2:]), array.dtype)
            if level and array.shape[1]:
                end += array.mean(axis=1, keepdims=True)
            return np.concatenate([array, end], axis=1)

        return replace(
            self,
            platforms=longer(self.platforms, platforms),
            workloads=longer(self.workloads, workloads),
            startup=longer(self.startup, platforms, level=True),
            platform_level=longer(self.platform_level, platforms, level=True),
            workload_level=longer(self.workload_level, workloads, level=True),
        )

    def base(self) -> Array:
        """(E, P, W) log C̄."""
        work = self.platform_level[:, :, None] + self.workload_level[:, None, :]
        return np.asarray(np.logaddexp(self.startup[:, :, None], work))

    def interference_norms(self) -> Array:
        """(P,) spectral norm of Σ_t v_s(t) v_g(t)ᵀ of each platform, averaged over the members.

        How strongly one co-runner can act there in Eq. 9 for embeddings of length one. Zeros without interference.
        """
        members, n_platforms, _ = self.platforms.shape
        vectors = self.platforms.reshape(members, n_platforms, 1 + 2 * self.types, self.rank)
        suffers, presses = vectors[:, :, 1 : 1 + self.types], vectors[:, :, 1 + self.types :]
        matrices = np.matmul(suffers.swapaxes(2, 3), presses)
        return np.asarray(np.linalg.norm(matrices, 2, axis=(2, 3)).mean(axis=0), np.float64)

    @cached_property
    def forecast(self) -> Forecast:
        return Forecast(
            self.platforms, self.workloads, self.base(), rank=self.rank, types=self.types, slope=self.slope
        )
