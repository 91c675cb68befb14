"""A module reads and writes its own directory and nothing else, under every engine of this machine."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import wasmtime

from harness.engines import ENGINES, Engine

INSIDE = ["in.txt", "./sub/../in.txt", "sub/deep.txt"]
OUTSIDE = [
    "../secret.txt",
    "sub/../../secret.txt",
    "./.././secret.txt",
    "/etc/hostname",
    "link.txt",
    "linked/secret.txt",
    "sub/up/secret.txt",
    "../own/../secret.txt",
]
CREATE = 1


def opener(paths: list[str], how: int, rights: int) -> bytes:
    """A module whose exit code has bit i set where path_open gave it paths[i]."""
    data, calls, at = "", "", 1024
    for bit, path in enumerate(paths):
        data += f' (data (i32.const {at}) "{path}")'
        calls += (
            f" (if (i32.eqz (call $open (i32.const 3) (i32.const 1) (i32.const {at}) (i32.const {len(path)})"
            f" (i32.const {how}) (i64.const {rights}) (i64.const 0) (i32.const 0) (i32.const 0)))"
            f" (then (local.set $opened (i32.or (local.get $opened) (i32.const {1 << bit})))))"
        )
        at += 64
    return bytes(
        wasmtime.wat2wasm(
            '(module (import "wasi_snapshot_preview1" "path_open"'
            " (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))"
            ' (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))'
            f' (memory (export "memory") 1) {data}'
            f' (func (export "_start") (local $opened i32) {calls} (call $exit (local.get $opened))))'
        )
    )


def run_alone(engine: Engine, module: bytes, own: Path, folder: Path) -> int:
    """The module's exit code in its first execution under the engine's runner, spoken to as the agent does."""
    folder.mkdir()
    for name in engine.files:
        shutil.copy(Path(sys.modules[Engine.__module__].__file__).with_name(name), folder)
    (folder / "module").write_bytes(module)
    (folder / "artefacts").mkdir()
    program = sys.executable if engine.program == "python" else engine.program
    commands = [
        {"cmd": "load", "module": str(folder / "module"), "argv": ["m"], "stdin": None, "preopens": [[".", str(own)]],
         "artefacts": str(folder / "artefacts"), "version": "1", "memory_bytes": 1 << 28},
        {"cmd": "warm", "stdout": str(folder / "stdout")},
    ]  # fmt: skip
    done = subprocess.run(
        [program, *engine.program_args, str(folder / engine.entry), *engine.args],
        input="".join(json.dumps(command) + "\n" for command in commands),
        cwd=folder, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert events[-1]["event"] == "warm", (events, done.stderr)
    return int(events[-1]["exit_code"])


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> Engine:
    found = ENGINES[request.param]
    missing = [program for program in found.needs if not shutil.which(program)]
    if missing:
        pytest.skip(f"no {missing[0]} on this machine; {found.how_to_get}")
    if found.family == "wasm3":
        pytest.importorskip("wasm3", reason=f"no wasm3 package; {found.how_to_get}")
    return found


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """The module's directory, with a secret beside it and links that lead out."""
    own = tmp_path / "own"
    (own / "sub").mkdir(parents=True)
    (own / "in.txt").write_text("in")
    (own / "sub" / "deep.txt").write_text("in")
    (tmp_path / "secret.txt").write_text("secret")
    (own / "link.txt").symlink_to(tmp_path / "secret.txt")
    (own / "linked").symlink_to(tmp_path)
    (own / "sub" / "up").symlink_to(os.path.join("..", ".."))
    return own


def test_nothing_outside_can_be_opened(engine: Engine, own: Path, tmp_path: Path) -> None:
    opened = run_alone(engine, opener(INSIDE + OUTSIDE, 0, 2), own, tmp_path / "run")
    names = [path for bit, path in enumerate(INSIDE + OUTSIDE) if opened >> bit & 1]
    if engine.wall_contains == "process":  # an exit code has eight bits
        opened = run_alone(engine, opener(OUTSIDE, 0, 2), own, tmp_path / "run2")
        names = names[: len(INSIDE)] + [path for bit, path in enumerate(OUTSIDE) if opened >> bit & 1]
    assert names == INSIDE


def test_nothing_outside_can_be_made(engine: Engine, own: Path, tmp_path: Path) -> None:
    paths = ["new.txt", "../made.txt", "sub/../../made.txt", "linked/made.txt", "sub/up/made.txt", "link.txt"]
    opened = run_alone(engine, opener(paths, CREATE, 2 | 64), own, tmp_path / "run")
    assert [path for bit, path in enumerate(paths) if opened >> bit & 1] == ["new.txt"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["own", "run", "secret.txt"]
