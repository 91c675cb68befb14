"""Control instructions as steps: blocks, branches, calls, exceptions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from harness.opcodes.objects import cast_test
from harness.opcodes.preparation import Label, Preparation
from harness.opcodes.step_kinds import (
    BR,
    BR_IF,
    BR_ON,
    BR_TABLE,
    CALL,
    CALL_INDIRECT,
    CALL_REF,
    ELSE,
    IF,
    MARK,
    RETURN,
    RETURN_CALL,
    RETURN_CALL_INDIRECT,
    RETURN_CALL_REF,
    THROW,
    THROW_REF,
    UNREACHABLE,
    Jump,
)

Immediates = tuple[Any, ...]


def _structured(work: Preparation, name: str, immediates: Immediates) -> None:
    type_ = work.block_type(immediates[0])
    params, results = len(type_.params), len(type_.results)
    if name == "if":
        work.height -= 1
    label = Label(name, params if name == "loop" else results, work.height - params, results)
    if name == "try_table":  # its clauses count labels from outside the block
        tags = work.instance.tags
        label.clauses = tuple(
            (None if tag is None else tags[tag], kind in (1, 3), work.labels[-1 - depth])
            for kind, tag, depth in immediates[1]
        )
    work.add(IF if name == "if" else MARK, name)
    label.start = len(work.steps)
    if name == "loop":
        label.target = len(work.steps)
    label.false_at, label.params = len(work.steps) - 1, params
    work.labels.append(label)


def _else(work: Preparation, name: str, immediates: Immediates) -> None:
    work.add(ELSE, name, None, work.labels[-1])
    work.begin_else()


def _end(work: Preparation, name: str, immediates: Immediates) -> None:
    work.leave(reached=True)


def _branch(work: Preparation, name: str, immediates: Immediates) -> None:
    if name == "br":
        work.add(BR, name, None, work.branch(immediates[0]))
        work.dead = 1
    elif name == "br_if":
        work.height -= 1
        work.add(BR_IF, name, None, work.branch(immediates[0]))
    else:
        work.height -= 1
        work.add(BR_TABLE, name, None, [work.branch(depth) for depth in immediates[0]])
        work.dead = 1


def _branch_on(work: Preparation, name: str, immediates: Immediates) -> None:
    """x: whether the reference stays on the stack where the branch is taken, and where it is not; the jump."""
    if name == "br_on_null":
        work.height -= 1
        work.add(BR_ON, name, _is_null, (False, True, work.branch(immediates[0])))
        work.height += 1
    elif name == "br_on_non_null":
        work.add(BR_ON, name, _is_not_null, (True, False, work.branch(immediates[0])))
        work.height -= 1
    else:
        nulls, depth, _, heap = immediates
        test = cast_test(work.instance.types, heap, bool(nulls & 2))
        if name == "br_on_cast_fail":
            work.add(BR_ON, name, lambda value: not test(value), (True, True, work.branch(depth)))
        else:
            work.add(BR_ON, name, test, (True, True, work.branch(depth)))


def _is_null(value: Any) -> bool:
    return value is None


def _is_not_null(value: Any) -> bool:
    return value is not None


def _return(work: Preparation, name: str, immediates: Immediates) -> None:
    if name == "unreachable":
        work.add(UNREACHABLE, name)
    else:
        arity = len(work.type.results)
        work.add(RETURN, name, None, Jump(0, arity, work.height - arity))
    work.dead = 1


def _throw(work: Preparation, name: str, immediates: Immediates) -> None:
    if name == "throw":
        work.add(THROW, name, None, work.instance.tags[immediates[0]])
    else:
        work.add(THROW_REF, name)
    work.dead = 1


def _call(work: Preparation, name: str, immediates: Immediates) -> None:
    instance = work.instance
    target: Any = None
    if name.endswith("indirect"):
        type_ = instance.module.func_type(immediates[0])
        work.height -= 1
        target = (instance.types.numbers[immediates[0]], instance.tables[immediates[1]].items)
    elif name.endswith("ref"):
        type_ = instance.module.func_type(immediates[0])
        work.height -= 1
    else:
        target = instance.functions[immediates[0]]
        type_ = target.type
    kind = _CALLS[name]
    if name.startswith("return"):
        work.add(kind, name, work.height - len(type_.params), target)
        work.dead = 1
    else:
        work.add(kind, name, None, target)
        work.height += len(type_.results) - len(type_.params)


_CALLS = {
    "call": CALL,
    "call_indirect": CALL_INDIRECT,
    "call_ref": CALL_REF,
    "return_call": RETURN_CALL,
    "return_call_indirect": RETURN_CALL_INDIRECT,
    "return_call_ref": RETURN_CALL_REF,
}
# Name of each control instruction -> what adds its steps.
CONTROL: dict[str, Callable[[Preparation, str, Immediates], None]] = {
    **dict.fromkeys(("block", "loop", "if", "try_table"), _structured),
    "else": _else,
    "end": _end,
    **dict.fromkeys(("br", "br_if", "br_table"), _branch),
    **dict.fromkeys(("br_on_null", "br_on_non_null", "br_on_cast", "br_on_cast_fail"), _branch_on),
    **dict.fromkeys(("return", "unreachable"), _return),
    **dict.fromkeys(("throw", "throw_ref"), _throw),
    **dict.fromkeys(_CALLS, _call),
}
