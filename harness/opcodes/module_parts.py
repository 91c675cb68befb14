"""What a module is made of: types, imports and exports, instructions, segments, code."""

from __future__ import annotations

from typing import Any, NamedTuple

from harness.opcodes.instruction_set import Opcode

VALUE_TYPES = {
    0x7F: "i32", 0x7E: "i64", 0x7D: "f32", 0x7C: "f64", 0x7B: "v128", 0x70: "funcref", 0x6F: "externref",
}  # fmt: skip


class FuncType(NamedTuple):
    params: tuple[str, ...]
    results: tuple[str, ...]


class Limits(NamedTuple):
    minimum: int
    maximum: int | None
    is_64: bool


class TableType(NamedTuple):
    element: str  # "funcref" or "externref"
    limits: Limits


class GlobalType(NamedTuple):
    type: str
    mutable: bool


class Import(NamedTuple):
    module: str
    name: str
    kind: str  # "func", "table", "memory" or "global"
    type: int | TableType | Limits | GlobalType  # for "func" an index into `Module.types`


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
