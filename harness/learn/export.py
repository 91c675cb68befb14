"""A dataset in the published layout (dataset/published.py), so that the published code can train on it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from harness.dataset.published import CO_RUN, ISOLATED, NS_PER_UNIT, Arrays
from harness.dataset.store import Dataset
from harness.errors import DatasetError
from harness.files import replacing
from harness.learn.arrays import columns_of, load_training, matrix, workload_features
from harness.learn.platforms import Encoded, platform_features
from pitot_core import ArchiveError, archive


@dataclass(frozen=True)
class _Described:
    """The rows of one of the two tables: names, columns, and (names × columns) float32 values."""

    names: list[str]
    columns: list[str]
    values: np.ndarray[Any, np.dtype[np.float32]]

    @classmethod
    def of(
        cls, kind: str, table: pa.Table, seen: Sequence[str], encode: Callable[[Mapping[str, Any]], Encoded]
    ) -> _Described:
        """Rows and columns of imported data in their original order, followed by what else was observed."""
        rows = {row[kind]: row for row in table.to_pylist()}
        imported = [name for name, row in rows.items() if row["features"] is not None]
        names = list(dict.fromkeys([*imported, *seen]))
        encoded = [encode(rows[name]) for name in names]
        first = (column for name in imported for column, _ in rows[name]["features"])
        columns = list(dict.fromkeys([*first, *columns_of(encoded)]))
        return cls(names, columns, matrix(encoded, columns).astype(np.float32))

    def numbers(self, seen: Sequence[str]) -> np.ndarray[Any, np.dtype[np.int64]]:
        """The row number of each name."""
        rows = {name: i for i, name in enumerate(self.names)}
        return np.array([rows[name] for name in seen], np.int64)


def export_published(dataset: Dataset, folder: str | Path) -> dict[int, int]:
    """Write finished observations in the published layout; the number of rows by number of co-runners.

    An imported dataset comes out as it came in: rows, names, columns and types, but for the order of a row's
    co-runners, which rises. Of a collected one the tables hold what was observed. Features are float32 and times
    microseconds, as published. A file that is there and holds the same is left as it is, so that an export that was
    killed is completed. Raises DatasetError where nothing is finished or the folder has another file of such a name.
    """
    folder = Path(folder)
    observations, features = load_training(dataset)
    observations = observations[observations.measured]  # the published layout has no place for a lower bound
    platforms = _Described.of("platform", dataset.platforms(), features.platform_names, platform_features)
    workloads = _Described.of("workload", dataset.workloads(), features.workload_names, workload_features)
    platform_number = platforms.numbers(features.platform_names)
    workload_number = workloads.numbers(features.workload_names)
    for name in (*platforms.names, *workloads.names):
        if name.endswith("\0"):
            raise DatasetError(
                f"{name!r} ends with a NUL, which a name in an .npz file cannot; give it another."
            )
    exported: dict[str, Arrays] = {}
    for n_co_runners, name in enumerate((ISOLATED, *CO_RUN)):
        rows = observations[observations.n_co_runners == n_co_runners]
        arrays: Arrays = {
            "t": np.exp(rows.log_ns) / NS_PER_UNIT,
            "i_platform": platform_number[rows.platform],
            "i_workload": workload_number[rows.workload],
        }
        beside = np.sort(workload_number[rows.co_runners[:, :n_co_runners]], axis=1)
        arrays |= {f"i_interference{k}": beside[:, k] for k in range(n_co_runners)}
        if n_co_runners == 0:
            arrays["t"] = arrays["t"].astype(np.float32)
            for kind, table in (("platform", platforms), ("workload", workloads)):
                arrays |= {
                    f"d_{kind}": table.values,
                    f"n_{kind}": np.array(table.names, np.str_),
                    f"f_{kind}": np.array(table.columns, np.str_),
                }
        elif not len(rows):
            continue
        exported[name] = arrays
    there = {name for name in (ISOLATED, *CO_RUN) if (folder / name).exists()}
    for name in sorted(there):
        if not _holds(folder / name, exported.get(name, {})):
            raise DatasetError(
                f"{folder / name} exists and holds something else than this export; remove it or name another place."
            )
    for name in reversed(
        [name for name in exported if name not in there]
    ):  # data.npz, which readers ask for, last
        with replacing(folder / name) as partial:
            _save(partial, exported[name])
    return {(ISOLATED, *CO_RUN).index(name): len(arrays["t"]) for name, arrays in exported.items()}


def _holds(path: Path, arrays: Arrays) -> bool:
    try:
        found = archive.read(path)
    except (OSError, ArchiveError):
        return False
    return found.keys() == arrays.keys() and all(
        found[name].dtype == array.dtype and np.array_equal(found[name], array)
        for name, array in arrays.items()
    )


def _save(path: Path, arrays: Arrays) -> None:
    with open(path, "wb") as file:
        np.savez_compressed(file, **arrays)  # type: ignore[arg-type]
