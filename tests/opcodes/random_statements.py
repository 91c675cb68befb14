"""Random WebAssembly statements: blocks, branches, stores, and what ends a program early."""

from __future__ import annotations

from harness.opcodes.leb import signed, unsigned
from tests.opcodes.random_expressions import (
    _DOING,
    FIRST_FUNCTION,
    FUEL,
    PROC_EXIT,
    TYPE_BYTES,
    TYPES,
    VALUES,
    vector,
)
from tests.opcodes.random_references import References


class Statements(References):
    def block(self, results: tuple[str, ...], depth: int) -> None:
        """A block, loop or if that leaves these results, perhaps with parameters."""
        kind = self.random.choice(("block", "loop", "if"))
        params = tuple(self.random.choice(TYPES) for _ in range(self.random.choice((0, 0, 1, 2))))
        for type_ in params:
            self.expression(type_, depth - 1)
        if kind == "if":
            self.expression("i32", depth - 1)
        if not params and len(results) < 2 and self.chance(0.7):
            type_bytes = bytes([TYPE_BYTES[results[0]] if results else 0x40])
        else:
            type_bytes = signed(self.type_index((params, results)))
        self.op(kind, type_bytes)
        self.labels.append(params if kind == "loop" else results)
        self.arm(params, results, depth, is_loop=kind == "loop")
        if kind == "if" and (params != results or self.chance(0.5)):
            self.op("else")
            self.arm(params, results, depth, is_loop=False)
        self.labels.pop()
        self.op("end")

    def arm(self, params: tuple[str, ...], results: tuple[str, ...], depth: int, *, is_loop: bool) -> None:
        for type_ in reversed(params):
            places = [number for number, local in enumerate(self.locals) if local == type_]
            if places and self.chance(0.7):
                self.op("local.set", unsigned(self.random.choice(places)))
            else:
                self.op("drop")
        if is_loop:
            self.use_fuel()
        for _ in range(self.random.randint(0, 2)):
            self.statement(depth - 1)
        if is_loop and self.chance(0.7):
            self.branch_if(0, depth)
        for type_ in results:
            self.expression(type_, depth - 1)

    def use_fuel(self) -> None:
        self.op("global.get", unsigned(FUEL))
        self.op("i32.eqz")
        self.op("if", b"\x40")
        if self.chance(0.7):
            self.i32(self.random.randrange(100))
            self.op("call", unsigned(PROC_EXIT))
        self.op("unreachable")
        self.op("end")
        self.op("global.get", unsigned(FUEL))
        self.i32(1)
        self.op("i32.sub")
        self.op("global.set", unsigned(FUEL))

    def branch_values(self, label: int, depth: int) -> tuple[str, ...]:
        types = self.labels[-1 - label]
        for type_ in types:
            self.expression(type_, depth - 1)
        return types

    def branch_if(self, label: int, depth: int) -> None:
        junk = self.chance(0.3)
        if junk:
            self.constant("i64")
        types = self.branch_values(label, depth)
        self.expression("i32", depth - 1)
        self.op("br_if", unsigned(label))
        for _ in range(len(types) + junk):
            self.op("drop")

    def statement(self, depth: int) -> None:
        """Something that leaves the stack as it was."""
        if depth <= 0 or self.left <= 0:
            self.op("nop")
            return
        choice = self.random.random()
        if choice < 0.2:
            type_ = self.random.choice(TYPES)
            self.expression(type_, depth)
            places = [number for number, local in enumerate(self.locals) if local == type_]
            if places and self.chance(0.7):
                self.op("local.set", unsigned(self.random.choice(places)))
            else:
                self.op("global.set", unsigned(1 + TYPES.index(type_)))
        elif choice < 0.36:
            self.reference_statement(depth)
        elif choice < 0.48:
            self.operation(self.choose(_DOING), depth)
        elif choice < 0.6:
            results = tuple(self.random.choice(TYPES) for _ in range(self.random.choice((0, 0, 1, 2))))
            self.block(results, depth)
            for _ in results:
                self.op("drop")
        elif choice < 0.7:
            results = self.random.choice(self.signatures)[1]
            self.call(results, depth)
            for _ in results:
                self.op("drop")
        elif choice < 0.8:
            self.branch_if(self.random.randrange(len(self.labels)), depth)
        elif choice < 0.87:
            self.leave(depth)
        elif choice < 0.92:
            kind = self.random.choice((0, 1))
            self.index(4, depth)
            self.expression(TYPES[5 + kind], depth - 1)
            if self.chance(0.5):
                self.op("table.set", unsigned(kind))
            else:
                self.index(4, depth)
                self.op("table.fill", unsigned(kind))
        else:
            self.expression(self.random.choice(VALUES), depth)
            self.op("drop")

    def leave(self, depth: int) -> None:
        """A block that something unconditional leaves, with code after it that nothing reaches."""
        self.op("block", b"\x40")
        self.labels.append(())
        label = self.random.randrange(len(self.labels))
        if self.chance(0.3):
            self.constant("f32")
        kind = self.random.random()
        if kind < 0.5:
            self.branch_values(label, depth)
            self.op("br", unsigned(label))
        elif kind < 0.7:
            same = [n for n in range(len(self.labels)) if self.labels[-1 - n] == self.labels[-1 - label]]
            self.branch_values(label, depth)
            self.index(4, depth)
            targets = [self.random.choice(same) for _ in range(self.random.randint(0, 4))]
            self.op("br_table", vector([unsigned(n) for n in targets]), unsigned(label))
        elif kind < 0.8:
            for type_ in self.results:
                self.expression(type_, depth - 1)
            self.op("return")
        elif kind < 0.83:
            self.throw(depth)
        elif kind < 0.95:
            fitting = [n for n, (_, made) in enumerate(self.signatures) if made == self.results]
            if fitting:
                number = self.random.choice(fitting)
                for type_ in self.signatures[number][0]:
                    self.expression(type_, depth - 1)
                if self.chance(0.2):
                    self.op("ref.func", unsigned(FIRST_FUNCTION + number))
                    self.op("return_call_ref", unsigned(self.type_index(self.signatures[number])))
                elif self.chance(0.5):
                    self.op("return_call", unsigned(FIRST_FUNCTION + number))
                else:
                    self.table_place(number)
                    self.op("return_call_indirect", unsigned(self.type_index(self.signatures[number])), b"\0")
            else:
                self.op("br", unsigned(0))
        elif self.chance(0.3):
            self.op("unreachable")
        else:
            self.op("br", unsigned(0))
        if self.chance(0.3):  # operands come from nowhere here
            self.op("i32.add")
            self.op("drop")
        if self.chance(0.3):
            self.statement(depth - 1)
        self.labels.pop()
        self.op("end")
