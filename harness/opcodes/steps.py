"""A function body made ready to interpret: branches know where they go and what they leave on the stack.

Each instruction becomes a tuple (kind, number, run, x): `kind` says how the interpreter's loop treats it,
`number` is where it is counted (-1: a step of the interpreter's own, not an opcode), `run` is the function
that computes it and `x` its immediate. The module must be valid: types are not checked here. Code that
nothing can reach is left out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from harness.opcodes.bulk import operation
from harness.opcodes.instance import Instance
from harness.opcodes.instruction_set import opcode_names
from harness.opcodes.memory_access import LOADS, STORES, load_lane, store_lane
from harness.opcodes.module_parts import FuncType, Instruction
from harness.opcodes.numeric import NUMERIC, float_of
from harness.opcodes.simd import SIMD, lane_operation

(
    GET, CONST, BINARY, LOAD, SET, TEE, BR_IF, UNARY, STORE, MARK, BR, IF, ELSE, CALL, END_FUNCTION, GLOBAL_GET,
    GLOBAL_SET, DROP, SELECT, TERNARY, BR_TABLE, RETURN, CALL_INDIRECT, RETURN_CALL, RETURN_CALL_INDIRECT,
    UNREACHABLE, LOAD_LANE, STACK,
) = range(28)  # fmt: skip

NAMES = opcode_names()
NUMBERS = {name: number for number, name in enumerate(NAMES)}
Step = tuple[int, int, Any, Any]


class Jump(NamedTuple):
    target: int  # index of the next step
    arity: int  # how many values on top of the stack are kept
    drop: int  # how many below them are dropped


@dataclass(slots=True, eq=False)
class _Label:
    opcode: str  # that opened it
    arity: int  # values a branch carries
    height: int  # of the stack below the block's parameters
    results: int
    target: int = -1
    false_at: int = -1  # step of the `if` still to be told where a false condition goes
    params: int = 0


@dataclass(slots=True)
class _Preparation:
    instance: Instance
    type: FuncType
    steps: list[Any] = field(default_factory=list)
    labels: list[_Label] = field(default_factory=list)
    height: int = 0
    dead: int = (
        0  # how many blocks opened in code that nothing reaches; the first is the unreachable rest itself
    )

    def add(self, kind: int, name: str, run: Any = None, x: Any = None) -> None:
        self.steps.append((kind, NUMBERS[name], run, x))

    def branch(self, depth: int) -> tuple[_Label, int, int]:
        label = self.labels[-1 - depth]
        return label, label.arity, self.height - label.arity - label.height

    def block_type(self, immediate: FuncType | int) -> FuncType:
        return self.instance.module.types[immediate] if isinstance(immediate, int) else immediate


def prepare(instance: Instance, index: int) -> list[Step]:
    """The steps of the index-th function that the instance's module defines."""
    module = instance.module
    type_ = module.types[module.functions[index]]
    work = _Preparation(instance, type_)
    work.labels.append(_Label("function", len(type_.results), 0, len(type_.results)))
    for instruction in module.instructions(index):
        if work.dead:
            _skip(work, instruction)
        else:
            _prepare_one(work, instruction)
    steps: list[Step] = []
    for kind, number, run, x in work.steps:
        if kind in (BR, BR_IF):
            x = _jump(*x)
        elif kind == BR_TABLE:
            x = tuple(_jump(*entry) for entry in x)
        elif kind in (IF, ELSE) and isinstance(x, _Label):
            x = x.target
        steps.append((kind, number, run, x))
    return steps


def _jump(label: _Label, arity: int, drop: int) -> Jump:
    return Jump(label.target, arity, drop)


def _skip(work: _Preparation, instruction: Instruction) -> None:
    """Pass over an instruction that cannot be reached, up to the `else` or `end` that ends the unreachable
    code.
    """
    name = instruction.opcode.name
    if name in ("block", "loop", "if"):
        work.dead += 1
    elif name == "else" and work.dead == 1:
        work.dead = 0
        label = work.labels[-1]
        label.opcode = "else"
        number, x = work.steps[label.false_at][1], len(work.steps)
        work.steps[label.false_at] = (IF, number, None, x)
        work.height = label.height + label.params
    elif name == "end":
        work.dead -= 1
        if not work.dead:
            _leave(work, reached=False)


def _leave(work: _Preparation, *, reached: bool) -> None:
    """At the `end` of a block."""
    label = work.labels.pop()
    if label.opcode == "function":
        if reached:
            work.add(END_FUNCTION, "end")
        label.target = len(work.steps)  # a branch to the function's label returns
        work.steps.append((RETURN, -1, None, Jump(0, label.results, 0)))
        return
    if reached:
        work.add(MARK, "end")
    if label.opcode != "loop":
        label.target = len(work.steps)
    if label.opcode == "if":
        number = work.steps[label.false_at][1]
        work.steps[label.false_at] = (IF, number, None, len(work.steps))
    work.height = label.height + label.results


