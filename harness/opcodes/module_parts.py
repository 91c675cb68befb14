"""What a module is made of: types, imports and exports, instructions, segments, code."""

from __future__ import annotations

from typing import Any, NamedTuple

from harness.opcodes.instruction_set import Opcode

NUMBER_TYPES = {0x7F: "i32", 0x7E: "i64", 0x7D: "f32", 0x7C: "f64", 0x7B: "v128"}
PACKED_TYPES = {0x78: "i8", 0x77: "i16"}  # of fields only
HEAP_TYPES = {
    0x74: "noexn", 0x73: "nofunc", 0x72: "noextern", 0x71: "none", 0x70: "func", 0x6F: "extern", 0x6E: "any",
    0x6D: "eq", 0x6C: "i31", 0x6B: "struct", 0x6A: "array", 0x69: "exn",
}  # fmt: skip

# Types of values are words: "i32", "i64", "f32", "f64", "v128"; "ref null H" or "ref H" for a reference, where H is
# one of HEAP_TYPES or the index of a type, such as "ref null func" or "ref 5".


class FuncType(NamedTuple):
    params: tuple[str, ...]
    results: tuple[str, ...]


class Field(NamedTuple):
    type: str  # of a value, or "i8" or "i16"
    mutable: bool


class StructType(NamedTuple):
    fields: tuple[Field, ...]


class ArrayType(NamedTuple):
    field: Field


class SubType(NamedTuple):
    """How a type is declared beside what it is: what it extends, and the group it can refer to itself within."""

    supers: tuple[int, ...]
    final: bool
    group: int  # index of the first type of its recursive group
    size: int  # types in that group


class Limits(NamedTuple):
    minimum: int
    maximum: int | None
    is_64: bool
    shared: bool = False


class TableType(NamedTuple):
    element: str
    limits: Limits
    init: tuple[Instruction, ...] = ()  # the first value of every element; null where there is none


class GlobalType(NamedTuple):
    type: str
    mutable: bool


class Import(NamedTuple):
    module: str
    name: str
    kind: str  # "func", "table", "memory", "global" or "tag"
    type: int | TableType | Limits | GlobalType  # for "func" and "tag" an index into `Module.types`


class Export(NamedTuple):
    name: str
    kind: str
    number: int  # in the index space of its kind


class Instruction(NamedTuple):
    offset: int
    opcode: Opcode
    immediates: tuple[Any, ...]


class Global(NamedTuple):
    type: GlobalType
    init: tuple[Instruction, ...]


class Element(NamedTuple):
    mode: str  # "active", "passive" or "declarative"
    table: int
    offset: tuple[Instruction, ...]  # empty unless active
    type: str
    items: tuple[tuple[Instruction, ...], ...]


class Data(NamedTuple):
    mode: str  # "active" or "passive"
    memory: int
    offset: tuple[Instruction, ...]
    start: int
    end: int


class Code(NamedTuple):
    locals: tuple[tuple[int, str], ...]  # runs of declared locals, without the parameters
    body: int  # offset of the declarations of locals
    start: int  # offset of the first instruction
    end: int
