"""One group's rows while the tables move: what is left of each, and what they say of every table.

All tables are flat here, (P·W,). Rows are sorted by cell and worked at in chunks, whose cells are those of a few
platforms: what is gathered from tables and summed into them stays in the cache, and nothing of the size of all rows is
made on the way.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pitot_core.tables.rows import Group
from pitot_core.tables.solve import FLOAT

Array = NDArray[Any]


class Residual:
    """e (n,) log C* − prediction, weight (n,), and load: for each type Σ_k G (n,); all float32."""

    def __init__(self, group: Group, types: int, slope: float) -> None:
        self.group, self._slope = group, FLOAT(slope)
        self.beside = len(group.beside) > 0
        self.e = np.empty(len(group), FLOAT)
        self.weight = np.ones(len(group), FLOAT)
        self.load = [np.zeros(len(group), FLOAT) for _ in range(types if self.beside else 0)]

    def start(self, base: Array, suffers: list[Array], presses: list[Array], active: int) -> None:
        """e against base, log C̄ + F, and the interference of the first `active` types."""
        for rows, cells in self.group.chunks():
            own = self._own(rows, cells)
            e = self.group.log_ns[rows] - base[cells].take(own)
            for t, load in enumerate(self.load):
                load[rows] = self._pressed(presses[t], rows, cells)
                if t < active:
                    e -= suffers[t][cells].take(own) * self._alpha(load[rows])
            self.e[rows] = e

    def press(self, presses: Array, t: int) -> None:
        """Loads of another G, while S is zero."""
        for rows, cells in self.group.chunks():
            self.load[t][rows] = self._pressed(presses, rows, cells)

    def weigh(self, variance: Array, scale: float, blind: float | None) -> None:
        """Weights by residuals, or as though all were `blind`; a row below its limit has none."""
        for rows, cells in self.group.chunks():
            e = self.e[rows]
            turned = 1.0 + (e / FLOAT(scale)) ** 2 if blind is None else FLOAT(1.0 + (blind / scale) ** 2)
            weight = self.group.count[rows] / (variance[cells].take(self._own(rows, cells)) * np.sqrt(turned))
            weight[self.group.censored[rows] & (e <= 0.0)] = 0.0
            self.weight[rows] = weight

    def sizes(self, total: Array, count: Array, floor: float) -> None:
        """Add |e| + floor and the number of measured rows to the sums of their cells."""
        for rows, cells in self.group.chunks():
            own = self._own(rows, cells)
            seen = np.where(self.group.censored[rows], FLOAT(0), self.group.count[rows])
            size = np.abs(self.e[rows])
            size += FLOAT(floor)
            _add(total[cells], own, size * seen)
            _add(count[cells], own, seen)

    # What rows say of a table, added to precision and moment

    def say_work(self, precision: Array, moment: Array, f: Array) -> None:
        for rows, cells in self.group.chunks():
            own, weight = self._own(rows, cells), self.weight[rows]
            pulls = _add(precision[cells], own, weight)
            moment[cells] += pulls * f[cells]
            _add(moment[cells], own, weight * self.e[rows])

    def say_suffers(self, precision: Array, moment: Array, f: Array, t: int) -> None:
        for rows, cells in self.group.chunks() if self.load else ():
            own, slope = self._own(rows, cells), self._alpha(self.load[t][rows])
            weighted = self.weight[rows] * slope
            pulls = _add(precision[cells], own, weighted * slope)
            moment[cells] += pulls * f[cells]
            _add(moment[cells], own, weighted * self.e[rows])

    def say_presses(self, precision: Array, moment: Array, f: Array, suffers: Array, t: int) -> None:
        parted = FLOAT(len(self.group.beside))
        for rows, cells in self.group.chunks() if self.load else ():
            slope = suffers[cells].take(self._own(rows, cells))
            slope *= np.where(self.load[t][rows] > 0, FLOAT(1), self._slope)
            weighted = self.weight[rows] * slope
            own = (weighted * slope * parted).astype(np.float64)
            pull = (weighted * self.e[rows]).astype(np.float64)
            for beside in self.group.beside:
                k = _offsets(beside[rows], cells)
                pulls = _add(precision[cells], k, own)
                moment[cells] += pulls * f[cells]
                _add(moment[cells], k, pull)

    # What a table's move leaves of each row

    def moved_work(self, change: Array) -> None:
        for rows, cells in self.group.chunks():
            self.e[rows] -= change[cells].take(self._own(rows, cells))

    def moved_suffers(self, change: Array, t: int) -> None:
        for rows, cells in self.group.chunks() if self.load else ():
            step = change[cells].take(self._own(rows, cells))
            step *= self._alpha(self.load[t][rows])
            self.e[rows] -= step

    def moved_presses(self, presses: Array, suffers: Array, t: int) -> None:
        for rows, cells in self.group.chunks() if self.load else ():
            after = self._pressed(presses, rows, cells)
            step = self._alpha(after)
            step -= self._alpha(self.load[t][rows])
            step *= suffers[cells].take(self._own(rows, cells))
            self.e[rows] -= step
            self.load[t][rows] = after

    def _own(self, rows: slice, cells: slice) -> NDArray[np.intp]:
        return _offsets(self.group.cell[rows], cells)

    def _pressed(self, presses: Array, rows: slice, cells: slice) -> Array:
        there = presses[cells]
        load = there.take(_offsets(self.group.beside[0][rows], cells))
        for beside in self.group.beside[1:]:
            load += there.take(_offsets(beside[rows], cells))
        return load

    def _alpha(self, load: Array) -> Array:
        return np.where(load > 0, load, self._slope * load)


def _offsets(cell: Array, cells: slice) -> NDArray[np.intp]:
    return np.subtract(cell, np.int32(cells.start), dtype=np.intp)


def _add(total: Array, cell: Array, value: Array) -> Array:
    """Add values to the cells of a stretch of a table; what was added."""
    added = np.bincount(cell, value, len(total))
    total += added
    return added
