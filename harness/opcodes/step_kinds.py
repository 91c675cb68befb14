"""What a function body becomes before it is interpreted: steps, jumps, and where exceptions are caught.

A step is a tuple (kind, number, run, x): `kind` says how the interpreter's loop treats it, `number` is where it
is counted (-1: a step of the interpreter's own, not an opcode), `run` is the function that computes it and `x`
its immediate.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from harness.opcodes.instruction_set import opcode_names

(
    GET, CONST, BINARY, LOAD, SET, TEE, BR_IF, UNARY, STORE, MARK, BR, IF, ELSE, CALL, END_FUNCTION, GLOBAL_GET,
    GLOBAL_SET, DROP, SELECT, TERNARY, BR_TABLE, RETURN, CALL_INDIRECT, CALL_REF, RETURN_CALL,
    RETURN_CALL_INDIRECT, RETURN_CALL_REF, UNREACHABLE, LOAD_LANE, STACK, BR_ON, THROW, THROW_REF,
) = range(33)  # fmt: skip

NAMES = opcode_names()
NUMBERS = {name: number for number, name in enumerate(NAMES)}
Step = tuple[int, int, Any, Any]


class Jump(NamedTuple):
    target: int  # index of the next step
    arity: int  # how many values on top of the stack are kept
    drop: int  # how many below them are dropped


class Clause(NamedTuple):
    tag: Any  # a `store.Tag`; None catches every exception
    with_reference: bool  # whether the exception itself is handed on, after its values
    target: int  # index of the next step
    height: int  # of the function's part of the stack, below what is handed on


class Guarded(NamedTuple):
    """Steps from `start` until before `end`, an exception out of which goes to the first clause that catches it."""

    start: int
    end: int
    clauses: tuple[Clause, ...]


class Body(list[Step]):
    """The steps of a function."""

    def __init__(self) -> None:
        super().__init__()
        self.guarded: list[Guarded] = []  # inner ones before those around them
