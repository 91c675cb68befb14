"""Which declared types are the same type, and what extends what (WebAssembly 3.0, 3.1.3 and 3.3).

Two types are one where their recursive groups are written alike: references within a group count by their place
in it, references out of it by the type they mean.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from harness.opcodes.module_parts import ArrayType, Field, FuncType, StructType, SubType


class TypeIdentity:
    """`numbers[i]` stands for the i-th type: equal numbers, equal types. `lineages[i]` are the numbers of all it is."""

    def __init__(
        self, types: tuple[FuncType | StructType | ArrayType, ...], subtypes: tuple[SubType, ...]
    ) -> None:
        self.types = types
        self.numbers: list[int] = []
        self.lineages: list[frozenset[int]] = []
        known: dict[Any, int] = {}  # group as written -> number of its first type
        for index, subtype in enumerate(subtypes):
            if index != subtype.group:
                continue
            first, size = index, subtype.size

            def identity(place: int, first: int = first) -> Any:
                return self.numbers[place] if place < first else ("here", place - first)

            group = tuple(
                (subtypes[n].final, tuple(map(identity, subtypes[n].supers)), _written(types[n], identity))
                for n in range(first, first + size)
            )
            start = known.setdefault(group, first)
            self.numbers += range(start, start + size)
            for n in range(first, first + size):
                above = [self.lineages[parent] for parent in subtypes[n].supers]
                self.lineages.append(frozenset((self.numbers[n],)).union(*above))


def _written(type_: FuncType | StructType | ArrayType, identity: Callable[[int], Any]) -> Any:
    def value(name: str) -> Any:
        head, _, heap = name.rpartition(" ")
        return (head, identity(int(heap))) if heap.isdigit() else name

    def field(one: Field) -> Any:
        return value(one.type), one.mutable

    if isinstance(type_, FuncType):
        return "func", tuple(map(value, type_.params)), tuple(map(value, type_.results))
    if isinstance(type_, StructType):
        return "struct", tuple(map(field, type_.fields))
    return "array", field(type_.field)
