"""WASI of the interpreter: what a program can reach, and that it behaves as the engine's does."""

from __future__ import annotations

import gc
import os
from pathlib import Path

import pytest
import wasmtime

from harness.opcodes import count, interpret
from harness.opcodes.invocation import Capture, Invocation
from harness.opcodes.wasi import EFAULT, ENOSYS, EPERM, Wasi
from harness.opcodes.wasi_program import EBADF, Exit

ENOENT, ENOTDIR, ELOOP, EISDIR = 44, 54, 32, 31


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A directory with a file, a directory and links, beside a secret."""
    (tmp_path / "secret.txt").write_text("secret")
    inside = tmp_path / "inside"
    (inside / "sub").mkdir(parents=True)
    (inside / "file.txt").write_text("content")
    (inside / "sub" / "deep.txt").write_text("deep")
    (inside / "good").symlink_to("sub/deep.txt")
    (inside / "up").symlink_to("../secret.txt")
    (inside / "absolute").symlink_to(tmp_path / "secret.txt")
    (inside / "round").symlink_to("round")
    (inside / "outside").symlink_to("..")
    return inside


class Program:
    """Calls WASI functions as a program would, with its strings in memory."""

    def __init__(self, preopen: Path | None = None, **setting: object) -> None:
        preopens = {".": preopen} if preopen else {}
        self.wasi = Wasi(Invocation(preopens=preopens, **setting), (Capture(), Capture()))  # type: ignore[arg-type]
        self.wasi.memory = self.memory = bytearray(65536)
        self.functions = {name: run for (_, name), (_, run) in self.wasi.functions().items()}

    def call(self, name: str, *arguments: int) -> int:
        return self.functions[name](*arguments)

    def path(self, text: str) -> tuple[int, int]:
        content = text.encode()
        self.memory[1000 : 1000 + len(content)] = content
        return 1000, len(content)

    def open(self, path: str, *, oflags: int = 0, rights: int = 2, follow: int = 1) -> tuple[int, int]:
        """Error number and descriptor."""
        error = self.call("path_open", 3, follow, *self.path(path), oflags, rights, 0, 0, 500)
        return error, int.from_bytes(self.memory[500:504], "little")

    def read(self, fd: int, size: int = 100) -> bytes:
        self.memory[0:8] = (2000).to_bytes(4, "little") + size.to_bytes(4, "little")
        assert self.call("fd_read", fd, 0, 1, 8) == 0
        return bytes(self.memory[2000 : 2000 + int.from_bytes(self.memory[8:12], "little")])


@pytest.mark.parametrize(
    ("path", "error"),
    [
        ("file.txt", 0),
        ("sub/../file.txt", 0),
        ("good", 0),
        ("./sub/./deep.txt", 0),
        ("nothing", ENOENT),
        ("file.txt/x", ENOTDIR),
        ("../secret.txt", EPERM),
        ("sub/../../secret.txt", EPERM),
        ("/etc/passwd", EPERM),
        ("up", EPERM),
        ("absolute", EPERM),
        ("outside/secret.txt", EPERM),
        ("round", ELOOP),
        ("", ENOENT),
    ],
)
def test_a_program_reaches_what_is_in_its_directory_and_nothing_else(
    place: Path, path: str, error: int
) -> None:
    assert Program(place).open(path)[0] == error


def test_creating_through_a_link_that_leads_outside_is_refused(place: Path) -> None:
    (place / "new").symlink_to("../created.txt")
    program = Program(place)
    for name in ("new", "../created.txt", "outside/created.txt"):
        assert program.open(name, oflags=1, rights=64)[0] == EPERM
    assert not (place.parent / "created.txt").exists()
    assert program.call("path_unlink_file", 3, *program.path("../secret.txt")) == EPERM
    assert program.call("path_rename", 3, *program.path("file.txt"), 3, *program.path("file.txt")) == 0
    assert (place.parent / "secret.txt").read_text() == "secret"


def test_files_are_read_written_and_moved_in(place: Path) -> None:
    program = Program(place)
    error, fd = program.open("file.txt", rights=2 | 64)
    assert (error, program.read(fd, 3), program.read(fd)) == (0, b"con", b"tent")
    assert program.call("fd_seek", fd, (1 << 64) - 2, 2, 600) == 0  # two before the end
    assert int.from_bytes(program.memory[600:608], "little") == 5
    program.memory[0:8] = (3000).to_bytes(4, "little") + (2).to_bytes(4, "little")
    program.memory[3000:3002] = b"XY"
    assert program.call("fd_write", fd, 0, 1, 8) == 0
    assert (place / "file.txt").read_text() == "conteXY"
    assert program.call("fd_close", fd) == 0
    assert program.call("fd_close", fd) == EBADF


def test_addresses_outside_the_memory_are_faults_and_not_crashes(place: Path) -> None:
    program, far = Program(place, argv=["a"]), 0xFFFFFFFF
    assert program.call("args_get", far, far) == EFAULT
    assert program.call("random_get", 65530, 100) == EFAULT
    assert program.call("fd_read", 0, far, 1, 8) == EFAULT
    assert program.call("path_open", 3, 1, far, 10, 0, 2, 0, 0, 500) == EFAULT
    assert program.call("clock_time_get", 0, 0, 65535) == EFAULT
    assert program.call("fd_prestat_dir_name", 3, far, 1) == EFAULT
    assert program.call("sock_accept", 3, 0, 0) == ENOSYS


def test_arguments_environment_and_exit_code_arrive() -> None:
    program = Program(argv=["prog", "ünï"], env={"A": "1"})
    assert program.call("args_sizes_get", 0, 4) == 0
    assert program.call("args_get", 100, 200) == 0
    assert bytes(program.memory[200:211]) == b"prog\0" + "ünï".encode() + b"\0"
    assert program.call("environ_get", 300, 400) == 0
    assert bytes(program.memory[400:404]) == b"A=1\0"
    with pytest.raises(Exit) as left:
        program.call("proc_exit", 7)
    assert left.value.code == 7


def test_a_closed_program_leaves_no_descriptor_open(place: Path) -> None:
    gc.collect()  # what earlier tests left
    before = len(os.listdir("/dev/fd"))
    for _ in range(3):
        program = Program(place)
        for path in ("file.txt", "good", "sub/deep.txt", "nothing", "../x", "round", "sub"):
            program.open(path)
        program.wasi.close()
    assert len(os.listdir("/dev/fd")) == before


def test_fixed_clock_and_random_bytes_repeat_and_real_ones_do_not() -> None:
    module = bytes(
        wasmtime.wat2wasm(
            """(module (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "clock_time_get" (func $clock (param i32 i64 i32) (result i32)))
            (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
            (memory (export "memory") 1)
            (func (export "_start")
              (drop (call $random (i32.const 100) (i32.const 32)))
              (drop (call $clock (i32.const 0) (i64.const 0) (i32.const 136)))
              (i32.store (i32.const 0) (i32.const 100)) (i32.store (i32.const 4) (i32.const 44))
              (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))"""
        )
    )
    fixed = {run(module, fixed=True).stdout for run in (count, interpret) for _ in range(2)}
    real = {run(module).stdout for run in (count, interpret) for _ in range(2)}
    assert (len(fixed), len(real)) == (1, 4)


def test_the_reports_about_open_files_are_those_of_the_engine(place: Path) -> None:
    """fd_fdstat_get, fd_filestat_get, fd_seek and fd_tell of the streams and the directory, byte by byte."""
    calls = "".join(
        f"""(call $keep (call $fdstat (i32.const {fd}) (i32.const 2000)) (i32.const 2000) (i32.const 24))
        (call $keep (call $seek (i32.const {fd}) (i64.const 0) (i32.const 1) (i32.const 2000))
          (i32.const 2000) (i32.const 0))
        (call $keep (call $tell (i32.const {fd}) (i32.const 2000)) (i32.const 2000) (i32.const 0))
        (call $keep (call $prestat (i32.const {fd}) (i32.const 2000)) (i32.const 2000) (i32.const 8))"""
        for fd in range(5)
    )
    module = bytes(
        wasmtime.wat2wasm(
            f"""(module
            (import "wasi_snapshot_preview1" "fd_fdstat_get" (func $fdstat (param i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "fd_seek" (func $seek (param i32 i64 i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "fd_tell" (func $tell (param i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "fd_prestat_get" (func $prestat (param i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
            (memory (export "memory") 1) (global $at (mut i32) (i32.const 8192))
            (func $keep (param $error i32) (param $from i32) (param $size i32)
              (i32.store (global.get $at) (local.get $error))
              (memory.copy (i32.add (global.get $at) (i32.const 4)) (local.get $from) (local.get $size))
              (memory.fill (local.get $from) (i32.const 0) (local.get $size))
              (global.set $at (i32.add (global.get $at) (i32.const 28))))
            (func (export "_start") {calls}
              (i32.store (i32.const 0) (i32.const 8192)) (i32.store (i32.const 4) (i32.const 560))
              (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))"""
        )
    )
    ours, theirs = (run(module, preopens={".": place}).stdout for run in (interpret, count))
    assert len(theirs) == 560
    assert ours.hex(" ", 28) == theirs.hex(" ", 28)
