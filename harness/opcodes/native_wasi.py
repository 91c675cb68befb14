"""WASI under wasmtime as counting and checking need it: any exit code, and if asked a fixed clock and fixed bytes."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import wasmtime

from harness.errors import ModuleError
from harness.files import temporary
from harness.opcodes.invocation import FixedClock, FixedRandom, Invocation
from harness.opcodes.pipe import Pipe
from harness.opcodes.wasi_program import Exit

_EFAULT = 21  # WASI error number: a bad address
_WASI = "wasi_snapshot_preview1"


def wasi_linker(engine: Any, *, fixed: bool = False) -> Any:
    """Links WASI; at an exit code the run ends with `Exit`, since wasmtime's own function takes none above 125.

    With ``fixed`` the program has the clock and random bytes of `Invocation.fixed`.
    """
    linker = wasmtime.Linker(engine)
    linker.define_wasi()
    linker.allow_shadowing = True
    exit_type = wasmtime.FuncType([wasmtime.ValType.i32()], [])
    linker.define_func(_WASI, "proc_exit", exit_type, _leave, access_caller=True)
    if fixed:
        _fix(linker)
    return linker


def _leave(caller: Any, code: int) -> None:
    _memory_of(caller)  # without which no function of WASI is served
    raise Exit(code & 0xFFFFFFFF)


def _memory_of(caller: Any) -> Any:
    memory = caller.get("memory")
    if not isinstance(memory, wasmtime.Memory):
        raise ModuleError("the module does not run: missing required memory export")
    return memory


@contextlib.contextmanager
def input_file(given: bytes | Path) -> Iterator[str]:
    """A file that holds what is given."""
    if isinstance(given, Path):
        yield str(given)
        return
    with temporary("stdin") as folder:
        path = folder / "stdin"
        path.write_bytes(given)
        yield str(path)


def set_wasi(store: Any, invocation: Invocation, stdin: str, outputs: Sequence[Pipe]) -> None:
    wasi = wasmtime.WasiConfig()
    wasi.argv = list(invocation.argv)
    wasi.env = list(invocation.env.items())
    wasi.stdin_file = stdin
    wasi.stdout_file = outputs[0].path
    wasi.stderr_file = outputs[1].path
    for guest, host in invocation.preopens.items():
        wasi.preopen_dir(str(host), guest)
    store.set_wasi(wasi)


def _fix(linker: Any) -> None:
    """Put the fixed clock and random bytes in place of the engine's."""
    clock, random = FixedClock(), FixedRandom()
    i32, i64 = wasmtime.ValType.i32(), wasmtime.ValType.i64()

    def write(caller: Any, content: bytes, at: int) -> int:
        memory = _memory_of(caller)
        at &= 0xFFFFFFFF
        if at + len(content) > memory.data_len(caller):
            return _EFAULT
        memory.write(caller, content, at)
        return 0

    def clock_time_get(caller: Any, _clock: int, _precision: int, at: int) -> int:
        return write(caller, clock.read_ns().to_bytes(8, "little"), at)

    def random_get(caller: Any, at: int, size: int) -> int:
        size &= 0xFFFFFFFF
        if size > _memory_of(caller).data_len(caller):
            return _EFAULT
        return write(caller, random.read(size), at)

    clock_type = wasmtime.FuncType([i32, i64, i32], [i32])
    linker.define_func(_WASI, "clock_time_get", clock_type, clock_time_get, access_caller=True)
    random_type = wasmtime.FuncType([i32, i32], [i32])
    linker.define_func(_WASI, "random_get", random_type, random_get, access_caller=True)
