"""What a model keeps of rows: some whole, and of all that it learned a digest, so that none is learned twice."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from pitot_core.errors import ModelFileError
from pitot_core.keys import mixed
from pitot_core.observations import Observations

BITS = 48  # of a digest: one in a million new rows is taken for a learned one where 280 million are
# Of log_ns, a millionth: the same time has the same logarithm on every machine up to its last bits.
STEPS = 1e6
ROWS = ("platform", "workload", "co_runners", "log_ns", "job")


def row_arrays(rows: Observations, prefix: str) -> dict[str, NDArray[Any]]:
    """What `rows_of` needs to make the same rows again, for a file; what was chosen is not kept."""
    arrays: dict[str, NDArray[Any]] = {f"{prefix}_{name}": getattr(rows, name) for name in ROWS}
    return arrays if rows.censored is None else arrays | {f"{prefix}_censored": rows.censored}


def rows_of(arrays: Mapping[str, NDArray[Any]], prefix: str) -> Observations:
    """The rows that `row_arrays` took apart. Raises ObservationsError, KeyError."""
    columns = {name: arrays[f"{prefix}_{name}"] for name in ROWS}
    return Observations(**columns, censored=arrays.get(f"{prefix}_censored"))


def fingerprint(*parts: Observations) -> str:
    """SHA-256 of rows, in hexadecimal: the same for the same rows in the same order."""
    digest = hashlib.sha256()
    for rows in parts:
        for array in (rows.platform, rows.workload, rows.co_runners, rows.log_ns):
            digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


@dataclass(frozen=True)
class Remembered:
    """What a model remembers of rows: their digests, sorted, each once.

    Two rows are the same where platform, workload, co-runners, time (to a millionth) and whether a limit ended them
    are. Which job they are of does not count: job numbers differ between datasets that hold the same rows.
    """

    digests: NDArray[np.uint64]

    @classmethod
    def of(cls, *parts: Observations) -> Self:
        """Rows that stand for several are not remembered: what they were merged from is gone."""
        single = [_digests(rows) for rows in parts if rows.count is None]
        return cls(np.unique(np.concatenate([np.zeros(0, np.uint64), *single])))

    def __len__(self) -> int:
        return len(self.digests)

    def __call__(self, rows: Observations) -> NDArray[np.bool_]:
        """(N,) which of these rows were learned."""
        return np.asarray(np.isin(_digests(rows), self.digests))

    def with_rows(self, rows: Observations) -> Self:
        return type(self)(np.union1d(self.digests, _digests(rows)))

    def packed(self) -> NDArray[np.uint64]:
        """(n,) what is kept in a file: steps from one digest to the next, about 5 bytes a row once compressed."""
        return np.diff(self.digests, prepend=np.uint64(0))

    @classmethod
    def unpacked(cls, steps: NDArray[np.uint64]) -> Self:
        """From what `packed` gave. Raises ModelFileError where it cannot be that."""
        digests = np.cumsum(steps, dtype=np.uint64)
        if steps.ndim != 1 or np.any(steps[1:] == 0) or np.any(digests >> np.uint64(BITS)):
            raise ModelFileError("what the model remembers of the rows it learned makes no sense")
        if np.any(digests[1:] <= digests[:-1]):
            raise ModelFileError("what the model remembers of the rows it learned is not sorted")
        return cls(digests)


def _digests(rows: Observations) -> NDArray[np.uint64]:
    """(N,) BITS bits each."""
    time = np.rint(rows.log_ns * STEPS).astype(np.int64)
    return mixed(rows.platform, rows.workload, *rows.co_runners.T, rows.measured, time) >> np.uint64(
        64 - BITS
    )
