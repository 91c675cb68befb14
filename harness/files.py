"""Files and directories that are whole or absent, whatever is killed while they are written.

What is being written has a hidden name with the number of its process, ``.NAME.PID.partial``. Where that process died,
the next one that writes beside it sweeps the leftover away.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

_LEFTOVER = re.compile(r"\..+\.(\d+)\.partial\Z")
hook: Callable[[str], None] | None = None  # a test's: told before each step on disk, and raises to die there


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path to write to; when that is done it is synced and takes the place of ``path`` at once."""
    _step(f"make {path.parent}")
    path.parent.mkdir(parents=True, exist_ok=True)
    sweep(path.parent)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        _step(f"write {path}")
        yield partial
        _step(f"sync {path}")
        sync(partial)
        _step(f"rename {path}")
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
    _step(f"sync {path.parent}")
    sync(path.parent)


@contextlib.contextmanager
def making(folder: Path) -> Iterator[Path]:
    """A temporary directory to write several files to; synced, it becomes ``folder``, which must not be there yet.

    An empty directory of that name may be there. Raises OSError where there is anything else by then.
    """
    folder = Path(os.path.abspath(folder))
    _step(f"make {folder.parent}")
    folder.parent.mkdir(parents=True, exist_ok=True)
    sweep(folder.parent)
    partial = folder.with_name(f".{folder.name}.{os.getpid()}.partial")
    try:
        _step(f"make {partial.name}")
        partial.mkdir()
        yield partial
        for path in sorted(partial.rglob("*")):
            _step(f"sync {path.name}")
            sync(path)
        sync(partial)
        _step(f"rename {folder}")
        os.replace(partial, folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    _step(f"sync {folder.parent}")
    sync(folder.parent)


def sync(path: Path) -> None:
    """On return the file, or which files a directory has, is on disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def is_partial(path: Path) -> bool:
    """Whether a file or directory is one that was being written when its process died, or still is."""
    return _LEFTOVER.fullmatch(path.name) is not None


def sweep(folder: Path) -> None:
    """Remove what dead processes of this machine left half-written in a directory."""
    for path in folder.glob(".*.partial"):
        found = _LEFTOVER.fullmatch(path.name)
        if not found or _lives(int(found[1])):
            continue
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True


def _step(what: str) -> None:
    if hook:
        hook(what)
