"""A function body made ready to interpret: branches know where they go and what they leave on the stack.

The module must be valid: types are not checked here. Code that nothing can reach is left out.
"""

from __future__ import annotations

from typing import Any

from harness.opcodes.atomics import atomic_operation
from harness.opcodes.bulk import operation
from harness.opcodes.control_steps import CONTROL
from harness.opcodes.instance import Instance
from harness.opcodes.instruction_set import Opcode
from harness.opcodes.memory_access import LOADS, STORES, load_lane, store_lane
from harness.opcodes.module_parts import StructType
from harness.opcodes.numeric import float_of
from harness.opcodes.objects import object_operation
from harness.opcodes.preparation import Preparation
from harness.opcodes.scalars import NUMERIC
from harness.opcodes.simd import SIMD, lane_operation
from harness.opcodes.step_kinds import (
    BINARY,
    CONST,
    DROP,
    GET,
    GLOBAL_GET,
    GLOBAL_SET,
    LOAD,
    LOAD_LANE,
    MARK,
    SELECT,
    SET,
    STACK,
    STORE,
    TEE,
    TERNARY,
    UNARY,
    Body,
)
from harness.opcodes.wide_arithmetic import WIDE

_VARIABLES = {
    "local.get": (GET, 1),
    "local.set": (SET, -1),
    "local.tee": (TEE, 0),
    "global.get": (GLOBAL_GET, 1),
    "global.set": (GLOBAL_SET, -1),
}
# Instructions without a fixed signature -> by how much they raise the stack.
_HEIGHTS = {
    "ref.null": 1, "ref.func": 1, "ref.is_null": 0, "table.get": 0, "table.set": -2, "table.grow": -1,
    "table.fill": -3, "ref.eq": -1, "ref.as_non_null": 0, "ref.test": 0, "ref.cast": 0, "ref.i31": 0,
    "i31.get_s": 0, "i31.get_u": 0, "any.convert_extern": 0, "extern.convert_any": 0, "struct.new_default": 1,
    "struct.get": 0, "struct.get_s": 0, "struct.get_u": 0, "struct.set": -2, "array.new": -1,
    "array.new_default": 0, "array.new_data": -1, "array.new_elem": -1, "array.get": -1, "array.get_s": -1,
    "array.get_u": -1, "array.set": -3, "array.len": 0, "array.fill": -4, "array.copy": -5, "array.init_data": -4,
    "array.init_elem": -4,
}  # fmt: skip


def prepare(instance: Instance, index: int) -> Body:
    """The steps of the index-th function that the instance's module defines."""
    module = instance.module
    work = Preparation(instance, module.func_type(module.functions[index]))
    for _, opcode, immediates in module.instructions(index):
        control = CONTROL.get(opcode.name)
        if work.dead:
            work.skip(opcode.name)
        elif control is not None:
            control(work, opcode.name, immediates)
        else:
            _prepare_one(work, opcode, immediates)
    return work.finished()


def _prepare_one(work: Preparation, opcode: Opcode, immediates: tuple[Any, ...]) -> None:
    name, instance = opcode.name, work.instance
    if opcode.signature == "*":
        _by_context(work, opcode, immediates)
        return
    operands, _, results = opcode.signature.partition(":")
    work.height += len(results) - len(operands)
    if name in NUMERIC or name in SIMD:
        run = NUMERIC.get(name) or SIMD[name]
        work.add((UNARY, BINARY, TERNARY)[len(operands) - 1], name, run)
    elif name in WIDE:
        work.add(STACK, name, WIDE[name])
    elif name == "nop" or name == "atomic.fence":
        work.add(MARK, name)
    elif ".atomic." in name:
        _, memory, offset = immediates[0]
        work.add(STACK, name, *atomic_operation(name, instance.memories[memory], offset))
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


def _by_context(work: Preparation, opcode: Opcode, immediates: tuple[Any, ...]) -> None:
    """Instructions whose operands have types of their context."""
    name, instance = opcode.name, work.instance
    if name in _VARIABLES:
        kind, rise = _VARIABLES[name]
        work.add(kind, name, None, immediates[0] if name[0] == "l" else instance.globals[immediates[0]])
        work.height += rise
    elif name == "drop":
        work.add(DROP, name)
        work.height -= 1
    elif name == "select":
        work.add(SELECT, name)
        work.height -= 2
    elif name.startswith("table.") or name in ("ref.null", "ref.func", "ref.is_null"):
        work.add(STACK, name, *operation(instance, name, immediates))
        work.height += _HEIGHTS[name]
    else:
        run = object_operation(
            instance.types, opcode.code, name, immediates, instance.datas, instance.elements
        )
        work.add(STACK, name, *run)
        if name == "struct.new":
            type_ = instance.types.types[immediates[0]]
            work.height += 1 - (len(type_.fields) if isinstance(type_, StructType) else 0)
        elif name == "array.new_fixed":
            work.height += 1 - immediates[1]
        else:
            work.height += _HEIGHTS[name]
