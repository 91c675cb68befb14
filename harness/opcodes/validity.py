"""Whether a module is valid: the engine's validator decides, so that both implementations may rely on it."""

from __future__ import annotations

import functools
import re
from typing import Any

import wasmtime

from harness.errors import ModuleError
from harness.opcodes.blocks import OLDER_EXCEPTIONS
from harness.opcodes.decoder import check_module

_CAUSE = re.compile(r"^\d+: ")
_PROPOSALS = (
    "wasm_multi_memory", "wasm_memory64", "wasm_tail_call", "wasm_exceptions", "wasm_function_references", "wasm_gc",
    "wasm_wide_arithmetic", "wasm_threads", "shared_memory", "wasm_relaxed_simd",
)  # fmt: skip

_NOT_SUPPORTED = {  # what the engine says of a proposal that is off
    "legacy_exceptions": OLDER_EXCEPTIONS,
    "custom page sizes": "its memory has pages of another size (custom page sizes), which is not supported; "
    "link it without --page-size",
    "stack switching": "it switches stacks (continuations), which is not supported; build it without",
}
_SWITCHED_OFF = re.compile(r"(must be|not|isn't) enabled|is disabled|without .* enabled")


def check_valid(data: bytes) -> None:
    """Raise `ModuleError` with the reason unless `data` is a valid module.

    This is asked of the original: a rewritten module has globals and functions that an invalid index could meet.
    """
    check_module(data, "the module")
    try:
        wasmtime.Module.validate(_engine(), data)
    except wasmtime.WasmtimeError as error:
        told = sentence(error)
        for words, need in _NOT_SUPPORTED.items():
            if words in told:
                raise ModuleError(need) from None
        if _SWITCHED_OFF.search(told):
            raise ModuleError(
                f"it uses a proposal that is not supported ({told}); build it without"
            ) from None
        raise ModuleError(f"the module is not valid: {told}") from None


@functools.cache
def _engine() -> Any:
    return wasmtime.Engine(configuration())


def configuration() -> Any:
    """A wasmtime configuration with every proposal on that this version of it knows and we count."""
    config = wasmtime.Config()
    for name in _PROPOSALS:
        if hasattr(wasmtime.Config, name):
            setattr(config, name, True)
    return config


def sentence(error: Exception) -> str:
    """The message in one line: wasmtime puts causes on lines of their own, after where the program was."""
    text, _, causes = str(error).partition("Caused by:")
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if lines and lines[0].startswith("error while executing"):
        lines = []  # a list of functions without names
    for line in causes.splitlines():
        told = _CAUSE.sub("", line.strip())
        if told and not any(told in before for before in lines):
            lines.append(told)
    return "; ".join(lines) or "no reason given"
