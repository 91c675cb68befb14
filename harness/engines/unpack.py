"""Programs out of an archive that somebody published: only the files asked for, and never more than so many bytes."""

from __future__ import annotations

import io
import lzma
import posixpath
import tarfile
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import IO

from harness.engines.program import NotFetched

MOST_BYTES = 2 << 30  # of an archive when it is unpacked, headers and what is not wanted included
MOST_FILES = 20_000
MOST_LINKS = 40  # from one to the next, as the kernel has it
_CHUNK = 1 << 20
_DAMAGED = (tarfile.TarError, zipfile.BadZipFile, lzma.LZMAError, zlib.error, EOFError, OSError, ValueError)


def unpack(archive: Path, files: Mapping[str, str], folder: Path) -> None:
    """Write to ``folder`` what ``files`` names: the place there, and the place in the archive.

    A place that ends with ``/`` is a directory and stands for all below it. A link becomes what it points to within
    the archive. Raises NotFetched where the archive is damaged, too large or lacks one of them.
    """
    try:
        found = (
            _zipped(archive, files, folder)
            if zipfile.is_zipfile(archive)
            else _tarred(archive, files, folder)
        )
    except _DAMAGED as error:
        raise NotFetched(f"{archive.name} cannot be unpacked: {error}") from error
    for there in files.values():
        if not any(name == there or (there.endswith("/") and name.startswith(there)) for name in found):
            raise NotFetched(f"{archive.name} holds no {there}")


class _Limited(io.RawIOBase):
    """A stream of which only so many bytes can be read."""

    def __init__(self, inner: io.BufferedIOBase) -> None:
        self.inner, self.left = inner, MOST_BYTES

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        data = self.inner.read(_CHUNK if size < 0 else min(size, _CHUNK))
        self.left -= len(data)
        if self.left < 0:
            raise ValueError(f"it unpacks to more than {MOST_BYTES:,} bytes")
        return data


def _tarred(archive: Path, files: Mapping[str, str], folder: Path) -> set[str]:
    links: dict[str, str] = {}
    found: set[str] = set()
    with _decompressed(archive) as plain:
        limited = _Limited(plain)
        with tarfile.open(fileobj=limited, mode="r|") as given:
            for number, member in enumerate(given):
                if number >= MOST_FILES:
                    raise ValueError(f"it has more than {MOST_FILES:,} entries")
                name = posixpath.normpath(member.name)
                if member.issym():
                    links[name] = posixpath.normpath(posixpath.join(posixpath.dirname(name), member.linkname))
                elif member.islnk():
                    links[name] = posixpath.normpath(member.linkname)
                elif member.isreg() and (places := _places(name, files)):
                    content = given.extractfile(member)
                    assert content is not None
                    _write(content, places, folder)
                    found.add(name)
        while limited.read(_CHUNK):  # to its end, where the checksum of what was compressed stands
            pass
    for name in links:
        target = name
        for _ in range(MOST_LINKS):
            target = links.get(target, target)
        # A link within what was asked for; one to anything else could not be followed in a stream.
        if (places := _places(name, files)) and target in found:
            with (folder / _places(target, files)[0]).open("rb") as content:
                _write(content, places, folder)
            found.add(name)
    return found


def _decompressed(archive: Path) -> io.BufferedIOBase:
    with archive.open("rb") as file:
        magic = file.read(6)
    if magic.startswith(b"\x1f\x8b"):
        import gzip

        return gzip.open(archive, "rb")
    if magic.startswith(b"BZh"):
        import bz2

        return bz2.open(archive, "rb")
    if magic == b"\xfd7zXZ\0":
        return lzma.open(archive, "rb")
    return archive.open("rb")


def _zipped(archive: Path, files: Mapping[str, str], folder: Path) -> set[str]:
    found: set[str] = set()
    left = MOST_BYTES
    with zipfile.ZipFile(archive) as given:
        if len(given.infolist()) > MOST_FILES:
            raise ValueError(f"it has more than {MOST_FILES:,} entries")
        for entry in given.infolist():
            name = posixpath.normpath(entry.filename)
            if entry.is_dir() or not (places := _places(name, files)):
                continue
            left -= entry.file_size  # zipfile gives no more than it says there
            if left < 0:
                raise ValueError(f"it unpacks to more than {MOST_BYTES:,} bytes")
            with given.open(entry) as content:
                _write(content, places, folder)
            found.add(name)
    return found


def _places(name: str, files: Mapping[str, str]) -> list[str]:
    """Where an archive's file is wanted. Its name never leads out: what is kept of it is below a place of ours."""
    if name.startswith(("/", "../")):
        return []
    return [
        here + name.removeprefix(there) if there.endswith("/") else here
        for here, there in files.items()
        if (name.startswith(there) if there.endswith("/") else name == there)
    ]


def _write(content: IO[bytes], places: list[str], folder: Path) -> None:
    first, *others = [folder / place for place in places]
    first.parent.mkdir(parents=True, exist_ok=True)
    with first.open("wb") as out:
        while chunk := content.read(_CHUNK):
            out.write(chunk)
    for other in others:
        other.parent.mkdir(parents=True, exist_ok=True)
        other.write_bytes(first.read_bytes())
