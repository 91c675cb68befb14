"""WASI preview 1 for the interpreter: arguments, environment, clocks, random bytes, streams and preopened
directories.

Each function takes the integers the program passed and gives the error number WASI defines (0: done). What is
not offered (sockets, links, changing times) answers ENOSYS. Files are reached through `wasi_files.py` only.
"""

from __future__ import annotations

import functools
import io
import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

from harness.errors import ModuleError
from harness.opcodes.invocation import Capture, Invocation
from harness.opcodes.module_parts import FuncType
from harness.opcodes.wasi_errors import errno_of
from harness.opcodes.wasi_files import RIGHT_READ, RIGHT_WRITE, Directory, Escape, File, Stream
from harness.opcodes.wasi_program import EBADF, NO_MEMORY, Fault, Program

MODULE = "wasi_snapshot_preview1"
EFAULT, EINVAL, ENAMETOOLONG, ENOSYS, EPERM = 21, 28, 37, 52, 63
# Parameters of every function (i: i32, I: i64); each gives an error number, but for proc_exit.
_PARAMETERS = {
    "args_get": "ii", "args_sizes_get": "ii", "environ_get": "ii", "environ_sizes_get": "ii", "clock_res_get": "ii",
    "clock_time_get": "iIi", "fd_advise": "iIIi", "fd_allocate": "iII", "fd_close": "i", "fd_datasync": "i",
    "fd_fdstat_get": "ii", "fd_fdstat_set_flags": "ii", "fd_fdstat_set_rights": "iII", "fd_filestat_get": "ii",
    "fd_filestat_set_size": "iI", "fd_filestat_set_times": "iIIi", "fd_pread": "iiiIi", "fd_prestat_get": "ii",
    "fd_prestat_dir_name": "iii", "fd_pwrite": "iiiIi", "fd_read": "iiii", "fd_readdir": "iiiIi",
    "fd_renumber": "ii", "fd_seek": "iIii", "fd_sync": "i", "fd_tell": "ii", "fd_write": "iiii",
    "path_create_directory": "iii", "path_filestat_get": "iiiii", "path_filestat_set_times": "iiiiIIi",
    "path_link": "iiiiiii", "path_open": "iiiiiIIii", "path_readlink": "iiiiii", "path_remove_directory": "iii",
    "path_rename": "iiiiii", "path_symlink": "iiiii", "path_unlink_file": "iii", "poll_oneoff": "iiii",
    "proc_exit": "i", "proc_raise": "i", "sched_yield": "", "random_get": "ii", "sock_accept": "iii",
    "sock_recv": "iiiiii", "sock_send": "iiiii", "sock_shutdown": "ii",
}  # fmt: skip
_CREATE, _DIRECTORY, _EXCLUSIVE, _TRUNCATE = 1, 2, 4, 8  # oflags
_APPEND = 1  # fdflags
_SYMLINK_FOLLOW = 1  # lookupflags


@functools.cache
def host_types() -> dict[str, FuncType]:
    """Every function of preview 1 by name."""
    return {
        name: FuncType(
            tuple("i32" if letter == "i" else "i64" for letter in letters),
            () if name == "proc_exit" else ("i32",),
        )
        for name, letters in _PARAMETERS.items()
    }


def _opened(given: bytes | Path) -> BinaryIO:
    return given.open("rb") if isinstance(given, Path) else io.BytesIO(given)


