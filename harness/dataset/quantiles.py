"""Medians and 95th percentiles of an observation's samples: taken here alone, for new rows and old files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

Floats = NDArray[np.float64]

SHARES = {"wall_ns_median": 0.5, "wall_ns_p95": 0.95}  # by the column that holds it


def quantile(values: NDArray[Any], row: NDArray[np.int64], rows: int, share: float) -> Floats:
    """(rows,) of each row's values the one that a ``share`` of them is not above, between neighbours by distance.

    ``values`` (S,) in any order, ``row`` (S,) that each belongs to; NaN where a row has none. NumPy's and R's default
    (type 7 of Hyndman and Fan, 1996).
    """
    ordered = np.asarray(values, np.float64)[np.lexsort((values, row))]
    count = np.bincount(row, minlength=rows)
    first = np.cumsum(count) - count
    place = share * np.maximum(count - 1, 0)
    below = np.floor(place).astype(np.int64)
    found, some = np.full(rows, np.nan), count > 0
    low, high = (ordered[first[some] + np.minimum(at[some], count[some] - 1)] for at in (below, below + 1))
    found[some] = low + (place - below)[some] * (high - low)
    return found


def quantile_of(ordered: Sequence[int], share: float) -> float:
    """The same of one row, whose values are in rising order; for few values many times as quick."""
    place = share * (len(ordered) - 1)
    below = int(place)
    low, high = ordered[below], ordered[min(below + 1, len(ordered) - 1)]
    return low + (place - below) * (high - low)


def covered(samples: pa.ChunkedArray) -> tuple[Floats, NDArray[np.int64]]:
    """Of a column of samples with ``wall_ns`` and ``covered`` (S,) the times that count, and (S,) their rows."""
    column = samples.combine_chunks()
    row, flat = pc.list_parent_indices(column).to_numpy().astype(np.int64), pc.list_flatten(column)
    counts = pc.fill_null(pc.struct_field(flat, "covered"), False).to_numpy(zero_copy_only=False)
    wall_ns = pc.fill_null(pc.struct_field(flat, "wall_ns"), 0).to_numpy()[counts].astype(np.float64)
    return wall_ns, row[counts]


def column_of(name: str, samples: pa.ChunkedArray) -> pa.ChunkedArray:
    """The column ``name`` of SHARES from a column of samples; null where there are none that count."""
    found = quantile(*covered(samples), len(samples), SHARES[name])
    return pa.chunked_array([pa.array(found, mask=np.isnan(found))])
