"""Numbers and names between NumPy and Arrow by their memory alone.

Arrow's own conversions first import pandas where it is installed, which costs more than answering a hundred thousand
questions; these do not.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def numbers_of(values: Any, missing: int = -1) -> Array:
    """(n,) the numbers of an Arrow array or column of a fixed width; `missing` where they are null."""
    import pyarrow as pa

    if isinstance(values, pa.ChunkedArray):
        parts = [numbers_of(chunk, missing) for chunk in values.chunks]
        return np.concatenate(parts) if parts else np.zeros(0, np.int64)
    dtype = np.dtype(values.type.to_pandas_dtype())
    present, data = values.buffers()
    if not len(values):
        return np.zeros(0, dtype)
    found: Array = np.frombuffer(data, dtype, values.offset + len(values))[values.offset :]
    if values.null_count:
        bits = np.unpackbits(np.frombuffer(present, np.uint8), bitorder="little")
        there = bits[values.offset : values.offset + len(values)].astype(bool)
        return np.where(there, found, np.asarray(missing, dtype))
    return found


def arrow_numbers(values: Array, present: NDArray[np.bool_] | None = None) -> Any:
    """An Arrow array of numbers (n,); null where not `present`."""
    import pyarrow as pa

    values = np.ascontiguousarray(values)
    mask = None if present is None else pa.py_buffer(np.packbits(present, bitorder="little").tobytes())
    kind = {"f8": pa.float64(), "f4": pa.float32(), "i4": pa.int32(), "i8": pa.int64()}[values.dtype.str[1:]]
    return pa.Array.from_buffers(kind, len(values), [mask, pa.py_buffer(values)])


def arrow_names(names: Sequence[str]) -> Any:
    """An Arrow array of texts."""
    import pyarrow as pa

    encoded = [name.encode() for name in names]
    ends = np.cumsum([0, *map(len, encoded)]).astype(np.int32)
    return pa.Array.from_buffers(
        pa.string(), len(encoded), [None, pa.py_buffer(ends), pa.py_buffer(b"".join(encoded))]
    )
