"""Which instructions can trap for which reason, in the words of the standard's reference interpreter."""

from __future__ import annotations

from harness.opcodes.instruction_set import OPCODES, Opcode

UNREACHABLE = "unreachable"
OUT_OF_MEMORY = "out of bounds memory access"
OUT_OF_TABLE = "out of bounds table access"
NO_ELEMENT = "uninitialized element"
OTHER_TYPE = "indirect call type mismatch"
OVERFLOW = "integer overflow"
DIVIDE_BY_ZERO = "integer divide by zero"
NOT_AN_INTEGER = "invalid conversion to integer"
STACK_EXHAUSTED = "call stack exhausted"
NULL_REFERENCE = "null reference"
OUT_OF_ARRAY = "out of bounds array access"
CAST_FAILURE = "cast failure"
UNALIGNED = "unaligned atomic"
NOT_SHARED = "expected shared memory"
UNCAUGHT = "uncaught exception"
TIME_LIMIT = "time limit"


_REFERENCE: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("call_ref", "return_call_ref", "throw_ref", "ref.as_non_null"), (NULL_REFERENCE,)),
    **dict.fromkeys(("struct.get", "struct.get_s", "struct.get_u", "struct.set"), (NULL_REFERENCE,)),
    **dict.fromkeys(("array.len", "i31.get_s", "i31.get_u"), (NULL_REFERENCE,)),
    **dict.fromkeys(("array.get", "array.get_s", "array.get_u"), (NULL_REFERENCE, OUT_OF_ARRAY)),
    **dict.fromkeys(("array.set", "array.fill", "array.copy"), (NULL_REFERENCE, OUT_OF_ARRAY)),
    "array.new_data": (OUT_OF_MEMORY,),
    "array.new_elem": (OUT_OF_TABLE,),
    "array.init_data": (NULL_REFERENCE, OUT_OF_ARRAY, OUT_OF_MEMORY),
    "array.init_elem": (NULL_REFERENCE, OUT_OF_ARRAY, OUT_OF_TABLE),
    "ref.cast": (CAST_FAILURE,),
}


def reasons(opcode: Opcode) -> frozenset[str]:
    """Why this instruction may trap; empty for one that cannot."""
    name, operation = opcode.name, opcode.name.partition(".")[2]
    if name == "unreachable":
        return frozenset((UNREACHABLE,))
    if name.endswith("call_indirect"):
        return frozenset((OUT_OF_TABLE, NO_ELEMENT, OTHER_TYPE))
    if ".atomic." in name:
        wait = frozenset((NOT_SHARED,)) if ".wait" in name else frozenset()
        return wait | {OUT_OF_MEMORY, UNALIGNED}
    if name in _REFERENCE:
        return frozenset(_REFERENCE[name])
    if "memarg" in opcode.immediates or name in ("memory.init", "memory.copy", "memory.fill"):
        return frozenset((OUT_OF_MEMORY,))
    if name in ("table.get", "table.set", "table.init", "table.copy", "table.fill"):
        return frozenset((OUT_OF_TABLE,))
    if opcode.category == "int" and operation[:3] in ("div", "rem"):
        return frozenset((DIVIDE_BY_ZERO, OVERFLOW) if operation == "div_s" else (DIVIDE_BY_ZERO,))
    if opcode.category == "convert" and operation.startswith("trunc_f"):
        return frozenset((OVERFLOW, NOT_AN_INTEGER))
    return frozenset()


REASONS: dict[int, frozenset[str]] = {code: reasons(opcode) for code, opcode in OPCODES.items()}
