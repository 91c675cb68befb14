"""Row numbers of platforms, workloads and co-runners, checked and brought into one shape."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pitot_core.errors import ObservationsError

MAX_CO_RUNNERS = 3


def padded(co_runners: ArrayLike | None, rows: tuple[int, ...]) -> NDArray[Any]:
    """(M, 3) co-runner numbers from None, (M,) or (M, ≤3)."""
    if co_runners is None:
        return np.full((*rows, MAX_CO_RUNNERS), -1, np.int32)
    given = np.asarray(co_runners)
    if given.ndim == 1:
        given = given[:, None]
    if given.ndim == 2 and given.shape[1] < MAX_CO_RUNNERS:
        filler = np.full((len(given), MAX_CO_RUNNERS - given.shape[1]), -1, np.int32)
        given = np.concatenate([given.astype(np.int64), filler], axis=1)
    return given


def numbers(values: NDArray[Any], what: str) -> NDArray[np.int32]:
    values = np.asarray(values)
    if values.ndim != 1:
        raise ObservationsError(f"{what} must be one number per row, not an array of shape {values.shape}")
    if len(values) and values.dtype.kind not in "iu":
        raise ObservationsError(f"{what} must be whole row numbers, not {values.dtype}")
    if len(values) and (values.min() < 0 or values.max() > 2**31 - 1):
        raise ObservationsError(f"{what} has a negative or overlarge row number")
    return values.astype(np.int32)


def co_runner_sets(co_runners: NDArray[Any], rows: int) -> NDArray[np.int32]:
    co_runners = np.asarray(co_runners)
    if co_runners.ndim != 2 or len(co_runners) != rows:
        raise ObservationsError(
            f"co_runners has shape {co_runners.shape}; {rows} rows need ({rows}, {MAX_CO_RUNNERS})"
        )
    if co_runners.shape[1] > MAX_CO_RUNNERS:
        raise ObservationsError(f"at most {MAX_CO_RUNNERS} co-runners fit a row, not {co_runners.shape[1]}")
    if co_runners.shape[1] < MAX_CO_RUNNERS:
        raise ObservationsError(f"co_runners must have {MAX_CO_RUNNERS} columns, −1 where there is none")
    if rows and (co_runners.dtype.kind not in "iu" or co_runners.min() < -1 or co_runners.max() > 2**31 - 1):
        raise ObservationsError(
            "co_runners must be whole row numbers of workloads, or −1 where there is none"
        )
    return np.stack(in_order(*co_runners.astype(np.int32).T)[::-1], axis=1)


def in_order(*columns: NDArray[Any]) -> list[NDArray[Any]]:
    """Columns (n,) with the values of every row in rising order, which for a few is quicker than to sort each row."""
    found = list(columns)
    for turn in range(len(found)):
        for k in range(turn % 2, len(found) - 1, 2):
            found[k : k + 2] = np.minimum(*found[k : k + 2]), np.maximum(*found[k : k + 2])
    return found
