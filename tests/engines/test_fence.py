"""What holds a command line's module: the kernel's Landlock, and a lower end of its memory."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import wasmtime

import harness.engines.runners.fence
from harness.engines.runners.fence import Fence
from harness.engines.runners.memory_end import ending_at

INSIDE_A_FENCE = """
import os, sys
sys.path.insert(0, sys.argv[1])
from fence import Fence
Fence([], [sys.argv[2]]).enter()
for attempt in sys.argv[3:]:
    exec(attempt)
"""


def attempt(own: Path, code: str) -> str:
    """What Python says that tries this within a fence around ``own``: the last line of its error, or nothing."""
    here = str(Path(harness.engines.runners.fence.__file__).parent)
    done = subprocess.run(
        [sys.executable, "-c", INSIDE_A_FENCE, here, str(own), code], capture_output=True, text=True, cwd=own
    )
    return done.stderr.strip().rpartition("\n")[2]


@pytest.fixture
def own(tmp_path: Path) -> Path:
    try:
        Fence([], [])
    except OSError as error:
        pytest.skip(f"this kernel cannot confine: {error}")
    (tmp_path / "own").mkdir()
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "own" / "link").symlink_to(tmp_path / "secret")
    return tmp_path / "own"


def test_everything_can_be_done_in_the_own_directory(own: Path) -> None:
    assert (
        attempt(
            own, "open('new', 'w').write('x'); os.mkdir('d'); os.rename('new', 'd/old'); os.unlink('d/old')"
        )
        == ""
    )


@pytest.mark.parametrize(
    "code",
    [
        "open('../secret')",
        "open('link')",
        "open('/etc/hostname')",
        "open('../made', 'w')",
        "open('/usr/made', 'w')",
        "os.listdir('..')",
        "os.unlink('../secret')",
        "os.symlink('/', 'root')",
        "os.truncate('../secret', 0)",
    ],
)  # fmt: skip
def test_nothing_outside_it_can_be(own: Path, code: str) -> None:
    assert "PermissionError" in attempt(own, code)
    assert (own.parent / "secret").read_text() == "secret"


def wat(memory: str) -> bytes:
    """A module whose _start counts in its first word how many pages it could grow by, one at a time."""
    return bytes(
        wasmtime.wat2wasm(
            f'(module (memory (export "memory") {memory}) (func (export "_start")'
            " (block (loop (br_if 1 (i32.eq (memory.grow (i32.const 1)) (i32.const -1)))"
            " (i32.store (i32.const 0) (i32.add (i32.load (i32.const 0)) (i32.const 1))) (br 0)))))"
        )
    )


@pytest.mark.parametrize(("memory", "grown"), [("1", 9), ("3 200", 7), ("2 5", 3), ("20", 0), ("4 4", 0)])
def test_a_module_grows_to_the_lower_end_only(memory: str, grown: int) -> None:
    store = wasmtime.Store()
    module = wasmtime.Module(store.engine, ending_at(wat(memory), 10))
    exports = wasmtime.Instance(store, module, []).exports(store)
    exports["_start"](store)
    assert exports["memory"].read(store, 0, 4) == grown.to_bytes(4, "little")


@pytest.mark.parametrize(
    "module", [b"", b"not wasm", b"\0asm\1\0\0\0\5", wat("1")[:21], b'{"trap": "x"}' * 9]
)
def test_what_is_no_whole_module_stays_as_it_is(module: bytes) -> None:
    assert ending_at(module, 10) == module
