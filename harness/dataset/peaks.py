"""The most memory that an engine's process held during an observation: taken from its samples here alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray

PEAK = "samples.list.element.max_rss_kb"  # the column to read
KB = 1024  # bytes


def peak_kb(samples: Any) -> NDArray[np.float64]:
    """(n,) of a column of samples with ``max_rss_kb`` the largest of each row, NaN where none is told."""
    column = samples.combine_chunks()
    row, flat = pc.list_parent_indices(column).to_numpy(), pc.list_flatten(column)
    told = pc.fill_null(pc.struct_field(flat, "max_rss_kb"), 0).to_numpy().astype(np.float64)
    found = np.zeros(len(column))
    np.maximum.at(found, row, told)
    return np.where(found > 0, found, np.nan)
