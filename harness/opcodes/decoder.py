"""A module's bytes, decoded: the sections of the WebAssembly 2.0 binary format (5.5 of the standard).

Any bytes give a `Module` or a `ModuleError` with the offset: nothing is allocated on the word of a length
field, so memory stays within a small multiple of the input. Decoding is not validation: types on the stack
are not checked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from harness.errors import ModuleError
from harness.opcodes.instruction_reader import read_instructions
from harness.opcodes.leb import read_unsigned
from harness.opcodes.module_parts import (
    Code,
    Data,
    Element,
    Export,
    FuncType,
    Global,
    Import,
    Instruction,
    Limits,
    SubType,
    TableType,
)
from harness.opcodes.reader import CompositeType, Reader
from harness.opcodes.section_reader import (
    read_code,
    read_data,
    read_element,
    read_export,
    read_global,
    read_import,
    read_table,
)
from harness.spelling import several

MAGIC = b"\0asm"
VERSION = b"\1\0\0\0"
SECTIONS = (
    "custom", "type", "import", "function", "table", "memory", "global", "export", "start", "element", "code",
    "data", "data count", "tag",
)  # fmt: skip
ORDER = (1, 2, 3, 4, 5, 13, 6, 7, 8, 9, 12, 10, 11)  # in which the standard demands the sections


class Section(NamedTuple):
    number: int
    start: int  # of the content, after number and size
    end: int


@dataclass(frozen=True, slots=True)
class Module:
    data: bytes
    sections: tuple[Section, ...]
    types: tuple[CompositeType, ...] = ()
    subtypes: tuple[SubType, ...] = ()  # of each type
    imports: tuple[Import, ...] = ()
    functions: tuple[int, ...] = ()  # type index of each function defined here
    tables: tuple[TableType, ...] = ()
    memories: tuple[Limits, ...] = ()
    tags: tuple[int, ...] = ()  # type index of each tag defined here
    globals: tuple[Global, ...] = ()
    exports: tuple[Export, ...] = ()
    start: int | None = None
    elements: tuple[Element, ...] = ()
    codes: tuple[Code, ...] = ()
    datas: tuple[Data, ...] = ()
    data_count: int | None = None
    customs: tuple[tuple[str, int, int], ...] = ()  # name, start and end of the content

    def imported(self, kind: str) -> list[Import]:
        """The imports of one kind; they come first in that kind's index space."""
        return [entry for entry in self.imports if entry.kind == kind]

    def func_type(self, index: int) -> FuncType:
        """The index-th type, where it is one of functions. Raises `ModuleError` where it is not, or not there."""
        if index >= len(self.types):
            raise ModuleError(f"there is no type {index}: the module has {several(len(self.types), 'type')}")
        found = self.types[index]
        if not isinstance(found, FuncType):
            raise ModuleError(f"type {index} is not the type of a function")
        return found

    def instructions(self, index: int) -> Iterator[Instruction]:
        """The instructions of the index-th function defined here, its final `end` included."""
        code = self.codes[index]
        return read_instructions(self.data, code.start, code.end)


def check_module(data: bytes, where: str) -> None:
    """Raise `ModuleError` unless `data` starts as a core module and its sections fill it exactly.

    `where` names the file in the message. What is inside the sections is not looked at.
    """
    try:
        read_sections(data)
    except ModuleError as error:
        raise ModuleError(f"{where}: {error}") from None


def read_sections(data: bytes) -> tuple[Section, ...]:
    """The outline of the module: each section's number and extent, in the order the standard demands."""
    if data[:4] != MAGIC:
        raise ModuleError(
            "this is not a WebAssembly module: it is empty"
            if not data
            else f"this is not a WebAssembly module: it starts with {data[:4].hex(' ')}, not with 00 61 73 6d"
        )
    if data[4:8] != VERSION:
        if data[4:8] == b"\x0d\0\1\0":
            raise ModuleError(
                "this is a WebAssembly component, not a core module (only core modules are supported)"
            )
        raise ModuleError(f"WebAssembly version bytes {data[4:8].hex(' ')} at offset 4, expected 01 00 00 00")
    sections: list[Section] = []
    pos, last = 8, -1
    while pos < len(data):
        number, at = data[pos], pos
        size, pos = read_unsigned(data, pos + 1, len(data))
        if number >= len(SECTIONS):
            raise ModuleError(f"unknown section {number} at offset {at}")
        if size > len(data) - pos:
            raise ModuleError(
                f"the module is cut off: the {SECTIONS[number]} section at offset {at} says {several(size, 'byte')},"
                f" {several(len(data) - pos, 'is', 'are')} left"
            )
        if number:
            rank = ORDER.index(number)
            if rank <= last:
                raise ModuleError(
                    f"the {SECTIONS[number]} section at offset {at} is out of order or repeated"
                )
            last = rank
        sections.append(Section(number, pos, pos + size))
        pos += size
    return tuple(sections)


