"""What a module owns while it runs, and the interpreter keeps: memories, tables and functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from harness.errors import ModuleError
from harness.opcodes.memory_access import PAGE
from harness.opcodes.module_parts import FuncType, Limits, TableType

MEMORY_LIMIT = 1 << 30  # bytes: `memory.grow` beyond this gives -1
TABLE_LIMIT = 10_000_000


class Memory:
    def __init__(self, limits: Limits) -> None:
        if limits.minimum * PAGE > MEMORY_LIMIT:
            raise ModuleError(f"the module wants {limits.minimum} pages of memory, the interpreter has 16384")
        self.data = bytearray(limits.minimum * PAGE)
        most = 1 << 16 if limits.maximum is None else limits.maximum
        self.maximum = min(most * PAGE, MEMORY_LIMIT)
        self.mask = 0xFFFFFFFFFFFFFFFF if limits.is_64 else 0xFFFFFFFF

    def grow(self, pages: int) -> int:
        """Pages before, or -1 (as an unsigned number) where there is no more."""
        before = len(self.data)
        if before + pages * PAGE > self.maximum:
            return self.mask
        self.data.extend(bytes(pages * PAGE))
        return before // PAGE


class Table:
    def __init__(self, type_: TableType) -> None:
        if type_.limits.minimum > TABLE_LIMIT:
            raise ModuleError(
                f"the module wants a table of {type_.limits.minimum}, the interpreter has {TABLE_LIMIT}"
            )
        self.items: list[Any] = [None] * type_.limits.minimum
        most = TABLE_LIMIT if type_.limits.maximum is None else type_.limits.maximum
        self.maximum = min(most, TABLE_LIMIT)


class Function:
    """The index-th function the module defines, or one of the host where `host` is set.

    `steps` is None until the function is first called and its body made ready (`steps.py`); `zeros` are the
    first values of its declared locals.
    """

    __slots__ = ("host", "index", "params", "steps", "type", "zeros")

    def __init__(
        self,
        type_: FuncType,
        index: int,
        locals_: tuple[tuple[int, str], ...] = (),
        host: Callable[..., Any] | None = None,
    ) -> None:
        self.type, self.index, self.host = type_, index, host
        self.params = len(type_.params)
        self.steps: list[Any] | None = None
        self.zeros: list[Any] = []
        for times, name in locals_:
            if times > 50_000:
                raise ModuleError(f"function {index} declares {times} locals of one type, more than 50000")
            self.zeros += [_zero(name)] * times


def _zero(type_: str) -> Any:
    if type_ == "v128":
        return bytes(16)
    if type_.endswith("ref"):
        return None
    return 0.0 if type_[0] == "f" else 0
