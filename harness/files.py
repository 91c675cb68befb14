"""Files and directories that are whole or absent, whatever is killed meanwhile, and where the user's cache is.

What is being written has a hidden name with the machine and number of its process, ``.NAME.N.HOST-PID.partial``.
Where that process died, the next one on that machine that writes beside it sweeps the leftover away.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import re
import select
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

_HOST = re.sub(r"[^A-Za-z0-9]+", "-", os.uname().nodename)[:40]
_PARTIAL = re.compile(r"\..+\.[A-Za-z0-9-]*?(\d+)\.partial\Z")
LONG, SHORT = 150, 30  # bytes of a name from which on its hidden one has only so many of its letters
MOST_FROM_A_PIPE = 256 << 20  # bytes
WRITER_S, LOOK_S = 10.0, 0.1  # how long somebody is waited for who writes to a pipe, and how often looked for
_NUMBERS = itertools.count(1)
_writing: set[str] = set()  # names of what this process writes now


def cache_directory(kind: str) -> Path:
    """Where this user keeps what can be made again: ``harness/kind`` in the cache directory of the XDG rules."""
    return Path(os.environ.get("XDG_CACHE_HOME") or home() / ".cache") / "harness" / kind


def home() -> Path:
    """This user's home directory. Raises FileNotFoundError where there is none, as for a number without a name."""
    try:
        return Path.home()
    except RuntimeError:
        told = f"the user {os.getuid()} has no name here and so no home directory, set HOME to one"
        raise FileNotFoundError(errno.ENOENT, told, "~") from None


@contextlib.contextmanager
def replacing(path: Path, *, durable: bool = True) -> Iterator[Path]:
    """A temporary path to write to; when that is done it is synced and takes the place of ``path`` at once.

    What is not ``durable`` does not wait for the disk: a crash of the machine may leave it empty. What is no file, such
    as a device or a pipe, and what leads to a file that this process was started with, such as /dev/stdout, is written
    to as it is.
    """
    if not may_be_replaced(path):
        try:
            yield path
        except OSError as error:
            told_of(error, path, path)
            raise
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    sweep(path.parent)
    with _partial(path) as partial:
        try:
            yield partial
            if durable:
                sync(partial)
            os.replace(partial, path)
        finally:
            partial.unlink(missing_ok=True)
    if durable:
        sync(path.parent)


def opened(path: Path) -> BinaryIO:
    """A file to read, at once: of a pipe nobody is waited for who would write to it. Raises OSError."""
    return open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK))


def contents(path: Path) -> bytes:
    """All that is in a file, or comes from a pipe.

    Raises OSError, also for a device that has no end, and a pipe that nobody opens to write to within WRITER_S.
    """
    with opened(path) as file:
        kind = os.fstat(file.fileno()).st_mode
        if stat.S_ISREG(kind):
            return file.read()
        first = _first_bytes(path, file.fileno()) if stat.S_ISFIFO(kind) else b""
        os.set_blocking(file.fileno(), True)
        data = first + file.read(MOST_FROM_A_PIPE + 1)
    if len(data) > MOST_FROM_A_PIPE:
        most = f"it is no file, and more than {MOST_FROM_A_PIPE >> 20} MiB come from it"
        raise OSError(errno.EFBIG, most, str(path))
    return data


def _first_bytes(path: Path, pipe: int) -> bytes:
    """What is in a pipe once somebody has it open to write to, or has left. Raises OSError after WRITER_S."""
    came, until = select.poll(), time.monotonic() + WRITER_S
    came.register(pipe, select.POLLIN)
    while True:
        ready = came.poll(LOOK_S * 1000)  # also where who came has left
        try:
            first = os.read(pipe, 1 << 16)
        except BlockingIOError:  # somebody has, and has written nothing yet
            return b""
        if ready or first:
            return first
        if time.monotonic() > until:
            raise OSError(
                errno.ETIMEDOUT, f"it is a pipe, and nobody writes to it for {WRITER_S:g} s", str(path)
            )


