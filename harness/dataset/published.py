"""The published Pitot dataset: data.npz and if2/if3/if4.npz, read into a dataset of ours.

Layout: ``t`` (N,) mean execution times, ``i_platform``, ``i_workload`` (N,) row numbers, ``i_interference0``…
(N,) the co-runners' row numbers; in data.npz also ``d_platform``, ``n_platform``, ``f_platform`` and
``d_workload``, ``n_workload``, ``f_workload``: features, row names and column names. ``t`` is in microseconds: the
published README says nanoseconds, but the recorder divided by 1000, and the largest value, 29.99e6, stays under
its limit of 30 s.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from harness.dataset.schema import OBSERVATIONS
from harness.dataset.store import Dataset, refuse_taken
from harness.errors import DatasetError, why
from harness.files import making, sweep
from harness.spelling import several
from pitot_core import ArchiveError, archive

ISOLATED = "data.npz"
CO_RUN = ("if2.npz", "if3.npz", "if4.npz")
NS_PER_UNIT = 1000.0
SOURCE = "imported from the published files"
SHORTEST_NS, LONGEST_NS = 100.0, 1e16  # a tenth of a microsecond, and four months

Arrays = dict[str, np.ndarray[Any, Any]]


def import_published(folder: str | Path, root: str | Path) -> tuple[Dataset, dict[int, int]]:
    """Make a dataset at ``root`` of the files in ``folder``; also the number of rows by number of co-runners.

    A dataset that was made of the same files is left as it is, so that an import that was killed can be repeated.
    Raises DatasetError where a file is missing, is not of the published layout, or ``root`` is taken.
    """
    folder, root = Path(folder), Path(root)
    if not (folder / ISOLATED).exists():
        raise DatasetError(
            f"no {ISOLATED} in {folder}; name the directory of the published npz files, or --fetch them into it."
        )
    tables = _load(folder / ISOLATED, 0, named=True)
    parts = [(0, tables)]
    for n_co_runners, name in enumerate(CO_RUN, 1):
        if (folder / name).exists():
            parts.append((n_co_runners, _load(folder / name, n_co_runners, named=False)))
    platforms, workloads = (
        _check_table(folder / ISOLATED, kind, tables) for kind in ("platform", "workload")
    )
    for n_co_runners, arrays in parts:
        _check_rows(folder, n_co_runners, arrays, len(platforms), len(workloads))
    if not all(":" in name for name in platforms):
        raise DatasetError(f"{folder / ISOLATED}: a platform is not named engine:device; correct n_platform.")

    rows = {n: len(arrays["t"]) for n, arrays in parts}
    digest = f"(sha256 {_digest(folder)})"
    sweep(root.parent)
    if imported(root) and (known := Dataset.open(root)).info.source.endswith(digest):
        return known, rows
    refuse_taken(root)
    if root.exists():
        sweep(root)
    with making(root) as place:
        dataset = Dataset.create(place, source=f"{SOURCE} in {folder} {digest}")
        dataset.put_platforms(
            {
                "platform": name,
                "engine": engine,
                "device": device,
                "wall_contains": "process",
                "features": features,
            }
            for name, features in _described(platforms, tables["f_platform"], tables["d_platform"])
            for engine, _, device in [name.partition(":")]
        )
        dataset.put_workloads(
            {"workload": name, "features": features}
            for name, features in _described(workloads, tables["f_workload"], tables["d_workload"])
        )
        dataset.add_part(
            pa.concat_tables([_observations(n, arrays, platforms, workloads) for n, arrays in parts])
        )
    return Dataset.open(root), rows


def imported(root: Path) -> bool:
    """Whether a dataset was made of published files, perhaps of others than those that are asked for."""
    return (root / "dataset.json").exists() and Dataset.open(root).info.source.startswith(SOURCE)


def _digest(folder: Path) -> str:
    """Of all published files in a folder."""
    digest = hashlib.sha256()
    for name in (ISOLATED, *CO_RUN):
        if (folder / name).exists():
            digest.update(name.encode() + hashlib.sha256((folder / name).read_bytes()).digest())
    return digest.hexdigest()[:16]


def _load(path: Path, n_co_runners: int, *, named: bool) -> Arrays:
    wanted = ["t", "i_platform", "i_workload", *(f"i_interference{k}" for k in range(n_co_runners))]
    if named:
        wanted += [f"{kind}_{table}" for table in ("platform", "workload") for kind in "dnf"]
    try:
        missing = [key for key in wanted if key not in archive.entries(path)]
        if missing:
            raise DatasetError(
                f"{path} is not of the published layout: no {missing[0]}; see docs/sharing.md."
            )
        return archive.read(path, wanted)
    except OSError as error:
        raise DatasetError(f"{path} cannot be read: {why(error, path)}; fetch it again.") from error
    except ArchiveError as error:
        raise DatasetError(f"{path} cannot be read as npz: {error.what}; fetch it again.") from error


def _check_table(path: Path, kind: str, arrays: Arrays) -> np.ndarray[Any, Any]:
    """(n,) the names of the rows of one feature table, once everything about it fits."""
    names, columns, table = (arrays[f"{part}_{kind}"] for part in "nfd")
    told = {}
    for key, values in ((f"n_{kind}", names), (f"f_{kind}", columns)):
        if values.ndim != 1 or values.dtype.kind != "U":
            raise DatasetError(
                f"{path}: {key} must be a list of names, not {values.dtype} of shape {values.shape}."
            )
        try:
            told[key] = values.tolist()
            "".join(told[key]).encode()
        except ValueError as error:
            raise DatasetError(f"{path}: {key} has a name that is no text ({error}); correct it.") from error
        if len(set(told[key])) != len(told[key]) or "" in told[key]:
            raise DatasetError(f"{path}: {key} has a name twice or an empty one; correct it.")
    if table.shape != (len(names), len(columns)) or table.dtype.kind not in "fiu":
        raise DatasetError(
            f"{path}: d_{kind} must be {several(len(names), 'row')} of {several(len(columns), 'number')}, not "
            f"{table.dtype} of shape {table.shape}."
        )
    if not np.all(np.isfinite(table)):
        raise DatasetError(f"{path}: d_{kind} has a feature that is not a finite number; correct it.")
    return names


def _check_rows(folder: Path, n_co_runners: int, arrays: Arrays, platforms: int, workloads: int) -> None:
    path, t = folder / (ISOLATED, *CO_RUN)[n_co_runners], arrays["t"]
    if t.ndim != 1 or t.dtype.kind not in "fiu":
        raise DatasetError(f"{path}: t must be one time per row, not {t.dtype} of shape {t.shape}.")
    for key, values in arrays.items():
        if key.startswith("i_"):
            limit = platforms if key == "i_platform" else workloads
            if values.shape != t.shape:
                raise DatasetError(f"{path}: {key} has shape {values.shape} and must be {t.shape}, as t is.")
            if values.dtype.kind not in "iu":
                raise DatasetError(f"{path}: {key} must be whole row numbers, not {values.dtype}.")
            if len(t) and not (values.min() >= 0 and values.max() < limit):
                raise DatasetError(
                    f"{path}: {key} has a row number outside the {several(limit, 'row')} of its table; correct it."
                )
            arrays[key] = values.astype(np.int64)
    if not len(t):
        return
    if not (np.all(np.isfinite(t)) and t.min() > 0):
        raise DatasetError(f"{path}: t has a time that is not positive; leave out that row.")
    if float(t.min()) * NS_PER_UNIT < SHORTEST_NS or float(t.max()) * NS_PER_UNIT > LONGEST_NS:
        raise DatasetError(
            f"{path}: t lies between {t.min():.3g} and {t.max():.3g}, and no execution takes so few or so many "
            "microseconds; t must be in microseconds, convert it."
        )


def _described(
    names: np.ndarray[Any, Any], columns: np.ndarray[Any, Any], table: np.ndarray[Any, Any]
) -> list[tuple[str, list[tuple[str, float]]]]:
    keys = columns.astype(str).tolist()
    return [
        (name, list(zip(keys, row, strict=True)))
        for name, row in zip(names.tolist(), table.tolist(), strict=True)
    ]


def _observations(
    n_co_runners: int, arrays: Arrays, platforms: np.ndarray[Any, Any], workloads: np.ndarray[Any, Any]
) -> pa.Table:
    rows = len(arrays["t"])
    others = [arrays[f"i_interference{k}"] for k in range(n_co_runners)]
    parts = [name.partition(":") for name in platforms.tolist()]
    engines, devices = [engine for engine, _, _ in parts], [device for _, _, device in parts]
    by_name = np.argsort(workloads)
    rank = np.argsort(by_name)
    beside = np.sort(rank[np.stack(others, axis=1)], axis=1) if others else np.empty((rows, 0), np.int64)
    columns: dict[str, Any] = {
        "job": _jobs(n_co_runners, arrays["i_platform"], arrays["i_workload"], others),
        "purpose": pa.repeat("measure", rows),
        "platform": pa.array(platforms.tolist(), pa.string()).take(pa.array(arrays["i_platform"])),
        "engine": pa.array(engines, pa.string()).take(pa.array(arrays["i_platform"])),
        "device": pa.array(devices, pa.string()).take(pa.array(arrays["i_platform"])),
        "workload": pa.array(workloads.tolist(), pa.string()).take(pa.array(arrays["i_workload"])),
        "co_runners": pa.ListArray.from_arrays(
            np.arange(rows + 1, dtype=np.int32) * n_co_runners,
            pa.array(workloads[by_name].tolist(), pa.string()).take(pa.array(beside.ravel())),
        ),
        "n_co_runners": np.full(rows, n_co_runners, np.int8),
        "status": pa.repeat("ok", rows),
        "wall_ns_mean": arrays["t"].astype(np.float64) * NS_PER_UNIT,
        "time_ns": arrays["t"].astype(np.float64) * NS_PER_UNIT,
        "censored": np.zeros(rows, bool),
        "limit_s": np.full(rows, 30.0),
        "regime": pa.repeat("process", rows),  # the published collection started a process for each execution
        "attempt": np.ones(rows, np.int16),
    }
    return pa.table(
        [
            pa.array(columns[field.name], field.type) if field.name in columns else pa.nulls(rows, field.type)
            for field in OBSERVATIONS
        ],
        schema=OBSERVATIONS,
    )


def _jobs(
    n_co_runners: int,
    platform: np.ndarray[Any, Any],
    workload: np.ndarray[Any, Any],
    others: list[np.ndarray[Any, Any]],
) -> pa.Array:
    """A job per platform and set of workloads; the n-th repetition of a row belongs to the n-th such job."""
    beside = np.sort(np.stack(others, axis=1), axis=1) if others else np.empty((len(platform), 0), np.int64)
    members = np.sort(np.column_stack([workload, beside]), axis=1)
    row = _distinct([platform, workload, *beside.T])
    order = np.argsort(row, kind="stable")
    first = np.flatnonzero(np.diff(row[order], prepend=-1))
    turn = np.empty(len(row), np.int64)
    turn[order] = np.arange(len(row)) - np.repeat(first, np.diff(first, append=len(row)))
    number = _distinct([platform, *members.T, turn])
    names = [f"published-{n_co_runners + 1}way-{i:06}" for i in range(number.max(initial=-1) + 1)]
    return pa.array(names, pa.string()).take(pa.array(number))


def _distinct(columns: Sequence[np.ndarray[Any, Any]]) -> np.ndarray[Any, np.dtype[np.int64]]:
    """(N,) the number of each row among the distinct rows in rising order; columns hold no negative number."""
    number = np.zeros(len(columns[0]), np.int64)
    for column in columns:
        number = np.unique(number * (column.max(initial=0) + 1) + column, return_inverse=True)[1]
    return number
