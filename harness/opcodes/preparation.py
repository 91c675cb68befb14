"""A function body on the way to its steps: the labels that are open and the height of the stack."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from harness.opcodes.instance import Instance
from harness.opcodes.module_parts import FuncType
from harness.opcodes.step_kinds import (
    BR,
    BR_IF,
    BR_ON,
    BR_TABLE,
    ELSE,
    END_FUNCTION,
    IF,
    MARK,
    NUMBERS,
    RETURN,
    Body,
    Clause,
    Guarded,
    Jump,
)

_OPENING = ("block", "loop", "if", "try_table")


@dataclass(slots=True, eq=False)
class Label:
    opcode: str  # that opened it
    arity: int  # values a branch carries
    height: int  # of the stack below the block's parameters
    results: int
    target: int = -1
    false_at: int = -1  # step of the `if` still to be told where a false condition goes
    params: int = 0
    start: int = -1  # of a `try_table`: its first step
    clauses: tuple[tuple[Any, bool, Label], ...] = ()  # of a `try_table`: tag, with reference, where to


@dataclass(slots=True)
class Preparation:
    instance: Instance
    type: FuncType
    steps: list[Any] = field(default_factory=list)
    labels: list[Label] = field(default_factory=list)
    guarded: list[tuple[int, int, Label]] = field(default_factory=list)
    height: int = 0
    # How many blocks are open in code that nothing reaches; the first is the unreachable rest itself.
    dead: int = 0

    def __post_init__(self) -> None:
        results = len(self.type.results)
        self.labels.append(Label("function", results, 0, results))

    def add(self, kind: int, name: str, run: Any = None, x: Any = None) -> None:
        self.steps.append((kind, NUMBERS[name], run, x))

    def branch(self, depth: int) -> tuple[Label, int, int]:
        """Where a branch goes, how many values it carries and how many below them it drops."""
        label = self.labels[-1 - depth]
        return label, label.arity, self.height - label.arity - label.height

    def block_type(self, immediate: FuncType | int) -> FuncType:
        return self.instance.module.func_type(immediate) if isinstance(immediate, int) else immediate

    def skip(self, name: str) -> None:
        """Pass over an instruction nothing reaches, up to the `else` or `end` that ends the unreachable code."""
        if name in _OPENING:
            self.dead += 1
        elif name == "else" and self.dead == 1:
            self.dead = 0
            self.begin_else()
        elif name == "end":
            self.dead -= 1
            if not self.dead:
                self.leave(reached=False)

    def begin_else(self) -> None:
        label = self.labels[-1]
        label.opcode = "else"
        self._tell_if(label)
        self.height = label.height + label.params

    def leave(self, *, reached: bool) -> None:
        """At the `end` of a block."""
        label = self.labels.pop()
        if label.opcode == "function":
            if reached:
                self.add(END_FUNCTION, "end")
            label.target = len(self.steps)  # a branch to the function's label returns
            self.steps.append((RETURN, -1, None, Jump(0, label.results, 0)))
            return
        if label.opcode == "try_table":
            self.guarded.append((label.start, len(self.steps), label))
        if reached:
            self.add(MARK, "end")
        if label.opcode != "loop":
            label.target = len(self.steps)
        if label.opcode == "if":
            self._tell_if(label)
        self.height = label.height + label.results

    def _tell_if(self, label: Label) -> None:
        number = self.steps[label.false_at][1]
        self.steps[label.false_at] = (IF, number, None, len(self.steps))

    def finished(self) -> Body:
        """The steps, every branch with its target."""
        body = Body()
        for kind, number, run, x in self.steps:
            if kind in (BR, BR_IF):
                x = _jump(*x)
            elif kind == BR_TABLE:
                x = tuple(_jump(*entry) for entry in x)
            elif kind == BR_ON:
                x = (*x[:2], _jump(*x[2]))
            elif kind == ELSE:
                x = x.target
            body.append((kind, number, run, x))
        for start, end, label in self.guarded:
            clauses = (Clause(tag, reference, to.target, to.height) for tag, reference, to in label.clauses)
            body.guarded.append(Guarded(start, end, tuple(clauses)))
        return body


def _jump(label: Label, arity: int, drop: int) -> Jump:
    return Jump(label.target, arity, drop)
