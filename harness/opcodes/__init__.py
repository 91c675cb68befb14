"""Exact dynamic counts of every WebAssembly opcode a program executes."""

from harness.opcodes.cache import cached_count
from harness.opcodes.count import count
from harness.opcodes.decode import Module, check_module, decode
from harness.opcodes.features import feature_column, features
from harness.opcodes.interpret import interpret
from harness.opcodes.invocation import Counts
from harness.opcodes.tables import opcode_names
from harness.opcodes.verify import Verification, verify

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
    "interpret",
    "opcode_names",
    "verify",
]