def decode(data: bytes, *, bodies: bool = True) -> Module:
    """The whole module; with `bodies=False` the instructions of functions are left unread, only their extent
    is known.

    Raises `ModuleError`: not a module, cut off, malformed, or of a proposal that is not supported (named).
    """
    sections = read_sections(data)
    parts: dict[str, Any] = {}
    customs: list[tuple[str, int, int]] = []
    for section in sections:
        reader = Reader(data, section.start, section.end)
        if section.number == 0:
            name = reader.name()
            customs.append((name, reader.pos, section.end))
            continue
        key, read = _CONTENT[section.number]
        if key == "types":
            parts["types"], parts["subtypes"] = _types(reader)
        else:
            parts[key] = read(reader)
        if reader.pos != section.end:
            raise ModuleError(
                f"the {SECTIONS[section.number]} section ends at offset {section.end},"
                f" its content at {reader.pos}"
            )
    module = Module(data, sections, customs=tuple(customs), **parts)
    if len(module.functions) != len(module.codes):
        raise ModuleError(
            f"{several(len(module.functions), 'function is', 'functions are')} declared, "
            f"{several(len(module.codes), 'has', 'have')} a body"
        )
    if module.data_count is not None and module.data_count != len(module.datas):
        raise ModuleError(
            f"the data count section says {module.data_count}, the data section has {len(module.datas)}"
        )
    imported = [entry.type for entry in module.imports if isinstance(entry.type, int)]
    for index in (*module.functions, *module.tags, *imported):
        module.func_type(index)
    if bodies:
        for code in module.codes:
            check_body(data, code.start, code.end)
    return module


def _types(reader: Reader) -> tuple[tuple[CompositeType, ...], tuple[SubType, ...]]:
    types: list[CompositeType] = []
    subtypes: list[SubType] = []
    for group in reader.vector(Reader.recursive_group):
        first = len(types)
        for supers, final, composite in group:
            types.append(composite)
            subtypes.append(SubType(supers, final, first, len(group)))
    return tuple(types), tuple(subtypes)


def check_body(data: bytes, start: int, end: int) -> None:
    """Raise `ModuleError` unless the bytes are well-formed instructions whose blocks nest and are closed."""
    frames = [0x02]  # the opcode that opened each block
    for offset, opcode, _ in read_instructions(data, start, end):
        if not frames:
            raise ModuleError(f"instructions at offset {offset} after the end of the function")
        code = opcode.code
        if code in (0x02, 0x03, 0x04, 0x06, 0x1F):
            frames.append(code)
        elif code in (0x07, 0x19):
            if frames[-1] != 0x06:
                raise ModuleError(f"{opcode.name} without try at offset {offset}")
            frames[-1] = 0x06 if code == 0x07 else 0x19
        elif code == 0x05:
            if frames[-1] != 0x04:
                raise ModuleError(f"else without if at offset {offset}")
            frames[-1] = 0x05
        elif code == 0x0B or code == 0x18:
            frames.pop()
    if frames:
        raise ModuleError(f"the function body ending at offset {end} has {len(frames)} block(s) without end")


_CONTENT: dict[int, tuple[str, Callable[[Reader], Any]]] = {
    1: ("types", _types),
    2: ("imports", lambda reader: reader.vector(read_import)),
    3: ("functions", lambda reader: reader.vector(Reader.u32)),
    4: ("tables", lambda reader: reader.vector(read_table)),
    5: ("memories", lambda reader: reader.vector(Reader.limits)),
    13: ("tags", lambda reader: reader.vector(Reader.tag_type)),
    6: ("globals", lambda reader: reader.vector(read_global)),
    7: ("exports", lambda reader: reader.vector(read_export)),
    8: ("start", Reader.u32),
    9: ("elements", lambda reader: reader.vector(read_element)),
    10: ("codes", lambda reader: reader.vector(read_code)),
    11: ("datas", lambda reader: reader.vector(read_data)),
    12: ("data_count", Reader.u32),
}
