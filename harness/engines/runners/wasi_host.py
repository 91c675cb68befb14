"""A small WASI for engines that come without one. Device side: standard library only, Python 3.8+.

The module has one directory, `.`, and nothing outside can be reached: a path is walked name by name from an open
descriptor, `..` not above the directory, and symbolic links are not followed. Calls that neither the suites nor an
interpreter's start make (links, renaming, sockets) answer that they do not exist.
"""

from __future__ import annotations

import errno
import os
import stat
import struct
import time
from collections.abc import Callable
from typing import Any

SUCCESS, BADF, FAULT, INVAL, IO, NOSYS, NOTCAPABLE = 0, 8, 21, 28, 29, 52, 76
ERRNO = {
    errno.EACCES: 2, errno.EBADF: BADF, errno.EEXIST: 20, errno.EFBIG: 22, errno.EINVAL: INVAL, errno.EISDIR: 31,
    errno.ELOOP: 32, errno.EMFILE: 33, errno.ENAMETOOLONG: 37, errno.ENOENT: 44, errno.ENOSPC: 51,
    errno.ENOTDIR: 54, errno.ENOTEMPTY: 55, errno.EPERM: 63, errno.EPIPE: 64, errno.ESPIPE: 70,
}  # fmt: skip
PREOPENED = 3
MOST_FILES = 256
RIGHT_READ, RIGHT_WRITE = 2, 64
CREATE, DIRECTORY, EXCLUSIVE, TRUNCATE, APPEND = 1, 2, 4, 8, 1
CLOCK, ABSOLUTE = 0, 1
MOST = (1 << 63) - 1
CLOCKS = (
    time.CLOCK_REALTIME,
    time.CLOCK_MONOTONIC,
    time.CLOCK_PROCESS_CPUTIME_ID,
    time.CLOCK_THREAD_CPUTIME_ID,
)

# Parameters and result of each function, i for i32 and I for i64.
SIGNATURES = {
    "args_get": "ii", "args_sizes_get": "ii", "environ_get": "ii", "environ_sizes_get": "ii", "clock_res_get": "ii",
    "clock_time_get": "iIi", "random_get": "ii", "sched_yield": "", "fd_read": "iiii", "fd_pread": "iiiIi",
    "fd_write": "iiii", "fd_pwrite": "iiiIi", "fd_seek": "iIii", "fd_tell": "ii", "fd_close": "i",
    "fd_fdstat_get": "ii", "fd_fdstat_set_flags": "ii", "fd_filestat_get": "ii", "fd_prestat_get": "ii",
    "fd_prestat_dir_name": "iii", "path_open": "iiiiiIIii", "path_filestat_get": "iiiii",
    "path_create_directory": "iii", "path_remove_directory": "iii", "path_unlink_file": "iii",
    "fd_advise": "iIIi", "fd_allocate": "iII", "fd_datasync": "i", "fd_fdstat_set_rights": "iII",
    "fd_filestat_set_size": "iI", "fd_filestat_set_times": "iIIi", "fd_readdir": "iiiIi", "fd_renumber": "ii",
    "fd_sync": "i", "path_filestat_set_times": "iiiiIIi", "path_link": "iiiiiii", "path_readlink": "iiiiii",
    "path_rename": "iiiiii", "path_symlink": "iiiii", "poll_oneoff": "iiii", "sock_accept": "iii",
    "sock_recv": "iiiiii", "sock_send": "iiiii", "sock_shutdown": "ii",
}  # fmt: skip


class Exit(Exception):
    """The module called proc_exit."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class Refused(Exception):
    """A call is answered with this WASI error number."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


