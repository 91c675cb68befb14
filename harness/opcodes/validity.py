"""Whether a module is valid: the engine's validator decides, so that both implementations may rely on it."""

from __future__ import annotations

import functools
from typing import Any

import wasmtime

from harness.errors import ModuleError
from harness.opcodes.decoder import check_module


def check_valid(data: bytes) -> None:
    """Raise `ModuleError` with the reason unless `data` is a valid module.

    This is asked of the original: a rewritten module has globals and functions that an invalid index could meet.
    """
    check_module(data, "the module")
    try:
        wasmtime.Module.validate(_engine(), data)
    except wasmtime.WasmtimeError as error:
        raise ModuleError(f"the module is not valid: {sentence(error)}") from None


@functools.cache
def _engine() -> Any:
    config = wasmtime.Config()
    config.wasm_multi_memory = True
    config.wasm_tail_call = True
    return wasmtime.Engine(config)


def sentence(error: Exception) -> str:
    """The message in one line: wasmtime puts causes on lines of their own."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return "; ".join(line for line in lines if line != "Caused by:")
