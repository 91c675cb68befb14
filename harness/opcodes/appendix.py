"""A module with entries appended to its sections; nothing that was there gets another index."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from harness.opcodes.decoder import MAGIC, ORDER, VERSION, Module
from harness.opcodes.leb import read_unsigned, unsigned
from harness.opcodes.module_parts import NUMBER_TYPES, FuncType

TYPE, FUNCTION, MEMORY, GLOBAL, EXPORT, START, CODE, DATA_COUNT = 1, 3, 5, 6, 7, 8, 10, 12
_KEPT_CUSTOM = ("name",)
_TYPE_BYTES = {name: bytes([byte]) for byte, name in NUMBER_TYPES.items()}


class Appendix:
    """What is to be appended to `module`, by section."""

    def __init__(self, module: Module) -> None:
        self.module = module
        self.types = list(module.types)
        self.first_function = len(module.imported("func")) + len(module.functions)
        self.taken = {export.name for export in module.exports}
        self.counts: Counter[int] = Counter()
        self.contents: dict[int, list[bytes]] = {}

    def add(self, section: int, content: bytes, times: int = 1) -> None:
        """Append an entry, already encoded, `times` times."""
        if times:
            self.counts[section] += times
            self.contents.setdefault(section, []).append(content * times)

    def add_type(self, params: Sequence[str] = (), results: Sequence[str] = ()) -> int:
        """The index of the type of functions with these parameters and results, all of them numbers."""
        wanted = FuncType(tuple(params), tuple(results))
        if wanted in self.types:
            return self.types.index(wanted)
        encoded = b"\x60"
        for types in (params, results):
            encoded += unsigned(len(types)) + b"".join(_TYPE_BYTES[name] for name in types)
        self.add(TYPE, encoded)
        self.types.append(wanted)
        return len(self.types) - 1

    def add_function(self, type_: int, code: bytes, locals_: bytes = b"\0") -> int:
        """Append a function; its number in the space of functions. `locals_` are those it declares, encoded."""
        number = self.next_function()
        self.add(FUNCTION, unsigned(type_))
        self.add(CODE, sized(locals_ + code + b"\x0b"))
        return number

    def next_function(self) -> int:
        """The number that the next function appended will have."""
        return self.first_function + self.counts[FUNCTION]

    def add_export(self, name: str, kind: int, number: int) -> str:
        """Export under `name`, or under that with quotes where it is taken; the name that was used."""
        while name in self.taken:
            name += "'"
        self.taken.add(name)
        self.add(EXPORT, sized(name.encode()) + bytes([kind]) + unsigned(number))
        return name

    def assemble(self, bodies: Sequence[bytes] | None = None, *, start: bool = True) -> tuple[bytes, int]:
        """The new module and the offset of its first function body.

        `bodies` take the place of the module's own; without `start` the start function is not run.
        """
        data, code_at = self.module.data, 0
        sections = {section.number: section for section in self.module.sections if section.number}
        pieces = [MAGIC + VERSION]
        length = len(pieces[0])
        for number in ORDER:
            if (number == START and not start) or (number not in sections and number not in self.counts):
                continue
            content, count = b"", 0
            if number in sections:
                _, at, end = sections[number]
                if number not in (START, DATA_COUNT):
                    count, at = read_unsigned(data, at, end)
                replaced = number == CODE and bodies is not None
                content = b"".join(bodies or ()) if replaced else data[at:end]
            content += b"".join(self.contents.get(number, ()))
            prefix = b"" if number in (START, DATA_COUNT) else unsigned(count + self.counts[number])
            header = bytes([number]) + unsigned(len(prefix) + len(content)) + prefix
            if number == CODE:
                code_at = length + len(header)
            pieces += (header, content)
            length += len(header) + len(content)
        for name, at, end in self.module.customs:
            if name in _KEPT_CUSTOM:
                pieces.append(b"\0" + sized(sized(name.encode()) + data[at:end]))
        return b"".join(pieces), code_at


def sized(content: bytes) -> bytes:
    return unsigned(len(content)) + content
