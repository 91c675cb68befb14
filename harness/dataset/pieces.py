"""A dataset in pieces that other processes read, each a few of its files, and what they come to together."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, Self, TypeVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from harness.dataset import ends
from harness.dataset.parts import read_parts
from harness.errors import DatasetError
from harness.spelling import several

PIECE = 96 << 20  # bytes of files: a million and a half rows without samples


class Adds(Protocol):
    def add(self, part: pa.Table) -> None: ...


class Joins(Adds, Protocol):
    def join(self, other: Self) -> None: ...


Joined = TypeVar("Joined", bound=Joins)
# Calls a function with each of some arguments, wherever that is done, and yields what came back in any order. It takes
# an argument only when somebody is free to work at it.
Across = Callable[[Callable[[Any], Any], Iterable[Any]], Iterator[Any]]


@dataclass(frozen=True)
class Piece:
    """Some files, and what is to count their rows.

    kept says of each row whether it counts; without it all do, and keys of the rows are asked for.
    """

    number: int
    files: Sequence[tuple[Path, int]]  # with the bytes of each
    columns: Sequence[str]
    contains: Mapping[str, str]
    counts: Any
    kept: NDArray[np.bool_] | None = None


@dataclass(frozen=True)
class Counted:
    number: int
    counts: Any
    keys: NDArray[np.uint64]


def count(piece: Piece) -> Counted:
    """Runs wherever the files can be read. Raises DatasetError where one cannot, or is another there."""
    for path, size in piece.files:
        try:
            there = path.stat().st_size
        except OSError as error:
            raise DatasetError(
                f"{platform.node()} cannot read {path} ({error.strerror}); who works at a dataset must find it by the "
                "path that it has here: put it where all machines see it."
            ) from None
        if there != size:
            raise DatasetError(
                f"{path} is another file for {platform.node()} than here ({several(there, 'byte')}, not {size:,}); put "
                "the dataset where all machines see the same."
            )
    keys, first = [np.zeros(0, np.uint64)], 0
    for part in read_parts([path for path, _ in piece.files], piece.columns, piece.contains):
        if piece.kept is None:
            keys.append(ends.keys(part))
            piece.counts.add(part)
        else:
            piece.counts.add(part.filter(pa.array(piece.kept[first : first + len(part)])))
        first += len(part)
    return Counted(piece.number, piece.counts, np.concatenate(keys))


def divided(paths: Iterable[Path]) -> list[list[tuple[Path, int]]]:
    """Files in their order, with their bytes, as many together as make a piece."""
    found: list[list[tuple[Path, int]]] = []
    room = 0
    for path in paths:
        size = path.stat().st_size
        if size > room:
            found.append([])
            room = PIECE
        found[-1].append((path.absolute(), size))  # whoever reads it has a directory of its own
        room -= size
    return found
