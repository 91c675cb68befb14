"""Reading and writing .npz files without trusting them.

An .npz is a zip of .npy files: a short text header with type and shape, then the numbers. Here every header is read
and judged before room is made for a single number: the type must be a plain one (nothing is ever unpickled), type and
shape must account for every byte of the entry, and all entries together may not be larger than the file can
reasonably hold. Whatever is wrong with a file ends in one ArchiveError.
"""

from __future__ import annotations

import contextlib
import glob
import io
import math
import os
import re
import struct
import threading
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from pitot_core.errors import ArchiveError, ModelFileError

Array = NDArray[Any]
HOST = re.sub(r"[^A-Za-z0-9]+", "-", os.uname().nodename)[:40]
MOST_ENTRIES = 1000
LARGEST_TOTAL = 2 << 30  # bytes of all arrays
ALWAYS_ALLOWED = 32 << 20  # bytes that even a small file may hold
LARGEST_EXPANSION = 50  # beyond that: bytes of arrays for every byte of the file
LARGEST_TEXT = 1 << 14  # characters of one .npy header
CHUNK = 1 << 20
LEVEL = 1  # of packing: the usual 6 takes twice as long and saves 2 % of a model
PLAIN = "biufU"
MAGIC = b"\x93NUMPY"
HEADER = re.compile(
    r"\s*\{\s*'descr'\s*:\s*'([<>|=]?[a-zA-Z]\d{1,6})'\s*,\s*'fortran_order'\s*:\s*(True|False)\s*,"
    r"\s*'shape'\s*:\s*\(((?:\d{1,18}(?:,\s?\d{1,18})*)?,?)\)\s*,?\s*\}\s*"
)
WHAT_ZIPFILE_RAISES = (
    zipfile.BadZipFile, zlib.error, struct.error, OSError, EOFError, ValueError, LookupError, OverflowError,
    NotImplementedError, RuntimeError, MemoryError, AssertionError,
)  # fmt: skip


@dataclass(frozen=True)
class Entry:
    """One array as its .npy header describes it; `start` is where its numbers begin."""

    name: str
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    fortran: bool
    start: int

    @property
    def size(self) -> int:
        """Bytes of its numbers."""
        return math.prod(self.shape) * self.dtype.itemsize


def entries(path: Path) -> dict[str, Entry]:
    """By name, what the arrays of a file claim to be; no number is read. Raises ArchiveError, or OSError where there is
    no file or none that may be read."""
    _check_file(path)
    try:
        with zipfile.ZipFile(path) as archive:
            return _entries(archive, path)
    except (FileNotFoundError, PermissionError):
        raise
    except ArchiveError:
        raise
    except WHAT_ZIPFILE_RAISES as problem:
        raise ArchiveError(f"it is not a whole .npz file ({_told(problem)})", path) from None


def read(path: Path, names: list[str] | None = None) -> dict[str, Array]:
    """The arrays of these names (default: all). Raises as `entries`; KeyError for a missing name."""
    _check_file(path)
    try:
        with zipfile.ZipFile(path) as archive:
            found = _entries(archive, path)
            chosen = list(found) if names is None else names
            return {name: _numbers(archive, found[name], path) for name in chosen}
    except (FileNotFoundError, PermissionError):
        raise
    except (ArchiveError, KeyError):
        raise
    except WHAT_ZIPFILE_RAISES as problem:
        raise ArchiveError(f"it is not a whole .npz file ({_told(problem)})", path) from None


def _check_file(path: Path) -> None:
    """Raise ArchiveError for what is there and no file: a device without an end would be read until memory is."""
    if path.exists() and not path.is_file():
        kind = "a directory" if path.is_dir() else "a device or a pipe"
        raise ArchiveError(f"it is {kind} and no file", path)


def write(path: Path, arrays: Mapping[str, Array]) -> None:
    """One .npz by way of a hidden draft beside it; a crash leaves the old file whole, and the next call sweeps.

    A device or a pipe, such as /dev/null, is written to as it is, and of a link what it leads to is written.
    """
    if path.exists() and not path.is_file():
        whole = io.BytesIO()
        _pack(whole, arrays)
        try:
            path.write_bytes(whole.getvalue())
        except OSError as error:
            error.filename = error.filename or str(path)
            raise
        return
    path = Path(os.path.realpath(path))
    draft = path.with_name(f".{_short(path)}.{threading.get_ident()}.{HOST}-{os.getpid()}.partial")
    _sweep(path)
    try:
        with open(draft, "wb") as file:
            _pack(file, arrays)
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, path)
    except OSError as error:
        error.filename, error.filename2 = str(path), None  # the name that was asked for, not the hidden one
        raise
    finally:
        with contextlib.suppress(OSError):
            draft.unlink()
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)  # the name is on disk too
    finally:
        os.close(folder)


