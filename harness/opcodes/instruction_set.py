"""The opcodes of WebAssembly by code and by name, read from `instruction_table.py`.

A one-byte opcode's code is the byte; a prefixed opcode's code is ``prefix << 16 | number`` (so
``memory.copy``, 0xFC 10, is 0xFC000A). Names are those of the text format.
"""

from __future__ import annotations

from dataclasses import dataclass

from harness.opcodes.instruction_table import FB, FC, FD, FD_RUNS, FE, ONE_BYTE, RUNS


@dataclass(frozen=True, slots=True)
class Opcode:
    code: int
    name: str
    signature: str  # such as "ii:i", or "*" where it depends on context
    immediates: tuple[str, ...]  # the kinds of immediates, in order: see instruction_reader.py
    category: (
        str  # int, float, convert, load, store, memory, variable, control, call, reference, simd or other
    )

    @property
    def prefix(self) -> int:
        """The first byte of the encoding."""
        return self.code >> 16 or self.code

    @property
    def number(self) -> int | None:
        """The number after the prefix byte; None for a one-byte opcode."""
        return self.code & 0xFFFF if self.code >> 16 else None


CATEGORIES = (
    "int", "float", "convert", "load", "store", "memory", "variable", "control", "call", "reference",
    "simd", "other",
)  # fmt: skip


# Control instructions beyond the first eighteen bytes.
_CONTROL = frozenset(
    ("delegate", "catch_all", "try_table", "br_on_null", "br_on_non_null", "br_on_cast", "br_on_cast_fail")
)


def _category(code: int, name: str) -> str:
    kind, _, operation = name.partition(".")
    if code >> 16 == 0xFD:
        return "simd"
    if "call" in name:
        return "call"
    if operation.startswith("atomic.") or kind == "atomic":
        operation = operation.removeprefix("atomic.")
        kind = "memory"  # unless it only loads or only stores
    if operation.startswith("load"):
        return "load"
    if operation.startswith("store"):
        return "store"
    if kind in ("memory", "data"):
        return "memory"
    if kind in ("table", "elem", "ref", "struct", "array", "i31", "any", "extern"):
        return "reference"
    if kind in ("local", "global"):
        return "variable"
    if code <= 0x11 or name in _CONTROL:
        return "control"
    if any(
        operation.startswith(word)
        for word in ("convert", "trunc_", "demote", "promote", "reinterpret", "wrap", "extend_")
    ):
        return "convert"
    if kind in ("i32", "i64"):
        return "int"
    return "float" if kind in ("f32", "f64") else "other"


def _table() -> dict[int, Opcode]:
    rows: list[tuple[int, str, str, tuple[str, ...]]] = []

    def lines(text: str, prefix: int) -> None:
        for line in text.strip().splitlines():
            number, name, signature, *immediates = line.split()
            rows.append(
                (prefix << 16 | int(number, 10 if prefix else 16), name, signature, tuple(immediates))
            )

    def runs(text: str, prefix: int) -> None:
        for line in text.strip().splitlines():
            number, kind, signature, *operations = line.split()
            first = prefix << 16 | int(number, 10 if prefix else 16)
            rows.extend(
                (first + n, f"{kind}.{operation}", signature, ()) for n, operation in enumerate(operations)
            )

    lines(ONE_BYTE, 0)
    runs(RUNS, 0)
    lines(FB, 0xFB)
    lines(FC, 0xFC)
    lines(FD, 0xFD)
    runs(FD_RUNS, 0xFD)
    lines(FE, 0xFE)
    rows.sort()
    return {
        code: Opcode(code, name, signature, immediates, _category(code, name))
        for code, name, signature, immediates in rows
    }


OPCODES: dict[int, Opcode] = _table()

# Some instructions have two encodings: `select` with and without types, `ref.test` and `ref.cast` with and without
# null.
CODES: dict[str, int] = {opcode.name: code for code, opcode in reversed(OPCODES.items())}


def opcode_names() -> list[str]:
    """Every name a count can have, in the order of the encoding."""
    return list(dict.fromkeys(opcode.name for opcode in OPCODES.values()))
