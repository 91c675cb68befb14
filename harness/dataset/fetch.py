"""Download files: checked, resumed where a link was lost, and in place only when whole."""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from http.client import HTTPException, HTTPResponse
from importlib import resources
from pathlib import Path
from typing import IO, Annotated

import msgspec
from rich.console import Console

from harness.errors import FetchError, UsageError, why
from harness.files import contents, replacing
from harness.progress import bar
from harness.spelling import several

TRIES = 5  # in a row without one new byte
TIMEOUT_S = 30.0
PAUSE_S = 0.2  # doubled with each try
MOST_BYTES = 1 << 30  # of a file whose size the manifest does not tell
_CHUNK = 1 << 18
_LOST = (urllib.error.URLError, HTTPException, OSError)


class Remote(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """A file elsewhere; ``git_blob`` is the name git gives its content.

    With neither ``sha256`` nor ``git_blob`` its content is taken as it comes, and said to be.
    """

    url: Annotated[str, msgspec.Meta(pattern=r"^https?://")]
    bytes: Annotated[int, msgspec.Meta(gt=0)] | None = None
    sha256: Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}$")] | None = None
    git_blob: Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{40}$")] | None = None

    @property
    def pinned(self) -> bool:
        return self.sha256 is not None or self.git_blob is not None

    def difference(self, path: Path) -> str | None:
        """How the file at ``path`` is not this one, to follow its name in a sentence."""
        size, digest = path.stat().st_size, sha256_of(path)
        if self.bytes is not None and size != self.bytes:
            return f"has {several(size, 'byte')}, not the {self.bytes:,} of the manifest"
        if self.sha256 is not None and digest != self.sha256:
            return f"has SHA-256 {digest}, not {self.sha256} as the manifest says"
        if self.git_blob is not None and (blob := git_blob_of(path)) != self.git_blob:
            return f"is git's blob {blob}, not {self.git_blob} as the manifest says"
        return None


class Source(Remote, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """One of the published files."""

    name: Annotated[str, msgspec.Meta(pattern=r"^(data|if2|if3|if4)\.npz$")]


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    files: list[Source]


def read_manifest(path: Path | None) -> Manifest:
    """A manifest of the user's, or the one that comes with harness. Raises UsageError."""
    if path is None:
        content = resources.files("harness").joinpath("published.json").read_bytes()
    else:
        try:
            content = contents(path)
        except OSError as error:
            raise UsageError(
                f"{path} cannot be read: {why(error, path)}; name a manifest with --manifest."
            ) from None
    try:
        return msgspec.json.decode(content, type=Manifest)
    except msgspec.DecodeError as error:
        raise UsageError(f"{path} is not a manifest of files: {error}; see docs/sharing.md.") from None


def fetch(manifest: Manifest, folder: Path, console: Console) -> None:
    """Put every file of the manifest into ``folder``, and beside them a manifest of what came.

    A file that is there already is checked, not fetched again. Raises FetchError.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FetchError(f"{folder} cannot be made: {error.strerror}; name another directory.") from None
    came = []
    for source in manifest.files:
        path = folder / source.name
        if not path.exists():
            download(source, path, console)
        if problem := source.difference(path):
            raise FetchError(f"{path} {problem}; remove it and repeat the command.")
        size, digest = path.stat().st_size, sha256_of(path)
        if not source.pinned:
            console.print(f"{source.name}: {several(size, 'byte')}, not pinned; its SHA-256 is {digest}")
        came.append(msgspec.structs.replace(source, bytes=size, sha256=digest))
    with replacing(folder / "manifest.json") as partial:
        partial.write_bytes(msgspec.json.format(msgspec.json.encode(Manifest(came)), indent=1) + b"\n")


def download(source: Remote, path: Path, console: Console) -> None:
    """Put the file at ``path`` once it is whole and the right one. Raises FetchError."""
    partial = path.with_name(f"{path.name}.partial")
    with bar(console, f"fetching {path.name} (KiB)", (source.bytes or 0) // 1024) as progress:
        _receive(source, partial, lambda done, total: progress.at(done // 1024, total // 1024))
    if problem := source.difference(partial):
        partial.unlink()
        raise FetchError(f"{source.url} {problem}; it was not kept, check the URL or the manifest.")
    os.replace(partial, path)


def _receive(source: Remote, partial: Path, progress: Callable[[int, int], None]) -> None:
    """Until the file is whole; a lost connection is taken up where it broke."""
    failures, etag = 0, None
    while True:
        if not source.pinned and etag is None:
            partial.unlink(missing_ok=True)  # nothing would show that the rest is of another version
        before = partial.stat().st_size if partial.exists() else 0
        if before and before == source.bytes:
            return
        try:
            with _ask(source, before, etag) as answer, open(partial, "ab") as file:
                etag = answer.headers.get("ETag")
                _store(source, answer, file, progress)
            return
        except urllib.error.HTTPError as error:
            error.close()
            if error.code == 416:  # the server's file ends before what is here
                partial.unlink(missing_ok=True)
            elif error.code < 500:
                raise FetchError(
                    f"{source.url} answers {error.code} {error.reason}; name other URLs with --manifest."
                ) from None
            reason = f"it answers {error.code}"
        except _LOST as error:
            reason = str(getattr(error, "reason", error)) or type(error).__name__
        grown = partial.exists() and partial.stat().st_size > before
        failures = 1 if grown else failures + 1
        if failures >= TRIES:
            raise FetchError(
                f"{source.url} cannot be fetched ({reason}); repeat the command to go on where it broke."
            )
        time.sleep(PAUSE_S * 2**failures)


@contextlib.contextmanager
def _ask(source: Remote, start: int, etag: str | None) -> Iterator[HTTPResponse]:
    headers = {"Accept-Encoding": "identity"}
    if start:
        headers["Range"] = f"bytes={start}-"
        if etag and not etag.startswith("W/"):
            headers["If-Range"] = etag
    request = urllib.request.Request(source.url, headers=headers)
    with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:
        yield answer


def _store(
    source: Remote, answer: HTTPResponse, file: IO[bytes], progress: Callable[[int, int], None]
) -> None:
    """Append the answer; from the start where the server sends all of it. Raises OSError where it breaks off."""
    start = file.tell()
    if answer.status != 206 or not (answer.headers.get("Content-Range") or "").startswith(f"bytes {start}-"):
        if answer.status == 206:
            file.truncate(0)
            raise OSError("it sends another range than was asked for")
        file.truncate(0)
        start = 0
    length = answer.headers.get("Content-Length")
    total = start + int(length) if length and length.isdigit() else source.bytes or 0
    most = source.bytes or MOST_BYTES
    done = start
    while block := answer.read(_CHUNK):
        done += len(block)
        if done > most:
            file.truncate(0)
            raise FetchError(
                f"{source.url} sends more than {several(most, 'byte')}; check the URL or the manifest."
            )
        file.write(block)
        progress(done, total)
    if done < total:
        raise OSError(f"the connection broke off after {done:,} of {several(total, 'byte')}")


def sha256_of(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def git_blob_of(path: Path) -> str:
    """SHA-1 of ``blob SIZE\\0`` and the content, as git names it."""
    digest = hashlib.sha1(f"blob {path.stat().st_size}\0".encode(), usedforsecurity=False)
    with open(path, "rb") as file:
        while block := file.read(_CHUNK):
            digest.update(block)
    return digest.hexdigest()
