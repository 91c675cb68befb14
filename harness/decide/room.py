"""Whether a device has memory enough for what is placed on it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.learn.peak_memory import Memory
from harness.output import size

Array = NDArray[Any]


@dataclass(frozen=True)
class Room:
    """needed (P, N) bytes that demand N takes at most on place P, 0 where nothing is known of it; free (P,) bytes.

    needed is the bound, or what is expected where no bound can be promised. free is infinite where a device does not
    tell it.
    """

    needed: Array
    free: Array

    @classmethod
    def of(cls, memory: Memory, eps: float, platform: Array, device: list[str], workload: Array) -> Room:
        """For P places, by their platforms' numbers in the model and their devices' names, and N workloads' numbers."""
        cells = np.ix_(platform, workload)
        bound, expected = memory.bound(eps)[cells], memory.expected[cells]
        needed = np.nan_to_num(np.where(np.isfinite(bound), bound, expected))
        return cls(needed, np.array([memory.free.get(name, np.inf) for name in device]))

    def holds(self, place: Array, members: Array) -> NDArray[np.bool_]:
        """(M,) of M sets, ``place`` (M,) and ``members`` (M, k) numbers of demands: all of each fit into memory."""
        return np.asarray(self.needed[place[:, None], members].sum(axis=1) <= self.free[place])

    def lacking(self, places: Array, demand: int) -> str | None:
        """Why none of these places holds a demand even alone; None where one does."""
        more = self.needed[places, demand] - self.free[places]
        if not len(places) or (more <= 0).any():
            return None
        best = int(places[more.argmin()])
        return (
            f"it takes up to {size(self.needed[best, demand])} of memory, and the device that lacks least has "
            f"{size(self.free[best])} free"
        )
