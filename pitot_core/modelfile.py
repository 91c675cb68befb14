"""A model on disk: one .npz of plain arrays, whose array `header` is JSON.

History of FORMAT: 1 (towers only); 2 (a completion of any method, and bounds by a spread of their own); 3 (that
spread is a table as well); 4 (which rows were learned, and which of the newcomers' a limit ended); 5 (what share of
misses each tenth of spread is allotted); 6 (by how much of the machine's pace times go). Models of formats 3 to 5 are
read too; one of format 3 remembers no row.
What a file claims is judged before it is read (see `archive`), and every array must have the one type that an array
of its name has.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pitot_core import archive
from pitot_core.errors import ArchiveError, ModelFileError

FORMAT, OLDEST = 6, 3
KIND = "pitot_core model"
LARGEST_HEADER = 16 << 20
HEADER = "header"
Array = NDArray[Any]


def save(path: Path, header: dict[str, Any], arrays: dict[str, Array], dtypes: dict[str, str]) -> None:
    """Write a model whole or not at all; `dtypes` as in `load`."""
    text = json.dumps({"kind": KIND, "format": FORMAT, "units": "ns"} | header).encode()
    kept = {HEADER: np.frombuffer(text, np.uint8)}
    for name, array in arrays.items():
        kept[name] = np.ascontiguousarray(array, np.dtype(_type(name, dtypes)).newbyteorder("<"))
    archive.write(path, kept)


def load_header(path: Path) -> dict[str, Any]:
    """The JSON part, read alone. Raises ModelFileError."""
    with _told(path):
        return _load_header(path)


def load_arrays(path: Path, dtypes: dict[str, str]) -> dict[str, Array]:
    """Every array, each of the type that `dtypes` gives its name ("f8" where it gives none), all finite.

    A key of `dtypes` may be a pattern with "*"; the first that fits counts. Raises ModelFileError.
    """
    with _told(path):
        return _load_arrays(path, dtypes)


def _load_header(path: Path) -> dict[str, Any]:
    entry = archive.entries(path).get(HEADER)
    if entry is None:
        raise ModelFileError("it is not a model of pitot_core: it has no header", path)
    if entry.size > LARGEST_HEADER or entry.dtype.str[1:] != "u1":
        raise ModelFileError("it is not a model of pitot_core: its header is none", path)
    try:
        header = json.loads(archive.read(path, [HEADER])[HEADER].tobytes().decode())
    except (ValueError, RecursionError) as problem:
        raise ModelFileError(f"it is a damaged model file (its header: {problem})", path) from None
    if not isinstance(header, dict) or header.get("kind") != KIND:
        raise ModelFileError("the file's header is not that of a model of pitot_core", path)
    if header.get("format") not in range(OLDEST, FORMAT + 1):
        raise ModelFileError(
            f"it has format {header.get('format')!r}; this version reads {OLDEST} to {FORMAT}; train it again",
            path,
        )
    return header


def _load_arrays(path: Path, dtypes: dict[str, str]) -> dict[str, Array]:
    claimed = archive.entries(path)
    for name, entry in claimed.items():
        wanted = "u1" if name == HEADER else _type(name, dtypes)
        if entry.dtype.str[1:] != wanted or entry.fortran:
            raise ModelFileError(
                f"array {name!r} has the type {entry.dtype}, which no model of pitot_core has there", path
            )
    arrays = archive.read(path, [name for name in claimed if name != HEADER])
    for name, array in arrays.items():
        if array.dtype.kind == "f" and not np.all(np.isfinite(array)):
            raise ModelFileError(f"array {name!r} holds a number that is not finite", path)
    return arrays


@contextmanager
def _told(path: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise ModelFileError(f"there is no model file at {path}") from None
    except ModelFileError:
        raise
    except ArchiveError as problem:
        raise ModelFileError(f"it is not a model of pitot_core: {problem.what}", path) from None


def _type(name: str, dtypes: dict[str, str]) -> str:
    for pattern, dtype in dtypes.items():
        if fnmatchcase(name, pattern):
            return dtype
    return "f8"
