"""A module uses its own directory and nothing else, and waits, alike under every engine of this machine."""

from __future__ import annotations

import json
import os
import platform
import shutil
import sys
import tempfile
from functools import cache
from pathlib import Path

import pytest
import wasmtime

from harness.engines import ENGINES, Engine
from harness.engines.maker import NotMade
from harness.engines.runners import HERE
from harness.fleet.artefacts import probe
from harness.processes import run_to_end
from harness.suites.toolchain import compile_c
from tests.devices import made_of
from tests.missing import without

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
# Lists `.` as often as it takes with room for 60 bytes, and prints the type and name of each entry.
LISTING = """
#define WASI(name) __attribute__((import_module("wasi_snapshot_preview1"), import_name(#name)))
struct slice { const char *start; unsigned bytes; };
WASI(fd_readdir) int fd_readdir(int, char *, unsigned, unsigned long long, unsigned *);
WASI(fd_write) int fd_write(int, const struct slice *, int, unsigned *);

__attribute__((export_name("_start"))) void _start(void)
{
    static char room[60];
    unsigned long long cookie = 0;
    unsigned filled = sizeof room, done;
    while (filled == sizeof room) {
        if (fd_readdir(3, room, sizeof room, cookie, &filled))
            __builtin_trap();
        for (unsigned at = 0; at + 24 <= filled;) {
            unsigned length = *(unsigned *)(room + at + 16);
            char type = (char)('0' + room[at + 20]);
            struct slice told[3] = {{&type, 1}, {room + at + 24, length}, {"\\n", 1}};
            if (at + 24 + length > filled)
                break;
            cookie = *(unsigned long long *)(room + at);
            for (int i = 0; i < 3; i++)
                fd_write(1, &told[i], 1, &done);
            at += 24 + length;
        }
    }
}
"""
# Waits for 3 ms or an hour, for a moment or an hour, for a file or an hour; prints each event, traps if early.
WAITING = """
#define WASI(name) __attribute__((import_module("wasi_snapshot_preview1"), import_name(#name)))
typedef unsigned long long u64;
struct slice { const char *start; unsigned bytes; };
struct subscription { u64 data; unsigned kind, unused, what, unused2; u64 time, precision; unsigned flags, unused3; };
struct event { u64 data; unsigned short error; unsigned char kind, unused[21]; };
WASI(poll_oneoff) int poll_oneoff(const struct subscription *, struct event *, unsigned, unsigned *);
WASI(clock_time_get) int clock_time_get(int, u64, u64 *);
WASI(fd_write) int fd_write(int, const struct slice *, int, unsigned *);

static void wait(struct subscription first)
{
    struct subscription all[2] = {first, {.data = 'h', .kind = 0, .what = 1, .time = 3600000000000}};
    struct event events[2];
    unsigned count, done;
    if (poll_oneoff(all, events, 2, &count))
        __builtin_trap();
    for (unsigned i = 0; i < count; i++) {
        char told[4] = {(char)events[i].data, (char)('0' + events[i].kind), (char)('0' + events[i].error), '\\n'};
        fd_write(1, &(struct slice){told, 4}, 1, &done);
    }
}

__attribute__((export_name("_start"))) void _start(void)
{
    u64 before, after;
    clock_time_get(1, 1, &before);
    wait((struct subscription){.data = 's', .kind = 0, .what = 1, .time = 3000000});
    clock_time_get(1, 1, &after);
    if (after - before < 3000000)
        __builtin_trap();
    wait((struct subscription){.data = 'a', .kind = 0, .what = 1, .time = after + 2000000, .flags = 1});
    clock_time_get(1, 1, &before);
    if (before - after < 2000000)
        __builtin_trap();
    wait((struct subscription){.data = 'f', .kind = 2, .what = 1});
}
"""


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
    """The module's exit code in its first execution under the engine's runner, spoken to as the agent does.

    Skips where the engine needs a kernel with Landlock and this one has none.
    """
    folder.mkdir()
    for name in engine.files:
        shutil.copy(HERE / name, folder)
    (folder / "module").write_bytes(module)
    (folder / "artefacts").mkdir()
    given = None
    if engine.only_made:
        made = made_of(engine, module, platform.machine())
        given = made.spec | {"path": str(made.path)}
    program = sys.executable if engine.program == "python" else engine.program
    commands = [
        {"cmd": "load", "module": str(folder / "module"), "argv": ["m"], "stdin": None, "preopens": [[".", str(own)]],
         "artefacts": str(folder / "artefacts"), "version": "1", "memory_bytes": 1 << 28, "artefact": given,
         "stdout": str(folder / "stdout")},
        {"cmd": "first"},
    ]  # fmt: skip
    words = [program, *engine.program_args, str(folder / engine.entry), *engine.args]
    told = "".join(json.dumps(command) + "\n" for command in commands)
    done = run_to_end(words, told=told, cwd=folder, within_s=60)
    events = [json.loads(line) for line in done.stdout.splitlines()]
    if "only a kernel with Landlock can hold it" in events[-1].get("reason", ""):
        pytest.skip(events[-1]["reason"])
    assert events[-1]["event"] == "first", (events, done.stderr)
    return int(events[-1]["exit_code"])


