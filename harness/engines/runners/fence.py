"""Holds a command to a few directories by the kernel's Landlock. Device side: Python 3.8+, Linux 5.13 or later.

For engines whose own way to give a module a directory can be left, by a symbolic link for example.
"""

from __future__ import annotations

import ctypes
import os
import stat
import struct
from typing import Iterable

CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446  # the same on every processor that Linux 5.13 knows
PATH_BENEATH, VERSION = 1, 1
NO_NEW_PRIVS = 38
EXECUTE, WRITE_FILE, READ_FILE, READ_DIR, TRUNCATE = 1 << 0, 1 << 1, 1 << 2, 1 << 3, 1 << 14
OF_FILES = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE
MAKE_LINK = 1 << 12
RIGHTS = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1}  # all there are, by Landlock's version
LIBC = ctypes.CDLL(None, use_errno=True)

# What a program needs to start: itself, its libraries, and what the C library and garbage collectors look at.
SYSTEM = (
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/etc/ld.so.cache",
    "/dev/urandom",
    "/sys/kernel/mm",
)


class Fence:
    """Everything can be done below ``own``, reading and executing below ``readable``, and nothing elsewhere.

    Symbolic links are not made anywhere. Raises OSError where the kernel has no Landlock.
    """

    def __init__(self, readable: Iterable[str], own: Iterable[str]) -> None:
        version = _call(CREATE_RULESET, None, 0, VERSION)
        self.rights = RIGHTS[min(version, max(RIGHTS))]
        handled = struct.pack("Q", self.rights)
        self.rules = _call(CREATE_RULESET, handled, len(handled), 0)
        for path in (*SYSTEM, *readable):
            self._allow(path, EXECUTE | READ_FILE | READ_DIR)
        self._allow("/dev/null", READ_FILE | WRITE_FILE)
        for path in own:
            self._allow(path, self.rights & ~MAKE_LINK)

    def _allow(self, path: str, rights: int) -> None:
        try:
            place = os.open(path, os.O_PATH | os.O_CLOEXEC)
        except OSError:
            return  # what is not there cannot be needed
        try:
            if not stat.S_ISDIR(os.fstat(place).st_mode):
                rights &= OF_FILES
            rule = struct.pack("=Qi", rights & self.rights, place)
            _call(ADD_RULE, self.rules, PATH_BENEATH, rule, 0)
        finally:
            os.close(place)

    def enter(self) -> None:
        """Hold this process and all it starts, for good."""
        if LIBC.prctl(NO_NEW_PRIVS, 1, 0, 0, 0):
            raise OSError(ctypes.get_errno(), "no new privileges")
        _call(RESTRICT_SELF, self.rules, 0)


def _call(number: int, *arguments: int | bytes | None) -> int:
    given = [ctypes.c_long(a) if isinstance(a, int) else ctypes.c_char_p(a) for a in arguments]
    answer = LIBC.syscall(ctypes.c_long(number), *given)
    if answer < 0:
        raise OSError(ctypes.get_errno(), "Landlock: " + os.strerror(ctypes.get_errno()))
    return int(answer)
