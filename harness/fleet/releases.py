"""Published builds of engines: a list of archives by processor type, fetched, checked, and packed for a device."""

from __future__ import annotations

import hashlib
import re
import tomllib
from importlib import resources
from pathlib import Path
from typing import Annotated

import msgspec
from rich.console import Console

from harness.dataset.fetch import Remote, download, sha256_of
from harness.engines.program import NotFetched, pack_tree
from harness.engines.unpack import unpack
from harness.errors import FetchError, UsageError, why
from harness.files import cache_directory, contents, replacing, temporary

PLACE = r"^(?!/)(?!.*(^|/)\.\.(/|$))[^\\\0]{1,200}$"  # relative, and not above
Place = Annotated[str, msgspec.Meta(pattern=PLACE)]


class Release(Remote, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A program for one processor type: an archive, and which of its files go where on the device."""

    program: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$")]
    machine: Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9_]{1,20}$")]
    files: Annotated[dict[Place, Place], msgspec.Meta(min_length=1)]

    def __post_init__(self) -> None:
        if f"bin/{self.program}" not in self.files:
            raise ValueError(f"`files` brings no bin/{self.program}")


class _Manifest(msgspec.Struct, forbid_unknown_fields=True):
    release: list[Release]


def read_releases(path: Path | None = None) -> list[Release]:
    """A manifest of the user's, or the one that comes with harness. Raises UsageError."""
    try:
        shipped = resources.files("harness.fleet") / "releases.toml"
        text = shipped.read_bytes() if path is None else contents(path)
        return msgspec.convert(tomllib.loads(text.decode()), _Manifest).release
    except OSError as error:
        raise UsageError(
            f"{path} cannot be read: {why(error, path)}; name a manifest with --manifest."
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, msgspec.ValidationError) as error:
        raise UsageError(
            f"{path} is no manifest of releases: {error}; see docs/engines.md for its form."
        ) from None


def fetch_release(release: Release, folder: Path, console: Console) -> Path:
    """The program with what belongs to it, as a zip in ``folder`` to be pushed. Raises NotFetched.

    The archive is kept in the user's cache. One that is not pinned is held to what came first under its URL.
    """
    kept = cache_directory("releases") / hashlib.sha256(release.url.encode()).hexdigest()[:16]
    archive, note = (
        kept / re.sub(r"[^\w.+-]", "_", release.url.rpartition("/")[2])[-100:],
        kept / "first.json",
    )
    try:
        first = msgspec.json.decode(note.read_bytes(), type=Remote)
    except (OSError, msgspec.DecodeError):
        first = None
    wanted = first if first and not release.pinned else release
    try:
        if not archive.is_file() or wanted.difference(archive):
            archive.unlink(missing_ok=True)
            kept.mkdir(parents=True, exist_ok=True)
            download(wanted, archive, console)
    except FetchError as error:
        told = str(error).partition("; ")[0]
        if wanted is first:
            told += f" (as it came first; if the new one is right, remove {note})"
        raise NotFetched(told) from error
    except OSError as error:
        raise NotFetched(f"{kept} cannot be written: {error.strerror}") from error
    with temporary("unpacked") as place:
        try:
            unpack(archive, release.files, place)
        except NotFetched:
            archive.unlink(missing_ok=True)  # what comes next may be right
            raise
        packed = pack_tree(place, folder / f"{release.program}-{release.machine}.zip")
    if not release.pinned and not first:
        came = Remote(url=release.url, bytes=archive.stat().st_size, sha256=sha256_of(archive))
        with replacing(note) as partial:
            partial.write_bytes(msgspec.json.encode(came))
        console.print(
            f"{release.url} is not pinned; taken as it came, with SHA-256 {came.sha256}, and held to it from now on"
        )
    return packed
