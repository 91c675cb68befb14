"""What a module owns while it runs, and the interpreter keeps: memories, tables and functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from harness.errors import ModuleError
from harness.opcodes.memory_access import PAGE
from harness.opcodes.module_parts import FuncType, Limits, TableType
from harness.spelling import several

MEMORY_LIMIT = 1 << 30  # bytes
TABLE_LIMIT = 10_000_000


class Beyond(ModuleError):
    """The program needs what the interpreter does not have."""

    def __init__(self, need: str) -> None:
        super().__init__(f"the program needs {need}")


class Memory:
    def __init__(self, limits: Limits) -> None:
        self.data = bytearray()
        self.maximum = 1 << (48 if limits.is_64 else 16) if limits.maximum is None else limits.maximum
        self.mask = 0xFFFFFFFFFFFFFFFF if limits.is_64 else 0xFFFFFFFF
        self.shared = limits.shared
        self.grow(limits.minimum)

    def grow(self, pages: int) -> int:
        """Pages before, or -1 (as an unsigned number) where the module says there may be no more."""
        before = len(self.data) // PAGE
        if before + pages > self.maximum:
            return self.mask
        if (before + pages) * PAGE > MEMORY_LIMIT:
            raise Beyond(
                f"a memory of {several(before + pages, 'page')}, the interpreter has {MEMORY_LIMIT // PAGE}"
            )
        self.data.extend(bytes(pages * PAGE))
        return before


class Table:
    def __init__(self, type_: TableType, first: Any) -> None:
        limits = type_.limits
        self.items: list[Any] = []
        self.mask = 0xFFFFFFFFFFFFFFFF if limits.is_64 else 0xFFFFFFFF
        self.maximum = self.mask if limits.maximum is None else limits.maximum
        self.grow(limits.minimum, first)

    def grow(self, size: int, value: Any) -> int:
        """Elements before, or -1 (as an unsigned number) where the module says there may be no more."""
        before = len(self.items)
        if before + size > self.maximum:
            return self.mask
        if before + size > TABLE_LIMIT:
            raise Beyond(f"a table of {before + size}, the interpreter has {TABLE_LIMIT}")
        self.items.extend([value] * size)
        return before


class Tag:
    """What kind of exception it is; two tags are the same where they are one object."""

    __slots__ = ("values",)

    def __init__(self, values: int) -> None:
        self.values = values  # how many an exception carries


class Function:
    """The index-th function the module defines, or one of the host where `host` is set.

    `lineage` are the numbers (`type_identity.py`) of all types it has; `body` is None until the function is first
    called and made ready (`steps.py`); `zeros` are the first values of its declared locals.
    """

    __slots__ = ("body", "host", "index", "lineage", "params", "type", "zeros")

    def __init__(
        self,
        type_: FuncType,
        lineage: frozenset[int],
        index: int,
        locals_: tuple[tuple[int, str], ...] = (),
        host: Callable[..., Any] | None = None,
    ) -> None:
        self.type, self.lineage, self.index, self.host = type_, lineage, index, host
        self.params = len(type_.params)
        self.body: Any = None
        self.zeros: list[Any] = []
        for times, name in locals_:
            if times > 50_000:
                raise Beyond(
                    f"a function with {several(times, 'local')} of one type, the interpreter has 50000"
                )
            self.zeros += [zero(name)] * times


def zero(type_: str) -> Any:
    """The first value of a local or field of this type."""
    if type_ == "v128":
        return bytes(16)
    if type_.startswith("ref"):
        return None
    return 0.0 if type_[0] == "f" else 0