def _prepare_one(work: _Preparation, instruction: Instruction) -> None:
    opcode, immediates = instruction.opcode, instruction.immediates
    name = opcode.name
    control = _CONTROL.get(name)
    if control is not None:
        control(work, name, immediates)
        return
    instance = work.instance
    operands, _, results = opcode.signature.partition(":")
    work.height += len(results) - len(operands)
    if name in NUMERIC or name in SIMD:
        run = NUMERIC.get(name) or SIMD[name]
        work.add((UNARY, BINARY, TERNARY)[len(operands) - 1], name, run)
    elif name in LOADS:
        _, memory, offset = immediates[0]
        work.add(LOAD, name, LOADS[name], (instance.memories[memory].data, offset))
    elif name in STORES:
        _, memory, offset = immediates[0]
        work.add(STORE, name, STORES[name], (instance.memories[memory].data, offset))
    elif name.endswith("_lane") and "memarg" in opcode.immediates:
        (_, memory, offset), lane = immediates
        size = int("".join(filter(str.isdigit, name[5:]))) // 8
        place = (instance.memories[memory].data, offset)
        if "load" in name:
            work.add(LOAD_LANE, name, load_lane(size, lane), place)
        else:
            work.add(STORE, name, store_lane(size, lane), place)
    elif name.endswith(".const"):
        value = immediates[0]
        if name[0] == "f":
            value = float_of(value, int(name[1:3]))
        elif name[0] == "i":
            value &= (1 << int(name[1:3])) - 1
        work.add(CONST, name, None, value)
    elif opcode.category == "simd":
        run = lane_operation(name, immediates[0])
        work.add(BINARY if len(operands) == 2 else UNARY, name, run)
    else:
        work.add(STACK, name, *operation(instance, name, immediates))


def _structured(work: _Preparation, name: str, immediates: tuple[Any, ...]) -> None:
    type_ = work.block_type(immediates[0])
    params, results = len(type_.params), len(type_.results)
    if name == "if":
        work.height -= 1
    label = _Label(name, params if name == "loop" else results, work.height - params, results)
    work.add(IF if name == "if" else MARK, name)
    if name == "loop":
        label.target = len(work.steps)
    label.false_at, label.params = len(work.steps) - 1, params
    work.labels.append(label)


def _else(work: _Preparation, name: str, immediates: tuple[Any, ...]) -> None:
    label = work.labels[-1]
    label.opcode = "else"
    work.add(ELSE, name, None, label)
    number = work.steps[label.false_at][1]
    work.steps[label.false_at] = (IF, number, None, len(work.steps))
    work.height = label.height + label.params


def _end(work: _Preparation, name: str, immediates: tuple[Any, ...]) -> None:
    _leave(work, reached=True)


def _branch(work: _Preparation, name: str, immediates: tuple[Any, ...]) -> None:
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


def _return(work: _Preparation, name: str, immediates: tuple[Any, ...]) -> None:
    if name == "unreachable":
        work.add(UNREACHABLE, name)
    else:
        arity = len(work.type.results)
        work.add(RETURN, name, None, Jump(0, arity, work.height - arity))
    work.dead = 1


def _call(work: _Preparation, name: str, immediates: tuple[Any, ...]) -> None:
    if name.endswith("indirect"):
        type_ = work.instance.module.types[immediates[0]]
        work.height -= 1
        target: Any = (type_, work.instance.tables[immediates[1]].items)
    else:
        target = work.instance.functions[immediates[0]]
        type_ = target.type
    if name.startswith("return"):
        kind = RETURN_CALL_INDIRECT if name.endswith("indirect") else RETURN_CALL
        work.add(kind, name, work.height - len(type_.params), target)
        work.dead = 1
    else:
        work.add(CALL_INDIRECT if name.endswith("indirect") else CALL, name, None, target)
        work.height += len(type_.results) - len(type_.params)


def _variable(work: _Preparation, name: str, immediates: tuple[Any, ...]) -> None:
    kind = {
        "local.get": GET,
        "local.set": SET,
        "local.tee": TEE,
        "global.get": GLOBAL_GET,
        "global.set": GLOBAL_SET,
    }
    x = immediates[0] if name[0] == "l" else work.instance.globals[immediates[0]]
    work.add(kind[name], name, None, x)
    work.height += {"get": 1, "set": -1, "tee": 0}[name[-3:]]


def _parametric(work: _Preparation, name: str, immediates: tuple[Any, ...]) -> None:
    if name == "nop":
        work.add(MARK, name)
    elif name == "drop":
        work.add(DROP, name)
        work.height -= 1
    else:
        work.add(SELECT, name)
        work.height -= 2


def _reference(work: _Preparation, name: str, immediates: tuple[Any, ...]) -> None:
    work.height += {
        "ref.null": 1, "ref.func": 1, "ref.is_null": 0, "table.get": 0, "table.set": -2, "table.grow": -1,
        "table.fill": -3,
    }[name]  # fmt: skip
    work.add(STACK, name, *operation(work.instance, name, immediates))


_CONTROL: dict[str, Callable[[_Preparation, str, tuple[Any, ...]], None]] = {
    **dict.fromkeys(("block", "loop", "if"), _structured),
    "else": _else,
    "end": _end,
    **dict.fromkeys(("br", "br_if", "br_table"), _branch),
    **dict.fromkeys(("return", "unreachable"), _return),
    **dict.fromkeys(("call", "call_indirect", "return_call", "return_call_indirect"), _call),
    **dict.fromkeys(("local.get", "local.set", "local.tee", "global.get", "global.set"), _variable),
    **dict.fromkeys(("nop", "drop", "select"), _parametric),
    **dict.fromkeys(
        ("ref.null", "ref.func", "ref.is_null", "table.get", "table.set", "table.grow", "table.fill"),
        _reference,
    ),
}
