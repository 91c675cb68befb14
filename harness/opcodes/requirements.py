"""What a module needs to be a workload, told from its bytes alone: whether it is a command that WASI can run."""

from __future__ import annotations

import difflib

from harness.errors import ModuleError
from harness.opcodes.decoder import Module, decode, read_sections
from harness.opcodes.module_parts import FuncType, Import, Limits
from harness.opcodes.validity import check_valid
from harness.opcodes.wasi import MODULE, host_types
from harness.spelling import several

_COMPONENT = b"\0asm\x0d\0\1\0"
_THREADS = "it needs threads; build it without them (no -pthread, target wasm32-wasip1)"


def refusal(data: bytes) -> str | None:
    """Why the bytes cannot be a workload, with what to do about it; None where they can.

    Valid, a core module, only functions of WASI preview 1 imported, each with its type, a `_start` without
    parameters exported. What it takes when it runs is not known from this.
    """
    if data[:8] == _COMPONENT:
        return "it is a component, not a core module; build it for wasm32-wasip1 to get one"
    try:
        read_sections(data)
        check_valid(data)
        module = decode(data, bodies=False)
    except ModuleError as error:
        return str(error).removeprefix("the module: ")
    return _imports(module) or _export(module)


def unknown_import(data: bytes) -> str | None:
    """The first import that WASI preview 1 does not have, with what to do about it; None where it has them all.

    Bytes that cannot be decoded have none: what is wrong with them is for whoever runs them to say.
    """
    try:
        return _imports(decode(data, bodies=False))
    except ModuleError:
        return None


def imported_functions(data: bytes) -> set[str]:
    """The functions of WASI preview 1 that a module imports; none of bytes that cannot be decoded."""
    try:
        return {entry.name for entry in decode(data, bodies=False).imports if entry.module == MODULE}
    except ModuleError:
        return set()


def _imports(module: Module) -> str | None:
    return next((wrong for entry in module.imports if (wrong := _import(module, entry))), None)


def _import(module: Module, entry: Import) -> str | None:
    name = f"{entry.module}::{entry.name}"
    if (isinstance(entry.type, Limits) and entry.type.shared) or entry.module == "wasi":
        return f"it imports {name}: {_THREADS}"
    if entry.module in ("wasi_unstable", "wasi"):
        return f"it imports {name} of WASI preview 0; build it with a current SDK for wasm32-wasip1"
    if entry.module.startswith("wasi_ephemeral") or entry.module.startswith("wasi:"):
        return f"it imports {name}, which is not of WASI preview 1; build it for wasm32-wasip1"
    if entry.module != MODULE or not isinstance(entry.type, int):
        return (
            f"it imports {name}, which WASI preview 1 does not have: it was made for another host, such as a web page; "
            "build it for wasm32-wasip1 (with Emscripten: -sSTANDALONE_WASM)"
        )
    types = host_types()
    if entry.name not in types:
        near = difflib.get_close_matches(entry.name, types, n=1, cutoff=0.6)
        like = f"; the nearest that there is: {near[0]}" if near else ""
        return f"it imports {name}, which WASI preview 1 does not have{like}"
    if module.func_type(entry.type) != types[entry.name]:
        return (
            f"it imports {name} with another type than WASI preview 1 gives it; build it with a current SDK"
        )
    return None


def _export(module: Module) -> str | None:
    exported = {export.name: export for export in module.exports}
    if any(entry.module == MODULE for entry in module.imports):
        memory = exported.get("memory")
        if memory is None or memory.kind != "memory":
            return "it uses WASI and exports no memory named `memory`; link it with --export-memory"
    start = exported.get("_start")
    if start is None or start.kind != "func":
        others = [name for name, export in exported.items() if export.kind == "func"]
        what = "a reactor" if "_initialize" in exported else "a library"
        shown = ", ".join(others[:3]) + (", …" if len(others) > 3 else "")
        listed = f" (only {shown})" if others else ""
        return (
            f"it is {what}: it exports no function _start{listed}; give it a main and build it as a command "
            "(-mexec-model=command)"
        )
    imported = module.imported("func")
    index = start.number - len(imported)
    type_index = imported[start.number].type if index < 0 else module.functions[index]
    assert isinstance(type_index, int)
    type_: FuncType = module.func_type(type_index)
    if type_.params:
        return f"its function _start takes {several(len(type_.params), 'parameter')}; a command's takes none"
    return None
