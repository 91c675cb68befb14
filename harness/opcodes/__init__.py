"""Exact dynamic counts of every WebAssembly opcode a program executes, from the module's bytes.

`count` rewrites the module so that it counts its own blocks and runs it at nearly native speed (rewriter.py,
counters.py, native_run.py); `interpret` takes one instruction after another in plain Python (steps.py,
execution.py, interpreter.py). They share the decoder (decoder.py) and the words of invocation.py, and `verify`
holds them against each other. `refusal` says why a module cannot be a workload, `unknown_import`
which of its imports no engine has. `cached_count` keeps counts on disk; `features` turns them into the columns of the
published data. The room knows nothing of suites, devices or datasets.
Each name is imported when it is first used, since the engine that runs modules takes a tenth of a second.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harness.opcodes.agreement import Verification, verify
    from harness.opcodes.count_cache import cached_count
    from harness.opcodes.decoder import Module, check_module, decode
    from harness.opcodes.instruction_set import opcode_names
    from harness.opcodes.interpreter import interpret
    from harness.opcodes.invocation import Counts
    from harness.opcodes.native_run import count
    from harness.opcodes.published_columns import feature_column, features
    from harness.opcodes.requirements import imported_functions, refusal, unknown_import

__all__ = [
    "Counts",
    "Module",
    "Verification",
    "cached_count",
    "check_module",
    "count",
    "decode",
    "feature_column",
    "features",
    "imported_functions",
    "interpret",
    "opcode_names",
    "refusal",
    "unknown_import",
    "verify",
]

_PLACES = {
    "agreement": ["Verification", "verify"],
    "count_cache": ["cached_count"],
    "decoder": ["Module", "check_module", "decode"],
    "instruction_set": ["opcode_names"],
    "interpreter": ["interpret"],
    "invocation": ["Counts"],
    "native_run": ["count"],
    "published_columns": ["feature_column", "features"],
    "requirements": ["imported_functions", "refusal", "unknown_import"],
}


def __getattr__(name: str) -> Any:
    for place, names in _PLACES.items():
        if name in names:
            return getattr(importlib.import_module(f"harness.opcodes.{place}"), name)
    raise AttributeError(f"module 'harness.opcodes' has no attribute {name!r}")