class Wasi(Program):
    def __init__(self, invocation: Invocation, outputs: tuple[Capture, Capture]) -> None:
        super().__init__(invocation)
        self.files: dict[int, Stream | File | Directory] = {
            0: Stream(source=_opened(invocation.stdin)),
            1: Stream(sink=outputs[0]),
            2: Stream(sink=outputs[1]),
        }
        for guest, host in invocation.preopens.items():
            self.files[len(self.files)] = Directory(os.open(Path(host), os.O_RDONLY | os.O_DIRECTORY), guest)

    def functions(self) -> dict[tuple[str, str], tuple[FuncType, Callable[..., Any]]]:
        """Every function of preview 1, with its type, by (module, name)."""
        return {
            (MODULE, name): (type_, self._guarded(getattr(self, name, None)))
            for name, type_ in host_types().items()
        }

    def close(self) -> None:
        for file in self.files.values():
            file.close()

    def _guarded(self, function: Callable[..., int] | None) -> Callable[..., int]:
        def call(*arguments: int) -> int:
            if self.memory is NO_MEMORY:
                raise ModuleError("the module does not run: missing required memory export")
            if function is None:
                return ENOSYS
            try:
                return function(*arguments)
            except Fault:
                return EFAULT
            except Escape:
                return EPERM
            except OSError as error:
                return errno_of(error)

        return call

    # Open files.

    def _file(self, fd: int) -> Stream | File:
        file = self.files.get(fd)
        if file is None:
            raise OSError(9, "not open")
        if isinstance(file, Directory):
            raise OSError(9, "a directory")
        return file

    def _directory(self, fd: int) -> Directory:
        file = self.files.get(fd)
        if file is None:
            raise OSError(9, "not open")
        if not isinstance(file, Directory):
            raise NotADirectoryError(20, "not a directory")
        return file

    def fd_read(self, fd: int, vectors: int, count: int, size_at: int) -> int:
        file = self._file(fd)
        at, size = self._vector(vectors, count)
        content = file.read(size)
        self._write(at, content)
        self._write_int(size_at, len(content))
        return 0

    def fd_pread(self, fd: int, vectors: int, count: int, offset: int, size_at: int) -> int:
        file, before = self._file(fd), self._file(fd).seek(0, 1)
        file.seek(offset, 0)
        try:
            return self.fd_read(fd, vectors, count, size_at)
        finally:
            file.seek(before, 0)

    def fd_write(self, fd: int, vectors: int, count: int, size_at: int) -> int:
        file = self._file(fd)
        self._write_int(size_at, file.write(self._read(*self._vector(vectors, count))))
        return 0

    def fd_pwrite(self, fd: int, vectors: int, count: int, offset: int, size_at: int) -> int:
        file, before = self._file(fd), self._file(fd).seek(0, 1)
        file.seek(offset, 0)
        try:
            return self.fd_write(fd, vectors, count, size_at)
        finally:
            file.seek(before, 0)

    def fd_seek(self, fd: int, offset: int, whence: int, at: int) -> int:
        if whence > 2:
            return EINVAL
        signed = (offset ^ 1 << 63) - (1 << 63)
        self._write_int(at, self._file(fd).seek(signed, whence), 8)
        return 0

    def fd_tell(self, fd: int, at: int) -> int:
        self._write_int(at, self._file(fd).seek(0, 1), 8)
        return 0

    def fd_close(self, fd: int) -> int:
        if fd not in self.files:
            return EBADF
        self.files.pop(fd).close()
        return 0

    def fd_sync(self, fd: int) -> int:
        return 0 if fd in self.files else EBADF

    fd_datasync = fd_sync

    def fd_advise(self, fd: int, offset: int, size: int, advice: int) -> int:
        return 0 if fd in self.files else EBADF

    def fd_fdstat_get(self, fd: int, at: int) -> int:
        file = self.files.get(fd)
        if file is None:
            return EBADF
        self._write(at, struct.pack("<BxHxxxxQQ", file.filetype(), file.flags, *file.rights()))
        return 0

    def fd_fdstat_set_flags(self, fd: int, flags: int) -> int:
        file = self._file(fd)
        file.set_flags(flags)
        return 0

    def fd_filestat_get(self, fd: int, at: int) -> int:
        if fd not in self.files:
            return EBADF
        self._write(at, self.files[fd].filestat())
        return 0

    def fd_filestat_set_size(self, fd: int, size: int) -> int:
        file = self._file(fd)
        if isinstance(file, Stream):
            return EINVAL
        os.ftruncate(file.fd, size)
        return 0

    def fd_renumber(self, fd: int, target: int) -> int:
        if fd not in self.files or target not in self.files:
            return EBADF
        if fd != target:
            self.files[target].close()
            self.files[target] = self.files.pop(fd)
        return 0

    # Directories.

    def fd_prestat_get(self, fd: int, at: int) -> int:
        file = self.files.get(fd)
        if not isinstance(file, Directory) or file.guest is None:
            return EBADF
        self._write(at, struct.pack("<II", 0, len(file.guest.encode())))
        return 0

    def fd_prestat_dir_name(self, fd: int, at: int, size: int) -> int:
        file = self.files.get(fd)
        if not isinstance(file, Directory) or file.guest is None:
            return EBADF
        name = file.guest.encode()
        if size < len(name):
            return ENAMETOOLONG
        self._write(at, name)
        return 0

    def fd_readdir(self, fd: int, at: int, size: int, cookie: int, size_at: int) -> int:
        found = b""
        for place, (name, number, filetype) in enumerate(self._directory(fd).entries()):
            if place >= cookie:
                found += struct.pack("<QQIBxxx", place + 1, number, len(name), filetype) + name
                if len(found) >= size:
                    break
        self._write(at, found[:size])
        self._write_int(size_at, len(found[:size]))
        return 0

    def path_open(
        self,
        fd: int,
        lookup: int,
        path: int,
        size: int,
        oflags: int,
        rights: int,
        inheriting: int,
        fdflags: int,
        fd_at: int,
    ) -> int:
        reading, writing = rights & RIGHT_READ, rights & RIGHT_WRITE
        flags = os.O_RDWR if reading and writing else os.O_WRONLY if writing else os.O_RDONLY
        flags |= os.O_CREAT if oflags & _CREATE else 0
        flags |= os.O_EXCL if oflags & _EXCLUSIVE else 0
        flags |= os.O_TRUNC if oflags & _TRUNCATE else 0
        flags |= os.O_APPEND if fdflags & _APPEND else 0
        flags |= os.O_DIRECTORY if oflags & _DIRECTORY else 0
        self._read(fd_at, 4)
        opened = self._directory(fd).open(
            self._path(path, size), flags, follow=bool(lookup & _SYMLINK_FOLLOW), fdflags=fdflags
        )
        number = next(n for n in range(3, len(self.files) + 4) if n not in self.files)
        self.files[number] = opened
        self._write_int(fd_at, number)
        return 0

    def path_filestat_get(self, fd: int, lookup: int, path: int, size: int, at: int) -> int:
        follow = bool(lookup & _SYMLINK_FOLLOW)
        self._write(at, self._directory(fd).filestat_of(self._path(path, size), follow=follow))
        return 0

    def path_create_directory(self, fd: int, path: int, size: int) -> int:
        with self._directory(fd).place(self._path(path, size)) as (parent, name):
            os.mkdir(name, dir_fd=parent)
        return 0

    def path_remove_directory(self, fd: int, path: int, size: int) -> int:
        with self._directory(fd).place(self._path(path, size)) as (parent, name):
            os.rmdir(name, dir_fd=parent)
        return 0

    def path_unlink_file(self, fd: int, path: int, size: int) -> int:
        with self._directory(fd).place(self._path(path, size)) as (parent, name):
            os.unlink(name, dir_fd=parent)
        return 0

    def path_rename(self, fd: int, path: int, size: int, to_fd: int, to_path: int, to_size: int) -> int:
        source, target = self._directory(fd), self._directory(to_fd)
        with (
            source.place(self._path(path, size)) as (parent, name),
            target.place(self._path(to_path, to_size)) as (to_parent, to_name),
        ):
            os.rename(name, to_name, src_dir_fd=parent, dst_dir_fd=to_parent)
        return 0