@pytest.fixture(params=[name for name in ENGINES if name != "native"])
def engine(request: pytest.FixtureRequest) -> Engine:
    found = ENGINES[request.param]
    if not all(shutil.which(program) for program in found.needs):
        without(found, "")
    if found.only_made:
        try:
            probe(found, platform.machine())
        except NotMade as reason:
            without(found, str(reason))
    elif absent := why_absent(found):
        without(found, absent)
    return found


@cache
def _detected(program: str, args: tuple[str, ...], files: tuple[str, ...]) -> str:
    with tempfile.TemporaryDirectory() as folder:
        for name in files:
            shutil.copy(HERE / name, folder)
        command = [program, *args, "--detect"]
        done = run_to_end(command, cwd=folder, within_s=60)
        return "" if done.returncode == 0 else done.stderr.strip().rpartition("\n")[2] or "its runner failed"


def why_absent(engine: Engine) -> str:
    """Empty where the engine runs an empty module here; a mode that a build lacks does not."""
    program = sys.executable if engine.program == "python" else engine.program
    return _detected(program, (*engine.program_args, engine.entry, *engine.args), engine.files)


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
    made = [path for bit, path in enumerate(paths) if opened >> bit & 1]
    if "path_open" in engine.lacks:
        made.insert(0, "new.txt")  # which it should have been able to make
    # An engine may take `..` at the top for the top itself, as a kernel does at its root.
    assert made == ["new.txt"] or (made[0] == "new.txt" and (own / "made.txt").exists())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["own", "run", "secret.txt"]


@cache
def compiled(source: str) -> bytes:
    flags = ["--target=wasm32-freestanding", "-mcpu=mvp", "-O1", "-s", "-nostdlib", "-ffreestanding"]
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        (place / "module.c").write_text(source)
        compile_c("the module", [*flags, "-Wl,--no-entry"], ["module.c"], place / "module.wasm", place)
        return (place / "module.wasm").read_bytes()


def test_a_directory_is_listed_whole_however_little_room_there_is(
    engine: Engine, own: Path, tmp_path: Path
) -> None:
    for number in range(20):
        (own / ("x" * number + ".txt")).touch()
    assert run_alone(engine, compiled(LISTING), own, tmp_path / "run") == 0
    if "fd_readdir" in engine.lacks and engine.family == "wasmer":
        pytest.skip("it says so itself: " + engine.lacks["fd_readdir"])
    types = {
        name: 7 if (own / name).is_symlink() else 3 if (own / name).is_dir() else 4
        for name in os.listdir(own)
    }
    dots = {} if "fd_readdir" in engine.lacks else {".": 3, "..": 3}
    expected = [f"{number}{name}" for name, number in (dots | types).items()]
    assert sorted((tmp_path / "run" / "stdout").read_text().splitlines()) == sorted(expected)


def test_a_module_waits_for_the_first_of_what_it_waits_for(engine: Engine, own: Path, tmp_path: Path) -> None:
    if "poll_oneoff" in engine.lacks:
        pytest.skip(f"{engine.family} does not, and test_engines.py holds it to saying so")
    assert run_alone(engine, compiled(WAITING), own, tmp_path / "run") == 0
    assert (tmp_path / "run" / "stdout").read_text() == "s00\na00\nf20\n"
