"""What WASI tells a program of itself: arguments, environment, clocks, random bytes; and how it reaches its memory."""

from __future__ import annotations

import secrets
import struct
import time
from collections.abc import Callable

from harness.opcodes.invocation import FixedClock, FixedRandom, Invocation

EBADF = 8
NO_MEMORY = bytearray()  # of a module that exports none, which no function of WASI serves


class Exit(Exception):
    """The program called proc_exit."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class Fault(Exception):
    """An address outside the memory."""


class Program:
    def __init__(self, invocation: Invocation) -> None:
        self.memory = NO_MEMORY
        self.args = [argument.encode() + b"\0" for argument in invocation.argv]
        self.environ = [f"{name}={value}".encode() + b"\0" for name, value in invocation.env.items()]
        clock, random = FixedClock(), FixedRandom()
        self.random: Callable[[int], bytes] = random.read if invocation.fixed else secrets.token_bytes
        self.clock: Callable[[int], int] = (lambda _: clock.read_ns()) if invocation.fixed else _real_clock

    # Memory of the program.

    def _read(self, at: int, size: int) -> bytes:
        if at + size > len(self.memory):
            raise Fault
        return bytes(self.memory[at : at + size])

    def _write(self, at: int, content: bytes) -> None:
        if at + len(content) > len(self.memory):
            raise Fault
        self.memory[at : at + len(content)] = content

    def _write_int(self, at: int, value: int, size: int = 4) -> None:
        self._write(at, value.to_bytes(size, "little"))

    def _vector(self, at: int, count: int) -> tuple[int, int]:
        """Address and size of the first buffer that is not empty: one call moves no more, as in wasmtime."""
        for start, size in struct.iter_unpack("<II", self._read(at, 8 * count)):
            if size:
                if start + size > len(self.memory):
                    raise Fault
                return start, size
        return 0, 0

    def _path(self, at: int, size: int) -> str:
        return self._read(at, size).decode()

    # Arguments, environment, clocks, random bytes, the process.

    def _strings(self, strings: list[bytes], pointers: int, buffer: int) -> int:
        for string in strings:
            self._write_int(pointers, buffer)
            self._write(buffer, string)
            pointers, buffer = pointers + 4, buffer + len(string)
        return 0

    def _sizes(self, strings: list[bytes], count_at: int, size_at: int) -> int:
        self._write_int(count_at, len(strings))
        self._write_int(size_at, sum(map(len, strings)))
        return 0

    def args_get(self, pointers: int, buffer: int) -> int:
        return self._strings(self.args, pointers, buffer)

    def args_sizes_get(self, count_at: int, size_at: int) -> int:
        return self._sizes(self.args, count_at, size_at)

    def environ_get(self, pointers: int, buffer: int) -> int:
        return self._strings(self.environ, pointers, buffer)

    def environ_sizes_get(self, count_at: int, size_at: int) -> int:
        return self._sizes(self.environ, count_at, size_at)

    def clock_res_get(self, clock: int, at: int) -> int:
        if clock > 1:
            return EBADF
        self._write_int(at, 1, 8)
        return 0

    def clock_time_get(self, clock: int, precision: int, at: int) -> int:
        if clock > 1:
            return EBADF
        self._write_int(at, self.clock(clock), 8)
        return 0

    def random_get(self, at: int, size: int) -> int:
        if at + size > len(self.memory):
            raise Fault
        self._write(at, self.random(size))
        return 0

    def proc_exit(self, code: int) -> int:
        raise Exit(code)

    def sched_yield(self) -> int:
        return 0


def _real_clock(clock: int) -> int:
    return time.time_ns() if clock == 0 else time.monotonic_ns()
