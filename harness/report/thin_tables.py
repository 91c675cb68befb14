"""Tables of a model in few bytes, such that a page can look up single cells.

A table (P, W) is a product of two thin factors plus whole multiples of a step:

    table_ji ≈ Σ_r U_jr V_ir + step · n_ji,

with the rank that makes the whole smallest: tables that were solved under a smooth prior are nearly of low rank. The
factors are float16 as stored; what they leave is in n, so that no cell is off by more than half a step. The bytes of
all arrays follow one another (of numbers of several bytes first all first bytes, then all second ones, which compresses
better), are compressed as zlib does, and written in base64.
"""

from __future__ import annotations

import base64
import zlib
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.spelling import several

Array = NDArray[Any]
TINY = 1e-30
RANKS = (0, 2, 4, 8, 12, 16, 20, 24, 32)


@dataclass
class Pack:
    """Arrays by name, in the order in which they are added. ``entries`` say of each what its bytes are."""

    entries: list[dict[str, Any]] = field(default_factory=list)
    _bytes: list[bytes] = field(default_factory=list)

    def exact(self, name: str, values: Array, kind: str = "<f8") -> None:
        """An array as it is: kind "<f8", or "<f2" for what is kept so."""
        array = np.ascontiguousarray(values, kind)
        self.entries.append({"name": name, "kind": kind[1:], "shape": list(array.shape)})
        self._bytes.append(_planes(array))

    def table(self, name: str, values: Array, step: float) -> Array:
        """A table (P, W), each cell to within half a step; gives the table that a page will see."""
        table = np.asarray(values, np.float64)
        left, sizes = _left(table)
        rank = _rank(sizes, table.shape, step)
        root = np.sqrt(sizes[:rank])
        first = (left[:, :rank] * root).astype("<f2")
        second = (table.T @ (left[:, :rank] / np.maximum(root, TINY))).astype("<f2")
        smooth = first.astype(np.float64) @ second.astype(np.float64).T
        whole = np.round((table - smooth) / step).astype(np.int64)
        low = int(whole.min(initial=0))
        size = max(1, (int(whole.max(initial=0)) - low).bit_length() + 7 >> 3)
        if size > 4:
            raise ValueError(f"{name} spans {several(size, 'byte')} of steps of {step}")
        bytes_of = (whole - low).astype("<u4").reshape(-1, 1).view(np.uint8)[:, :size]
        self.entries.append(
            {
                "name": name, "kind": "table", "shape": list(table.shape), "rank": rank, "step": step,
                "low": low, "size": size,
            }
        )  # fmt: skip
        self._bytes += [_planes(first), _planes(second), bytes_of.T.tobytes()]
        return np.asarray(smooth + step * whole)

    def text(self) -> str:
        """All bytes, compressed, in base64."""
        return base64.b64encode(zlib.compress(b"".join(self._bytes), 9)).decode()


def _left(table: Array) -> tuple[Array, Array]:
    """Left singular vectors and singular values, the largest first, by the eigenvalues of the rows' products.

    A third of the time of a decomposition, for values that are right to the square root of what floats can tell;
    what they miss is left to the multiples.
    """
    square, vectors = np.linalg.eigh(table @ table.T)
    return vectors[:, ::-1], np.sqrt(np.maximum(square[::-1], 0.0))


def _rank(sizes: Array, shape: tuple[int, ...], step: float) -> int:
    """The rank of the fewest bits, from singular values: 16 for a number of a factor, and what the rest spans."""
    cells = shape[0] * shape[1]
    square = np.append(np.cumsum((sizes.astype(np.float64) ** 2)[::-1])[::-1], 0.0)

    def bits(rank: int) -> float:
        apart = np.sqrt(square[rank] / cells) / step
        return float(16 * rank * sum(shape) + cells * np.log2(1 + 4.13 * apart))

    return min((rank for rank in RANKS if rank <= len(sizes)), key=bits)


def _planes(array: Array) -> bytes:
    """The bytes of an array: the first of every number, the second of every number, and so on."""
    return np.ascontiguousarray(array).reshape(-1, 1).view(np.uint8).T.tobytes()
