"""Every WebAssembly engine the harness knows, by name. A family is one description file and one runner file."""

from harness.engines import (
    bun,
    deno,
    iwasm,
    native,
    node,
    wasm2c,
    wasm3,
    wasm3_cli,
    wasmedge,
    wasmer,
    wasmi,
    wasmtime,
    wasmtime_cli,
    wazero,
)
from harness.engines.command import Command
from harness.engines.engine import Engine, Install

FAMILIES = (
    wasmtime,
    wasm3,
    node,
    bun,
    deno,
    wasm2c,
    wasmtime_cli,
    wasmer,
    wasmedge,
    iwasm,
    wasm3_cli,
    wasmi,
    wazero,
    native,
)
ENGINES: dict[str, Engine] = {engine.name: engine for family in FAMILIES for engine in family.ENGINES}

__all__ = ["ENGINES", "Command", "Engine", "Install"]
