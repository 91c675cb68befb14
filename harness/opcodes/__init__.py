"""Exact dynamic counts of every WebAssembly opcode a program executes."""

from harness.opcodes.count import count
from harness.opcodes.decode import Module, check_module, decode
from harness.opcodes.features import feature_column, features
from harness.opcodes.invocation import Counts, Invocation
from harness.opcodes.tables import opcode_names

__all__ = [
    "Counts",
    "Invocation",
    "Module",
    "check_module",
    "count",
    "decode",
    "feature_column",
    "features",
    "opcode_names",
]
