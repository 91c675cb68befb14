"""Which workloads and platforms a model has observed, and which of them it learned after training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from pitot_core.archive import check_shape
from pitot_core.errors import ObservationsError, UnknownEntity
from pitot_core.features import Features
from pitot_core.observations import Observations, Queries

Mask = NDArray[np.bool_]
SIDES = ("workload", "platform")
ARRAYS = ("seen_workloads", "seen_platforms", "new_workloads", "new_platforms")


@dataclass(frozen=True)
class Known:
    """Masks over the feature tables.

    workloads (W,), platforms (P,)          those with a row of their own in `fit` or `update`
    new_workloads (W,), new_platforms (P,)  those of them that `update` added, whose bounds are calibrated apart
    """

    workloads: Mask
    platforms: Mask
    new_workloads: Mask
    new_platforms: Mask

    @classmethod
    def none(cls, workloads: int = 0, platforms: int = 0) -> Self:
        """Nothing known of so many workloads and platforms."""
        return cls(*(np.zeros(size, bool) for size in (workloads, platforms) * 2))

    @classmethod
    def of(cls, rows: Observations, features: Features) -> Self:
        """What these rows measured. A workload that only ran beside others is not known."""
        found = cls.none(len(features.workload_names), len(features.platform_names))
        found.workloads[rows.workload] = True
        found.platforms[rows.platform] = True
        return found

    def arrays(self) -> dict[str, Mask]:
        """For a file, by the names of ARRAYS."""
        masks = self.workloads, self.platforms, self.new_workloads, self.new_platforms
        return dict(zip(ARRAYS, masks, strict=True))

    @classmethod
    def restored(cls, arrays: Mapping[str, Any], n_platforms: int, n_workloads: int) -> Self:
        """From what `arrays` gave. Raises ModelFileError where masks do not fit the tables, KeyError."""
        for name in ARRAYS:
            check_shape(name, arrays[name], (n_workloads if name.endswith("workloads") else n_platforms,))
        return cls(*(arrays[name] for name in ARRAYS))

    def of_side(self, side: str) -> Mask:
        return self.workloads if side == "workload" else self.platforms

    def new_of_side(self, side: str) -> Mask:
        return self.new_workloads if side == "workload" else self.new_platforms

    def trained(self, side: str) -> Mask:
        """Known since `fit`."""
        return self.of_side(side) & ~self.new_of_side(side)

    def grown(self, workloads: int, platforms: int) -> Known:
        """With so many workloads and platforms added at the end, none of them known."""
        more = (workloads, platforms) * 2
        masks = (self.workloads, self.platforms, self.new_workloads, self.new_platforms)
        return Known(*(np.append(mask, np.zeros(n, bool)) for mask, n in zip(masks, more, strict=True)))

    def newcomers(self, rows: Observations) -> dict[str, NDArray[np.int64]]:
        """By side, the numbers that these rows measure and the model does not know."""
        return {
            "platform": np.setdiff1d(rows.platform, np.flatnonzero(self.platforms)),
            "workload": np.setdiff1d(rows.workload, np.flatnonzero(self.workloads)),
        }

    def with_newcomer(self, side: str, number: int) -> Known:
        """The same with one more known, which came after training."""
        masks = [
            mask.copy() for mask in (self.workloads, self.platforms, self.new_workloads, self.new_platforms)
        ]
        for mask in masks[SIDES.index(side) :: 2]:
            mask[number] = True
        return Known(*masks)

    def __call__(self, queries: Queries) -> Mask:
        """(M,) whether everything a query names is known."""
        known = np.append(self.workloads, True)  # the last is −1: no co-runner
        beside = known[queries.co_runners].all(axis=1)
        return np.asarray(self.platforms[queries.platform] & self.workloads[queries.workload] & beside)

    def touched(self, queries: Queries) -> dict[str, Mask]:
        """By side, (M,) whether a query names something that came after training; sides without any left out."""
        found = {}
        if self.new_workloads.any():
            beside = (queries.co_runners >= 0) & self.new_workloads[queries.co_runners]
            found["workload"] = self.new_workloads[queries.workload] | beside.any(axis=1)
        if self.new_platforms.any():
            found["platform"] = self.new_platforms[queries.platform]
        return found

    def require(self, queries: Queries, features: Features) -> None:
        """Raise UnknownEntity for what is outside the tables or was never observed."""
        features.check(queries)
        _refuse(queries.platform, self.platforms, "platform", features.platform_names)
        _refuse(queries.workload, self.workloads, "workload", features.workload_names)
        beside = queries.co_runners[queries.co_runners >= 0]
        _refuse(beside, self.workloads, "workload", features.workload_names)


def _refuse(numbers: NDArray[np.int32], known: Mask, what: str, names: tuple[str, ...]) -> None:
    unseen = np.unique(numbers[~known[numbers]])
    if len(unseen):
        more = f" (and {len(unseen) - 1} more)" if len(unseen) > 1 else ""
        raise UnknownEntity(
            f"{what} {names[int(unseen[0])]!r}{more} was never observed in training; "
            f"measure it on at least one {'platform' if what == 'workload' else 'workload'} first"
        )


def learnable(rows: Observations, side: str, number: int, known: Known, features: Features) -> Observations:
    """The rows from which one newcomer can be learned: everything else in them is known. Raises ObservationsError."""
    mine = rows[(rows.workload if side == "workload" else rows.platform) == number]
    if side == "workload":
        mine = mine[known.platforms[mine.platform]]
    else:
        mine = mine[known.workloads[mine.workload]]
    mine = mine[((mine.co_runners < 0) | known.workloads[mine.co_runners]).all(axis=1)]
    if not len(mine):
        names = features.workload_names if side == "workload" else features.platform_names
        raise ObservationsError(
            f"{side} {names[number]!r} has no row beside known workloads on a known platform"
        )
    return mine
