"""Eq. 9 over dense tables, and its gradient.

Everything a row needs lies in (1 + 2s) tables of platform × workload numbers, one small matrix product each:

    T[j, 0, i, h]      = p_j · w_ih                  work
    T[j, t, i, h]      = v_s,j(t) · w_ih             how workload i suffers on j,   t = 1 … s
    T[j, s+t, k, h]    = v_g,j(t) · w_kh             how workload k presses on j

    ŷ_ijK,h = T[j, 0, i] + Σ_t T[j, t, i] · α( Σ_{k∈K} T[j, s+t, k] ),     α = leaky ReLU

so a row costs 1 + s(1 + |K|) gathers, and its gradient as many scatters, whatever the rank. Rows are kept
sorted by falling number of co-runners, so that those with at least n of them are always the first ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from pitot_core.observations import MAX_CO_RUNNERS, Queries

Array = NDArray[Any]


@dataclass(frozen=True)
class Plan:
    """Where each row reads the tables.

    order  (N,) the given rows, sorted by falling number of co-runners
    cells  (L,) table cells: N of work, then for each t: n₁ of v_s, then n₁, n₂, n₃ of v_g
    counts (3,) n₁ ≥ n₂ ≥ n₃, rows with at least that many co-runners
    """

    order: NDArray[np.int64]
    cells: NDArray[np.int64]
    counts: tuple[int, ...]
    types: int

    @classmethod
    def of(cls, queries: Queries, types: int, n_workloads: int, *, cell_sorted: bool = True) -> Self:
        """`types` is s; with s = 0 co-runners are ignored."""
        n_co = queries.n_co_runners if types else np.zeros(len(queries), np.int64)
        platform, workload = queries.platform.astype(np.int64), queries.workload.astype(np.int64)
        if cell_sorted:
            order = np.lexsort((workload, platform, -n_co))
        else:
            order = np.argsort(-n_co, kind="stable")
        row = platform[order] * (1 + 2 * types) * n_workloads  # cell of T[j, 0, 0]
        target = row + workload[order]
        counts = tuple(int(np.count_nonzero(n_co >= n)) for n in range(1, MAX_CO_RUNNERS + 1))
        parts = [target]
        for t in range(1, types + 1):
            parts.append(target[: counts[0]] + t * n_workloads)
            for column, count in enumerate(counts):
                co = queries.co_runners[order[:count], column].astype(np.int64)
                parts.append(row[:count] + (types + t) * n_workloads + co)
        return cls(order, np.concatenate(parts), counts, types)

    def __len__(self) -> int:
        return len(self.order)

    def sections(self, gathered: Array) -> tuple[Array, list[tuple[Array, list[Array]]]]:
        """Views of an (E, L, H) array: work (E, N, H); for each t v_s (E, n₁, H) and v_g of each column."""
        n, first = len(self.order), self.counts[0]
        work, pairs, start = gathered[:, :n], [], n
        for _ in range(self.types):
            suffers, start = gathered[:, start : start + first], start + first
            presses = []
            for count in self.counts:
                presses.append(gathered[:, start : start + count])
                start += count
            pairs.append((suffers, presses))
        return work, pairs


class Gathered:
    """The forward pass of one plan and its gradient, with buffers made once.

    members E, heads H; `slope` is α's slope below zero (1 makes α the identity).
    """

    def __init__(self, plan: Plan, members: int, heads: int, slope: float, dtype: Any = np.float32) -> None:
        self.plan, self.slope = plan, slope
        self.values = np.empty((members, len(plan.cells), heads), dtype)
        self.work, self.pairs = plan.sections(self.values)
        self.scatter = (
            plan.cells if heads == 1 else (plan.cells[:, None] * heads + np.arange(heads)).reshape(-1)
        )
        self.total = np.empty((members, len(plan), heads), dtype)
        first = plan.counts[0]
        self.alpha = [np.empty((members, first, heads), dtype) for _ in self.pairs]
        self.alpha_slope = [np.empty((members, first, heads), dtype) for _ in self.pairs]
        self.moment = np.empty((members, first, heads), dtype)

    def forward(self, tables: Array) -> Array:
        """(E, N, H) of Eq. 9 without the baseline, rows in the plan's order; tables (E, cells, H)."""
        for member in range(len(tables)):
            np.take(
                tables[member].reshape(-1), self.scatter, out=self.values[member].reshape(-1), mode="clip"
            )
        np.copyto(self.total, self.work)
        first = self.plan.counts[0]
        for (suffers, presses), alpha, slope in zip(self.pairs, self.alpha, self.alpha_slope, strict=True):
            np.copyto(alpha, presses[0])
            for more in presses[1:]:
                if more.shape[1]:
                    alpha[:, : more.shape[1]] += more
            np.greater(alpha, 0, out=slope, casting="unsafe")
            slope *= 1.0 - self.slope
            slope += self.slope
            alpha *= slope
            np.multiply(suffers, alpha, out=self.moment)
            self.total[:, :first] += self.moment
        return self.total

    def backward(self, upstream: Array, table_gradient: Array) -> None:
        """Scatter d loss / d ŷ (E, N, H) into table_gradient (E, cells, H)."""
        first = self.plan.counts[0]
        np.copyto(self.work, upstream)
        from_rows = upstream[:, :first]
        for (suffers, presses), alpha, slope in zip(self.pairs, self.alpha, self.alpha_slope, strict=True):
            np.multiply(from_rows, suffers, out=self.moment)
            self.moment *= slope
            np.multiply(from_rows, alpha, out=suffers)
            for press in presses:
                press[...] = self.moment[:, : press.shape[1]]
        table_gradient[...] = 0.0
        for member in range(len(table_gradient)):
            np.add.at(table_gradient[member].reshape(-1), self.scatter, self.values[member].reshape(-1))


class Tables:
    """The (1 + 2s) dense tables from the towers' outputs, and back.

    platform output (E, P, (1+2s)·r), workload output (E, W, H·r) → tables (E, P·(1+2s)·W, H), all by views
    and one matrix product per member.
    """

    def __init__(
        self, members: int, n_platforms: int, n_workloads: int, rank: int, types: int, heads: int, dtype: Any
    ) -> None:
        rows, columns = n_platforms * (1 + 2 * types), n_workloads * heads
        self.rank, self.rows, self.columns, self.heads = rank, rows, columns, heads
        self.product = np.empty((members, rows, columns), dtype)
        self.gradient = np.empty((members, rows, columns), dtype)
        self.platform_gradient = np.empty((members, rows, rank), dtype)
        self.workload_gradient = np.empty((members, columns, rank), dtype)

    def cells(self, array: Array) -> Array:
        return array.reshape(len(array), -1, self.heads)

    def forward(self, platforms: Array, workloads: Array) -> Array:
        """(E, cells, H)."""
        left = platforms.reshape(len(platforms), self.rows, self.rank)
        right = workloads.reshape(len(workloads), self.columns, self.rank)
        np.matmul(left, right.swapaxes(1, 2), out=self.product)
        return self.cells(self.product)

    def backward(self, platforms: Array, workloads: Array) -> tuple[Array, Array]:
        """d loss / d outputs of both towers, from self.gradient."""
        left = platforms.reshape(len(platforms), self.rows, self.rank)
        right = workloads.reshape(len(workloads), self.columns, self.rank)
        np.matmul(self.gradient, right, out=self.platform_gradient)
        np.matmul(self.gradient.swapaxes(1, 2), left, out=self.workload_gradient)
        return self.platform_gradient.reshape(platforms.shape), self.workload_gradient.reshape(
            workloads.shape
        )
