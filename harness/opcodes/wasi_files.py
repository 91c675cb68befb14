"""What a WASI program holds open: streams, files, and directories it cannot leave.

A path is walked one component at a time from the directory's descriptor, never following a symbolic link by
the kernel: `..` above the directory, absolute paths and links that point outside raise `Escape`.
"""

from __future__ import annotations

import errno
import os
import stat
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

from harness.opcodes.invocation import Capture

_MAX_LINKS = 40
UNKNOWN, DIRECTORY = 0, 3
RIGHT_READ, RIGHT_WRITE = 1 << 1, 1 << 6
_FILETYPES = {
    stat.S_IFBLK: 1, stat.S_IFCHR: 2, stat.S_IFDIR: 3, stat.S_IFREG: 4, stat.S_IFSOCK: 6, stat.S_IFLNK: 7,
}  # fmt: skip


class Escape(Exception):
    """A path that leads outside its directory."""


class Stream:
    """Standard input, output or error."""

    flags = 0

    def __init__(self, source: BinaryIO | None = None, sink: Capture | None = None) -> None:
        self.source, self.sink = source, sink

    def read(self, size: int) -> bytes:
        if self.source is None:
            raise OSError(errno.EBADF, "not readable")
        return self.source.read(size)

    def write(self, content: bytes) -> int:
        if self.sink is None:
            raise OSError(errno.EBADF, "not writable")
        self.sink.write(content)
        return len(content)

    def seek(self, offset: int, whence: int) -> int:
        raise OSError(errno.ESPIPE, "a stream")

    def close(self) -> None:
        if self.source is not None:
            self.source.close()

    def set_flags(self, flags: int) -> None:
        self.flags = flags

    def filetype(self) -> int:
        return UNKNOWN

    def rights(self) -> tuple[int, int]:
        right = RIGHT_READ if self.source is not None else RIGHT_WRITE
        return right, right

    def filestat(self) -> bytes:
        return struct.pack("<QQB7xQQQQQ", 0, 0, UNKNOWN, 0, 0, 0, 0, 0)


class File:
    def __init__(self, fd: int, flags: int, rights: int) -> None:
        self.fd, self.flags, self._rights = fd, flags, rights

    def read(self, size: int) -> bytes:
        return os.read(self.fd, size)

    def write(self, content: bytes) -> int:
        return os.write(self.fd, content)

    def seek(self, offset: int, whence: int) -> int:
        return os.lseek(self.fd, offset, whence)

    def close(self) -> None:
        os.close(self.fd)

    def set_flags(self, flags: int) -> None:
        self.flags = flags

    def filetype(self) -> int:
        return _filetype(os.fstat(self.fd))

    def rights(self) -> tuple[int, int]:
        return self._rights, self._rights

    def filestat(self) -> bytes:
        return _filestat(os.fstat(self.fd))


class Directory:
    """`guest` is the name it is preopened under; None for one the program opened itself."""

    flags = 0

    def __init__(self, fd: int, guest: str | None) -> None:
        self.fd, self.guest = fd, guest

    def close(self) -> None:
        os.close(self.fd)

    def filetype(self) -> int:
        return DIRECTORY

    def rights(self) -> tuple[int, int]:
        """Those of the directory and those of what is opened in it, as wasmtime reports them."""
        return (0x3FB7FFBB, 0x3FB7FFBB) if self.guest is None else (0x07B7FE00, 0x0FF7FFFF)

    def filestat(self) -> bytes:
        return _filestat(os.fstat(self.fd))

    def entries(self) -> list[tuple[bytes, int, int]]:
        """Name, inode and type of everything inside, in the order of the names."""
        found = [(b".", os.fstat(self.fd).st_ino, DIRECTORY), (b"..", 0, DIRECTORY)]
        for name in sorted(os.listdir(self.fd)):
            status = os.stat(name, dir_fd=self.fd, follow_symlinks=False)
            found.append((os.fsencode(name), status.st_ino, _filetype(status)))
        return found

    @contextmanager
    def place(self, path: str) -> Iterator[tuple[int, str]]:
        """Descriptor of the last directory on the path, and the last name, which is not followed."""
        opened, name = self._walk(path, follow=False)
        try:
            yield opened[-1] if opened else self.fd, name
        finally:
            for fd in opened:
                os.close(fd)

    def open(self, path: str, flags: int, *, follow: bool, fdflags: int) -> File | Directory:
        opened, name = self._walk(path, follow=follow)
        try:
            parent = opened[-1] if opened else self.fd
            fd = os.open(name, flags | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666, dir_fd=parent)
        finally:
            for other in opened:
                os.close(other)
        if stat.S_ISDIR(os.fstat(fd).st_mode):
            return Directory(fd, None)
        mode = flags & os.O_ACCMODE
        rights = (1 << 30) - 1
        if mode == os.O_RDONLY:
            rights &= ~RIGHT_WRITE
        elif mode == os.O_WRONLY:
            rights &= ~RIGHT_READ
        return File(fd, fdflags, rights)

    def filestat_of(self, path: str, *, follow: bool) -> bytes:
        opened, name = self._walk(path, follow=follow)
        try:
            parent = opened[-1] if opened else self.fd
            return _filestat(os.stat(name, dir_fd=parent, follow_symlinks=False))
        finally:
            for fd in opened:
                os.close(fd)

    def _walk(self, path: str, *, follow: bool) -> tuple[list[int], str]:
        """Descriptors of the directories on the way, and the last name in the last of them."""
        if "\0" in path:
            raise OSError(errno.EILSEQ, "a path with a zero byte")
        opened: list[int] = []
        links = 0
        left = _components(path)
        try:
            while True:
                name = left.pop(0)
                parent = opened[-1] if opened else self.fd
                if name == "..":
                    if not opened:
                        raise Escape(path)
                    os.close(opened.pop())
                    if not left:
                        return opened, "."
                    continue
                if left or follow:
                    target = _link(name, parent)
                    if target is not None:
                        links += 1
                        if links > _MAX_LINKS:
                            raise OSError(errno.ELOOP, "too many links")
                        left = _components(target) + left
                        continue
                if not left:
                    return opened, name
                if name != ".":
                    opened.append(os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=parent))
        except BaseException:
            for fd in opened:
                os.close(fd)
            raise


def _components(path: str) -> list[str]:
    if path.startswith("/"):
        raise Escape(path)
    if not path:
        raise OSError(errno.ENOENT, "an empty path")
    names = [name for name in path.split("/") if name]
    if path.endswith("/"):
        names.append(".")
    return names


def _link(name: str, parent: int) -> str | None:
    """Where a symbolic link points; None for anything else."""
    try:
        return os.readlink(name, dir_fd=parent)
    except OSError as error:
        if error.errno in (errno.EINVAL, errno.ENOENT):
            return None
        raise


def _filetype(status: os.stat_result) -> int:
    return _FILETYPES.get(stat.S_IFMT(status.st_mode), UNKNOWN)


def _filestat(status: os.stat_result) -> bytes:
    times = (status.st_atime_ns, status.st_mtime_ns, status.st_ctime_ns)
    head = struct.pack("<QQB7x", status.st_dev, status.st_ino, _filetype(status))
    return head + struct.pack("<QQQQQ", status.st_nlink, status.st_size, *times)