class Host:
    """The functions that modules import, and the files of the execution that is open.

    The functions are made once: an engine's binding may keep what it was given for good.
    """

    def __init__(self) -> None:
        self.memory: Callable[[], Any] = lambda: None
        self.argv: list[bytes] = []
        self.files: dict[int, int] = {}
        self.listings: dict[int, list[str]] = {}
        types = {"i": "i32", "I": "i64"}
        # By name: the types of the parameters and of the result, and what to call.
        self.functions: dict[str, tuple[list[str | None], Callable[..., Any]]] = {
            name: ([*(types[letter] for letter in letters), "i32"], self.guarded(getattr(self, name, None)))
            for name, letters in SIGNATURES.items()
        }
        self.functions["proc_exit"] = (["i32", None], self.proc_exit)

    def open(
        self, memory: Callable[[], Any], argv: list[str], preopens: list[Any], stdin: str | None, stdout: str
    ) -> Host:
        """Begin an execution, until the end of ``with``; ``memory()`` is its linear memory, writable."""
        self.memory, self.argv = memory, [word.encode() + b"\0" for word in argv]
        self.files = {
            0: os.open(stdin or os.devnull, os.O_RDONLY),
            1: os.open(stdout, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600),
            2: os.open(os.devnull, os.O_WRONLY),
        }
        if preopens:
            self.files[PREOPENED] = os.open(preopens[0][1], os.O_RDONLY | os.O_DIRECTORY)
        return self

    def __enter__(self) -> Host:
        return self

    def __exit__(self, *_: Any) -> None:
        for handle in self.files.values():
            os.close(handle)
        self.files, self.listings = {}, {}
        self.memory = lambda: None

    def guarded(self, function: Callable[..., int | None] | None) -> Callable[..., int]:
        """The call as the module sees it: a failure is an error number."""
        if function is None:
            return lambda *_: NOSYS

        def call(*arguments: int) -> int:
            try:
                return function(*arguments) or SUCCESS
            except Refused as refused:
                return refused.number
            except OSError as error:
                return ERRNO.get(error.errno or 0, IO)
            except OverflowError:
                return INVAL

        return call

    def slot(self, at: int, size: int) -> Any:
        """A window on the module's memory."""
        memory, at, size = self.memory(), at & 0xFFFFFFFF, size & 0xFFFFFFFF
        if memory is None or at + size > len(memory):
            raise Refused(FAULT)
        return memory[at : at + size]

    def put(self, at: int, layout: str, *values: int) -> None:
        data = struct.pack("<" + layout, *values)
        self.slot(at, len(data))[:] = data

    def handle(self, fd: int) -> int:
        if fd not in self.files:
            raise Refused(BADF)
        return self.files[fd]

    def slices(self, at: int, count: int) -> list[Any]:
        if not 0 <= count <= 1024:
            raise Refused(INVAL)
        return [self.slot(*pair) for pair in struct.iter_unpack("<II", bytes(self.slot(at, 8 * count)))]

    def place(self, fd: int, path: int, length: int) -> tuple[int, str]:
        """An open descriptor of the directory that holds the path's last name, and that name."""
        try:
            text = bytes(self.slot(path, length)).decode()
        except UnicodeDecodeError:
            raise Refused(INVAL) from None
        if "\0" in text:
            raise Refused(INVAL)
        if text.startswith("/"):
            raise Refused(NOTCAPABLE)
        names = [name for name in text.split("/") if name not in ("", ".")]
        stack = [os.dup(self.handle(fd))]
        try:
            last = "."
            for index, name in enumerate(names):
                if name == "..":
                    if len(stack) == 1:
                        raise Refused(NOTCAPABLE)
                    os.close(stack.pop())
                    last = "."
                elif index < len(names) - 1:
                    stack.append(
                        os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=stack[-1])
                    )
                    last = "."
                else:
                    last = name
            return stack.pop(), last
        finally:
            for handle in stack:
                os.close(handle)

    def args_sizes_get(self, count: int, size: int) -> None:
        self.put(count, "I", len(self.argv))
        self.put(size, "I", sum(map(len, self.argv)))

    def args_get(self, pointers: int, buffer: int) -> None:
        for index, word in enumerate(self.argv):
            self.put(pointers + 4 * index, "I", buffer)
            self.slot(buffer, len(word))[:] = word
            buffer += len(word)

    def environ_sizes_get(self, count: int, size: int) -> None:
        self.put(count, "I", 0)
        self.put(size, "I", 0)

    def environ_get(self, pointers: int, buffer: int) -> None:
        pass

    def clock_time_get(self, clock: int, precision: int, at: int) -> None:
        self.put(at, "Q", time.clock_gettime_ns(self.clock(clock)))

    def clock_res_get(self, clock: int, at: int) -> None:
        self.put(at, "Q", max(1, round(time.clock_getres(self.clock(clock)) * 1e9)))

    def clock(self, number: int) -> int:
        if not 0 <= number < len(CLOCKS):
            raise Refused(INVAL)
        return CLOCKS[number]

    def random_get(self, at: int, size: int) -> None:
        window = self.slot(at, size)
        window[:] = os.urandom(len(window))

    def sched_yield(self) -> None:
        pass

    def proc_exit(self, code: int) -> None:
        raise Exit(code & 0xFFFFFFFF)

    def fd_read(self, fd: int, at: int, count: int, done: int) -> None:
        self.put(done, "I", os.readv(self.handle(fd), self.slices(at, count)))

    def fd_write(self, fd: int, at: int, count: int, done: int) -> None:
        self.put(done, "I", os.writev(self.handle(fd), self.slices(at, count)))

    def fd_pread(self, fd: int, at: int, count: int, offset: int, done: int) -> None:
        self.put(done, "I", os.preadv(self.handle(fd), self.slices(at, count), offset))

    def fd_pwrite(self, fd: int, at: int, count: int, offset: int, done: int) -> None:
        self.put(done, "I", os.pwritev(self.handle(fd), self.slices(at, count), offset))

    def fd_seek(self, fd: int, offset: int, whence: int, at: int) -> None:
        if not 0 <= whence <= 2:
            raise Refused(INVAL)
        self.put(at, "Q", os.lseek(self.handle(fd), offset, whence))

    def fd_tell(self, fd: int, at: int) -> None:
        self.put(at, "Q", os.lseek(self.handle(fd), 0, os.SEEK_CUR))

    def fd_close(self, fd: int) -> None:
        os.close(self.handle(fd))
        del self.files[fd]
        self.listings.pop(fd, None)

    def fd_fdstat_get(self, fd: int, at: int) -> None:
        kind, rights = filetype(os.fstat(self.handle(fd))), (1 << 29) - 1
        if kind == 2:
            rights &= ~0x24  # no seek and tell: a terminal, for wasi-libc
        self.put(at, "BxHxxxxQQ", kind, 0, rights, rights)

    def fd_fdstat_set_flags(self, fd: int, flags: int) -> None:
        self.handle(fd)

    def fd_filestat_get(self, fd: int, at: int) -> None:
        self.put(at, "QQQQQQQQ", *filestat(os.fstat(self.handle(fd))))

    def fd_prestat_get(self, fd: int, at: int) -> None:
        if fd != PREOPENED:
            raise Refused(BADF)
        self.handle(fd)
        self.put(at, "II", 0, 1)

    def fd_prestat_dir_name(self, fd: int, at: int, size: int) -> None:
        if fd != PREOPENED or size < 1:
            raise Refused(BADF)
        self.slot(at, 1)[:] = b"."

    def path_open(
        self, fd: int, lookup: int, path: int, length: int, how: int, rights: int, inherited: int, flags: int, at: int
    ) -> None:  # fmt: skip
        mode = os.O_NOFOLLOW | os.O_NONBLOCK
        if rights & RIGHT_WRITE and not how & DIRECTORY:
            mode |= os.O_RDWR if rights & RIGHT_READ else os.O_WRONLY
        for flag, meaning in (
            (CREATE, os.O_CREAT), (DIRECTORY, os.O_DIRECTORY), (EXCLUSIVE, os.O_EXCL), (TRUNCATE, os.O_TRUNC),
        ):  # fmt: skip
            mode |= meaning if how & flag else 0
        mode |= os.O_APPEND if flags & APPEND else 0
        free = next((n for n in range(PREOPENED + 1, MOST_FILES) if n not in self.files), None)
        if free is None:
            raise Refused(ERRNO[errno.EMFILE])
        directory, name = self.place(fd, path, length)
        try:
            self.files[free] = os.open(name, mode, 0o600, dir_fd=directory)
        finally:
            os.close(directory)
        self.put(at, "I", free)

    def path_filestat_get(self, fd: int, lookup: int, path: int, length: int, at: int) -> None:
        directory, name = self.place(fd, path, length)
        try:
            self.put(at, "QQQQQQQQ", *filestat(os.stat(name, dir_fd=directory, follow_symlinks=False)))
        finally:
            os.close(directory)

    def fd_readdir(self, fd: int, at: int, size: int, cookie: int, done: int) -> None:
        """The names as they are when the first is asked for, so that removing files meanwhile skips none."""
        handle = self.handle(fd)
        if cookie == 0 or fd not in self.listings:
            self.listings[fd] = [".", "..", *sorted(os.listdir(handle))]
        window, found = self.slot(at, size), b""
        for place, name in enumerate(self.listings[fd][cookie & MOST :], cookie + 1):
            if len(found) >= len(window):
                break
            try:
                status = os.stat("." if name == ".." else name, dir_fd=handle, follow_symlinks=False)
                number, kind = status.st_ino, filetype(status)
            except FileNotFoundError:
                number, kind = 0, 0
            text = os.fsencode(name)
            found += struct.pack("<QQIBxxx", place, number, len(text), kind) + text
        told = min(len(found), len(window))
        window[:told] = found[:told]
        self.put(done, "I", told)

    def poll_oneoff(self, wanted: int, events: int, count: int, done: int) -> None:
        """Files are always ready. Where only clocks are waited for, sleep until the first is."""
        if not 0 < count <= 1024:
            raise Refused(INVAL)
        ready: list[tuple[int, int, int]] = []
        clocks: list[tuple[int, int]] = []  # nanoseconds left, and the clock's user data
        for data, kind, what, time_ns, flags in struct.iter_unpack(
            "<QB7xI4xQ8xH6x", bytes(self.slot(wanted, 48 * count))
        ):
            if kind == CLOCK:
                now = time.clock_gettime_ns(self.clock(what)) if flags & ABSOLUTE else 0
                clocks.append((max(0, time_ns - now), data))
            else:
                ready.append((data, 0 if what in self.files else BADF, kind))
        if not ready:
            first = min(clocks)[0]
            time.sleep(first / 1e9)
            ready = [(data, SUCCESS, CLOCK) for left_ns, data in clocks if left_ns <= first]
        for index, event in enumerate(ready):
            self.put(events + 32 * index, "QHB21x", *event)
        self.put(done, "I", len(ready))

    def path_create_directory(self, fd: int, path: int, length: int) -> None:
        self.change(lambda name, at: os.mkdir(name, 0o700, dir_fd=at), fd, path, length)

    def path_remove_directory(self, fd: int, path: int, length: int) -> None:
        self.change(lambda name, at: os.rmdir(name, dir_fd=at), fd, path, length)

    def path_unlink_file(self, fd: int, path: int, length: int) -> None:
        self.change(lambda name, at: os.unlink(name, dir_fd=at), fd, path, length)

    def change(self, how: Callable[[str, int], None], fd: int, path: int, length: int) -> None:
        directory, name = self.place(fd, path, length)
        try:
            how(name, directory)
        finally:
            os.close(directory)


def filetype(status: os.stat_result) -> int:
    for number, is_it in ((2, stat.S_ISCHR), (3, stat.S_ISDIR), (4, stat.S_ISREG), (7, stat.S_ISLNK)):
        if is_it(status.st_mode):
            return number
    return 0


def filestat(status: os.stat_result) -> tuple[int, ...]:
    return (
        status.st_dev, status.st_ino, filetype(status), status.st_nlink, status.st_size,
        status.st_atime_ns, status.st_mtime_ns, status.st_ctime_ns,
    )  # fmt: skip
