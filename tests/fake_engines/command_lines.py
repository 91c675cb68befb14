"""Command lines of real engines, faked: each takes the same arguments and fails in the same words and exit codes.

A module is a JSON object that says what to do (stdout, exit_code, trap, import, read, write, grow, hang, die); the
bytes of a real module do nothing. Started as ``python command_lines.py PROGRAM ARGUMENTS…``.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

PYTHON = shutil.which("python3", path="/usr/bin") or os.path.realpath(sys.executable)
COMPILED = b"\x7fcompiled:"


class Trap(Exception):
    pass


class Bad(Exception):
    """The module is none, or imports something unknown."""


def load(path: str, *, compiled: bool = False) -> dict:
    data = Path(path).read_bytes()
    if compiled != data.startswith(COMPILED):
        raise Bad("precompiled" if not compiled else "magic header not detected")
    data = data.removeprefix(COMPILED)
    if data.startswith(b"\0asm"):
        return {}
    try:
        return json.loads(data)
    except ValueError:
        raise Bad("magic header not detected") from None


def compile_to(module: str, out: str) -> None:
    load(module)
    Path(out).write_bytes(COMPILED + Path(module).read_bytes())


def execute(script: dict, argv: list[str], folder: str | None, pages: int | None = None) -> None:
    """Do what the module says, and exit as it does."""
    if "import" in script:
        raise Bad(script["import"])
    os.write(1, script.get("stdout", "").encode())
    if script.get("argv"):
        os.write(1, json.dumps(argv).encode())
    if "read" in script:
        if not folder:
            raise Trap("no directory")
        os.write(1, Path(folder, script["read"]).read_bytes())
    if "grow" in script and pages is not None and script["grow"] > pages:
        raise Trap("unreachable")
    if script.get("hang"):
        time.sleep(600)
    if script.get("die"):
        os.kill(os.getpid(), signal.SIGSEGV)
    if "stderr" in script:
        os.write(2, script["stderr"].encode())
    if "trap" in script:
        raise Trap(script["trap"])
    sys.exit(script.get("exit_code", 0))


def parser(*flags: str, **valued: str) -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(allow_abbrev=False, add_help=False)
    for flag in flags:
        made.add_argument(flag, action="store_true")
    for name, option in valued.items():
        made.add_argument(option, dest=name, action="append", default=[])
    made.add_argument("module")
    made.add_argument("rest", nargs=argparse.REMAINDER)
    return made


def fail(code: int, text: str, stream: int = 2) -> None:
    os.write(stream, text.encode() + b"\n")
    sys.exit(code)


def wasmtime(words: list[str]) -> None:
    if words == ["--version"]:
        fail(0, "wasmtime 49.0.3 (f96eabaa1 2026-10-14)", 1)
    command, *words = words
    if command == "compile":
        given = parser(out="-o").parse_args(words)
        try:
            return compile_to(given.module, given.out[0])
        except Bad:
            fail(1, f"Error: expected `(`\n     --> {given.module}:1:1\n      |\n    1 | not wasm\n      | ^")
    given = parser("--allow-precompiled", codegen="-C", wasm="-W", dir="--dir", target="--target").parse_args(
        words
    )
    assert all("::" in pair for pair in given.dir)
    settings = dict(pair.split("=", 1) for pair in (*given.codegen, *given.wasm))
    assert settings["cache"] == "n" and settings.get("compiler") in (None, "winch")
    try:
        script = load(given.module, compiled=given.allow_precompiled)
        folder = given.dir[0].split("::")[0] if given.dir else None
        execute(script, given.rest, folder, int(settings["max-memory-size"]) >> 16)
    except Bad as bad:
        fail(
            1,
            f"Error: failed to run main module `{given.module}`\n\nCaused by:\n    0: failed to instantiate "
            f'"{given.module}"\n    1: unknown import: `{bad}` has not been defined',
        )
    except Trap as trap:
        fail(134, f"Error: failed to run main module `{given.module}`\n\nCaused by:\n    0: failed to invoke command "
                  "default\n    1: error while executing at wasm backtrace:\n    0:     0x1a - "
                  f"<unknown>!<wasm function 0>\n    2: wasm trap: {trap}")  # fmt: skip


def wasmer(words: list[str]) -> None:
    if words == ["--version"]:
        fail(0, "wasmer 7.4.2", 1)
    command, *words = words
    compilers = ("--cranelift", "--singlepass", "--llvm")
    arguments = words[words.index("--") + 1 :] if "--" in words else []
    words = words[: words.index("--")] if "--" in words else words
    given = parser("--disable-cache", "--no-tty", *compilers, volume="--volume", out="-o").parse_args(words)
    assert all(volume.endswith(":/") for volume in given.volume)
    if given.llvm:  # as in the builds that are published without it
        fail(1, "error: The `llvm` compiler is not included in this binary.")
    try:
        if command == "compile":
            return compile_to(given.module, given.out[0])
        assert command == "run" and not given.rest
        just_in_time = given.cranelift or given.singlepass or given.llvm
        folder = given.volume[0].split(":")[0] if given.volume else None
        execute(load(given.module, compiled=not just_in_time), arguments, folder)
    except Bad as bad:
        fail(1, f'error: Unable to compile\n╰─▶ 1: Error while importing "{bad}": unknown import.')
    except Trap as trap:
        fail(1, f"error: failed to run `{given.module}`\n│   1: WASI execution failed\n╰─▶ 2: RuntimeError: {trap}\n"
                "           at <unnamed> (<module>[0]:0x1a)")  # fmt: skip


def wasmedge(words: list[str]) -> None:
    if words == ["--version"]:
        fail(0, "wasmedge version 0.14.1", 1)
    log = "[2026-11-24 08:15:07.051] [error] "
    if "--enable-jit" in words or words[0] == "compile":
        for doing in ("compile start", "verify start", "optimize start", "optimize done"):
            os.write(1, log.replace("error", "info").encode() + doing.encode() + b"\n")
    try:
        if words[0] == "compile":
            return compile_to(*words[1:])
        given = parser("--force-interpreter", "--enable-jit", dir="--dir", pages="--memory-page-limit")
        given = given.parse_args(words)
        folder = given.dir[0].split(":", 1)[1] if given.dir else None
        compiled = not (given.force_interpreter or given.enable_jit)
        execute(load(given.module, compiled=compiled), given.rest, folder, int(given.pages[0]))
    except Bad as bad:
        fail(1, f"{log}instantiation failed: unknown import, Code: 0x302\n{log}    {bad}", 1)
    except Trap as trap:
        fail(
            134, f"{log}execution failed: {trap}, Code: 0x40a\n{log}    In instruction: unreachable (0x00)", 1
        )


def iwasm(words: list[str]) -> None:
    if words == ["--version"]:
        fail(0, "iwasm 2.1.2", 1)
    given = parser(dir="--dir").parse_args(words)
    assert given.dir in ([], ["."])
    try:
        script = load(given.module, compiled=given.module.endswith(".bin"))
        execute(script, given.rest, given.dir[0] if given.dir else None)
    except Bad as bad:
        fail(255, f"WASM module load failed: {bad}", 1)
    except Trap as trap:
        fail(1, f"Exception: {trap}", 1)


def wamrc(words: list[str]) -> None:
    if words == ["--version"]:
        fail(0, "wamrc 2.1.2", 1)
    assert words[0] == "-o"
    try:
        compile_to(words[2], words[1])
    except Bad as bad:
        fail(1, f"Create AoT compiler with:\n  target:        x86_64\nLoad WASM module failed: {bad}")
    print(f"Compile success, file {words[1]} was generated.")


def wasm3(words: list[str]) -> None:
    if words == ["--version"]:
        fail(0, "Wasm3 v0.5.0 on x86_64\nBuild: Nov  2 2025 10:21:44, GCC 12.2.0", 1)
    try:
        execute(load(words[0]), words[1:], ".")
    except Bad as bad:
        fail(1, f"Error: missing imported function ('{bad}')")
    except Trap as trap:
        fail(1, f"Error: [trap] {trap} executed")


def wazero(words: list[str]) -> None:
    if words == ["version"]:
        fail(0, "v1.9.0", 1)
    assert words.pop(0) == "run"
    given = parser("-interpreter", mount="-mount").parse_args(words)
    try:
        execute(load(given.module), given.rest, given.mount[0].split(":")[0] if given.mount else None)
    except Bad as bad:
        if "magic" in str(bad):
            fail(1, "error compiling wasm binary: invalid magic number")
        fail(1, "error instantiating wasm binary: module[env] not instantiated")
    except Trap as trap:
        fail(1, "error instantiating wasm binary: module[] function[_start] failed: wasm error: "
                f"{trap}\nwasm stack trace:\n\t._start()")  # fmt: skip


PROGRAMS: dict[str, Callable[[list[str]], None]] = {
    "wasmtime": wasmtime, "wasmer": wasmer, "wasmedge": wasmedge, "iwasm": iwasm, "iwasm-classic": iwasm,
    "wamrc": wamrc, "wasm3": wasm3, "wazero": wazero,
}  # fmt: skip


def install(folder: Path) -> None:
    """Put every program into a directory to be on the PATH; nothing outside it is read to run them but Python."""
    folder.mkdir(parents=True, exist_ok=True)
    here = shutil.copy(__file__, folder)
    for name in PROGRAMS:
        program = folder / name
        program.write_text(f'#!/bin/sh\nexec "{PYTHON}" -IS "{here}" {name} "$@"\n')
        program.chmod(0o755)


if __name__ == "__main__":
    PROGRAMS[sys.argv[1]](sys.argv[2:])