def _pack(file: IO[bytes], arrays: Mapping[str, Array]) -> None:
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=LEVEL) as archive:
        # Opened by name, entries are dated 1980: equal arrays give equal bytes.
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as stream:
                np.lib.format.write_array(stream, np.asarray(array, order="C"), allow_pickle=False)


def _short(path: Path) -> str:
    """The file's name, or so much of it that a draft's name is not too long for a file."""
    return path.name if len(os.fsencode(path.name)) < 150 else path.name[:30]


def check_shape(name: str, array: Array, shape: tuple[int | None, ...]) -> None:
    """Raise ModelFileError unless an array has this shape; None stands for any length."""
    fits = array.ndim == len(shape) and all(
        want in (None, have) for want, have in zip(shape, array.shape, strict=True)
    )
    if not fits:
        wanted = tuple("any" if length is None else length for length in shape)
        raise ModelFileError(f"array {name!r} has shape {array.shape}, not {wanted}")


def _sweep(path: Path) -> None:
    """Remove drafts of this file whose process is gone; one that writes now on this machine is another's."""
    for draft in path.parent.glob(f".{glob.escape(_short(path))}.*.{HOST}-*.partial"):
        try:
            os.kill(int(draft.name.removesuffix(".partial").rpartition("-")[2]), 0)
        except ProcessLookupError:
            draft.unlink(missing_ok=True)
        except (ValueError, OSError, OverflowError):
            continue  # not ours to judge


def _entries(archive: zipfile.ZipFile, path: Path) -> dict[str, Entry]:
    members = archive.infolist()
    if len(members) > MOST_ENTRIES:
        raise ArchiveError(f"it has {len(members)} entries; at most {MOST_ENTRIES} are read", path)
    allowed = min(LARGEST_TOTAL, ALWAYS_ALLOWED + LARGEST_EXPANSION * path.stat().st_size)
    total = sum(member.file_size for member in members)
    if total > allowed:
        raise ArchiveError(
            f"it claims {total:,} bytes of arrays; a file of its size may hold at most {allowed:,}", path
        )
    found = {}
    for member in members:
        entry = _entry(archive, member, path)
        if entry.name in found:
            raise ArchiveError(f"it has two arrays {entry.name!r}", path)
        found[entry.name] = entry
    return found


def _entry(archive: zipfile.ZipFile, member: zipfile.ZipInfo, path: Path) -> Entry:
    name = member.filename.removesuffix(".npy")
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ArchiveError(f"array {name!r} is packed in a way that is not read here", path)
    with archive.open(member) as stream:
        start = stream.read(10)
        wide = start[6:7] in (b"\x02", b"\x03")
        if start[:6] != MAGIC or not (wide or start[6:7] == b"\x01"):
            raise ArchiveError(f"array {name!r} is damaged (it does not begin as an array does)", path)
        if wide:
            start += stream.read(2)
        length = int.from_bytes(start[8:], "little")
        if length > LARGEST_TEXT:
            raise ArchiveError(f"array {name!r} has a header of {length:,} characters", path)
        matched = HEADER.fullmatch(stream.read(length).decode("latin1"))
    if matched is None:
        raise ArchiveError(f"array {name!r} has a header that describes no plain array", path)
    try:
        dtype = np.dtype(matched[1])
    except TypeError:
        raise ArchiveError(f"array {name!r} has the unknown type {matched[1]!r}", path) from None
    if dtype.kind not in PLAIN:
        raise ArchiveError(f"array {name!r} has the type {matched[1]!r}; only plain ones are read", path)
    shape = tuple(int(length) for length in matched[3].replace(",", " ").split())
    entry = Entry(name, dtype, shape, matched[2] == "True", len(start) + length)
    if len(shape) > 8 or entry.start + entry.size != member.file_size:
        raise ArchiveError(f"array {name!r} does not fit its shape {shape}", path)
    return entry


def _numbers(archive: zipfile.ZipFile, entry: Entry, path: Path) -> Array:
    array = np.empty(entry.shape, entry.dtype, order="F" if entry.fortran else "C")
    if not entry.size:
        return array
    flat = array.reshape(-1, order="F" if entry.fortran else "C").view(
        np.uint8
    )  # its own memory, byte by byte
    with archive.open(f"{entry.name}.npy") as stream:
        stream.read(entry.start)
        done = 0
        while done < entry.size:
            part = stream.read(min(CHUNK, entry.size - done))
            if not part:
                raise ArchiveError(f"array {entry.name!r} is not as long as it claims", path)
            flat[done : done + len(part)] = np.frombuffer(part, np.uint8)
            done += len(part)
        _end(stream, entry, path)
    return array


def _end(stream: IO[bytes], entry: Entry, path: Path) -> None:
    """Read past the last byte: only then is the checksum of the entry compared."""
    if stream.read(1):
        raise ArchiveError(f"array {entry.name!r} is longer than it claims", path)


def _told(problem: BaseException) -> str:
    told = problem.strerror if isinstance(problem, OSError) else None
    return (told or str(problem)).strip().rstrip(".") or type(problem).__name__