def may_be_replaced(path: Path) -> bool:
    """Whether a file can take the place of ``path``: there is none, a file, or a link to one that is not open here."""
    try:
        there = path.stat()
    except OSError:
        return True
    if not path.is_symlink():
        return path.is_file() or path.is_dir()
    return stat.S_ISREG(there.st_mode) and not any(os.path.samestat(there, one) for one in _opened())


def _opened() -> Iterator[os.stat_result]:
    """What this process was started with, which are the first of its files: a shell passes on no higher numbers."""
    for handle in range(256):
        with contextlib.suppress(OSError):
            yield os.fstat(handle)


@contextlib.contextmanager
def making(folder: Path) -> Iterator[Path]:
    """A temporary directory to write several files to; synced, it becomes ``folder``, which must not be there yet.

    An empty directory of that name may be there. Raises OSError where there is anything else by then.
    """
    if folder.name in ("", ".."):
        folder = Path(os.path.abspath(folder))
    with scratch(folder.parent, folder.name) as place:
        fresh = place / folder.name
        fresh.mkdir()
        yield fresh
        for path in [*sorted(fresh.rglob("*")), fresh]:
            sync(path)
        os.replace(fresh, folder)
    sync(folder.parent)


@contextlib.contextmanager
def scratch(folder: Path, name: str) -> Iterator[Path]:
    """A temporary directory in ``folder`` for what will take a place there; it is gone in the end."""
    folder.mkdir(parents=True, exist_ok=True)
    sweep(folder)
    with _partial(folder / name) as partial:
        try:
            partial.mkdir(0o700)
            yield partial
        finally:
            shutil.rmtree(partial, ignore_errors=True)


def real(path: Path) -> Path:
    """The path without links, as `Path.resolve`, but that links in a circle stay as they are and raise nothing."""
    return Path(os.path.realpath(path))


def temporary(what: str) -> contextlib.AbstractContextManager[Path]:
    """A directory where the system keeps temporary ones, gone in the end; those of dead processes are swept."""
    return scratch(Path(tempfile.gettempdir()), f"harness-{what}")


def sync(path: Path) -> None:
    """On return the file, or which files a directory has, is on disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def is_partial(path: Path) -> bool:
    """Whether a file or directory is one that was being written when its process died, or still is."""
    return _PARTIAL.fullmatch(path.name) is not None


def sweep(folder: Path) -> None:
    """Remove what dead processes of this machine left half-written in a directory."""
    for path in folder.glob(f".*.{_HOST}-*.partial"):
        found = _PARTIAL.fullmatch(path.name)
        if not found or _lives(int(found[1]), path.name):
            continue
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


@contextlib.contextmanager
def _partial(path: Path) -> Iterator[Path]:
    """A name beside ``path`` that no other process and no other thread writes to. An OSError tells of ``path``."""
    name = path.name if len(os.fsencode(path.name)) < LONG else path.name[:SHORT]
    partial = path.with_name(f".{name}.{next(_NUMBERS)}.{_HOST}-{os.getpid()}.partial")
    _writing.add(partial.name)
    try:
        yield partial
    except OSError as error:
        told_of(error, partial, path)
        raise
    finally:
        _writing.discard(partial.name)


def told_of(error: OSError, partial: Path, path: Path) -> None:
    """Let an error speak of ``path``, which the user named, and not of the hidden name that it will be made under."""

    def renamed(text: Any) -> Any:
        if not isinstance(text, str | os.PathLike):
            return text
        inner = os.fspath(text).replace(f"{partial}/{path.name}", str(path))
        return inner.replace(str(partial), str(path))

    error.args = tuple(map(renamed, error.args))
    error.filename, error.filename2, error.strerror = map(
        renamed, (error.filename, error.filename2, error.strerror)
    )
    if error.filename2 == error.filename:
        error.filename2 = None
    if error.filename is None:  # as where a disk is full
        error.filename = str(path)


def _lives(process: int, name: str) -> bool:
    """Whether the process that made this name still writes it; a dead one may have had our own number."""
    if process == os.getpid():
        return name in _writing
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True
