"""Structures, arrays, small integers and casts: what the instructions of garbage collection do to the stack.

A reference is a Python object, None where it is null. (WebAssembly 3.0, 4.6.)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from harness.opcodes.module_parts import ArrayType, Field, StructType
from harness.opcodes.numeric import Trap, float_of
from harness.opcodes.traps import CAST_FAILURE, NULL_REFERENCE, OUT_OF_ARRAY, OUT_OF_MEMORY, OUT_OF_TABLE
from harness.opcodes.type_identity import TypeIdentity
from harness.opcodes.wasm_store import Beyond, Function, zero

ARRAY_LIMIT = 10_000_000  # elements
_MASKS = {"i8": 0xFF, "i16": 0xFFFF}
_BYTES = {"i8": 1, "i16": 2, "i32": 4, "f32": 4, "i64": 8, "f64": 8, "v128": 16}
Operation = tuple[Callable[[list[Any], Any], None], Any]


class Struct:
    __slots__ = ("items", "lineage")

    def __init__(self, lineage: frozenset[int], items: list[Any]) -> None:
        self.lineage, self.items = lineage, items


class Array(Struct):
    __slots__ = ()


class I31(NamedTuple):
    """An integer of 31 bits as a reference."""

    value: int


class External(NamedTuple):
    """A reference handed out of the module's own kinds."""

    value: Any


def same(one: Any, other: Any) -> bool:
    """Whether two references are equal: the same object, or equal small integers."""
    return one is other or (isinstance(one, I31) and isinstance(other, I31) and one.value == other.value)


def cast_test(types: TypeIdentity, heap: str, nullable: bool) -> Callable[[Any], bool]:
    """A function that says whether a reference is of the type."""
    if heap.isdigit():
        wanted = types.numbers[int(heap)]
        return lambda value: nullable if value is None else wanted in getattr(value, "lineage", ())
    kinds: dict[str, Any] = {
        "any": object, "eq": (Struct, I31), "i31": I31, "array": Array, "func": Function, "extern": object,
        "exn": object,
    }  # fmt: skip
    if heap == "struct":
        return lambda value: nullable if value is None else type(value) is Struct
    kind = kinds.get(heap, ())
    return lambda value: nullable if value is None else isinstance(value, kind)


def object_operation(
    types: TypeIdentity,
    code: int,
    name: str,
    immediates: tuple[Any, ...],
    datas: Sequence[bytes] = (),
    elements: Sequence[list[Any]] = (),
) -> Operation:
    """The function (stack, x) of an instruction and its x."""
    kind, _, rest = name.partition(".")
    if kind == "ref":
        return _reference(types, code, rest, immediates)
    if kind in ("any", "extern"):
        return (_inside if kind == "any" else _outside), None
    if kind == "i31":
        return _i31_get, rest == "get_s"
    if name == "array.len":
        return _array_len, None
    if name == "array.copy":
        return _array_copy, None
    type_, lineage = types.types[immediates[0]], types.lineages[immediates[0]]
    if isinstance(type_, StructType):
        fields = type_.fields
        if rest == "new":
            return _struct_new, (lineage, [_MASKS.get(field.type) for field in fields])
        if rest == "new_default":
            return _struct_new_default, (lineage, [zero(field.type) for field in fields])
        place = immediates[1]
        if rest == "set":
            return _struct_set, (place, _MASKS.get(fields[place].type))
        return _struct_get, (place, _sign(fields[place], rest))
    assert isinstance(type_, ArrayType)
    field = type_.field
    mask = _MASKS.get(field.type)
    if rest in ("get", "get_s", "get_u"):
        return _array_get, _sign(field, rest)
    if rest in ("new_data", "init_data"):
        x = (lineage, datas, immediates[1], field.type)
        return (_array_new_data if rest == "new_data" else _array_init_data), x
    if rest in ("new_elem", "init_elem"):
        return (_array_new_elem if rest == "new_elem" else _array_init_elem), (
            lineage,
            elements,
            immediates[1],
        )
    if rest == "new_fixed":
        return _array_new_fixed, (lineage, mask, immediates[1])
    if rest == "new_default":
        return _array_new_default, (lineage, zero(field.type))
    return {"new": _array_new, "set": _array_set, "fill": _array_fill}[rest], (lineage, mask)


def _reference(types: TypeIdentity, code: int, rest: str, immediates: tuple[Any, ...]) -> Operation:
    if rest in ("test", "cast"):
        test = cast_test(types, immediates[0], bool(code & 1))
        return (_test if rest == "test" else _cast), test
    return {"i31": _ref_i31, "eq": _ref_eq, "as_non_null": _as_non_null}[rest], None


def _sign(field: Field, rest: str) -> int:
    """The highest bit of a packed field that is read with its sign; 0 otherwise."""
    return _MASKS[field.type] // 2 + 1 if rest == "get_s" else 0


def _masked(value: Any, mask: int | None) -> Any:
    return value if mask is None else value & mask


def _extended(value: Any, sign: int) -> Any:
    return ((value ^ sign) - sign) & 0xFFFFFFFF if sign else value


def _test(stack: list[Any], test: Callable[[Any], bool]) -> None:
    stack[-1] = 1 if test(stack[-1]) else 0


def _cast(stack: list[Any], test: Callable[[Any], bool]) -> None:
    if not test(stack[-1]):
        raise Trap(CAST_FAILURE)


def _inside(stack: list[Any], x: None) -> None:
    if isinstance(stack[-1], External):
        stack[-1] = stack[-1].value


def _outside(stack: list[Any], x: None) -> None:
    if stack[-1] is not None:
        stack[-1] = External(stack[-1])


def _ref_i31(stack: list[Any], x: None) -> None:
    stack[-1] = I31(stack[-1] & 0x7FFFFFFF)


def _i31_get(stack: list[Any], is_signed: bool) -> None:
    value = _there(stack[-1]).value
    stack[-1] = ((value ^ 1 << 30) - (1 << 30)) & 0xFFFFFFFF if is_signed else value


def _ref_eq(stack: list[Any], x: None) -> None:
    other = stack.pop()
    stack[-1] = 1 if same(stack[-1], other) else 0


def _as_non_null(stack: list[Any], x: None) -> None:
    _there(stack[-1])


def _there(value: Any) -> Any:
    if value is None:
        raise Trap(NULL_REFERENCE)
    return value


def _popped(stack: list[Any], count: int) -> list[Any]:
    start = len(stack) - count
    found = stack[start:]
    del stack[start:]
    return found


def _struct_new(stack: list[Any], x: tuple[frozenset[int], list[int | None]]) -> None:
    lineage, masks = x
    values = _popped(stack, len(masks))
    stack.append(Struct(lineage, [_masked(value, mask) for value, mask in zip(values, masks, strict=True)]))


def _struct_new_default(stack: list[Any], x: tuple[frozenset[int], list[Any]]) -> None:
    stack.append(Struct(x[0], list(x[1])))


def _struct_get(stack: list[Any], x: tuple[int, int]) -> None:
    stack[-1] = _extended(_there(stack[-1]).items[x[0]], x[1])


def _struct_set(stack: list[Any], x: tuple[int, int | None]) -> None:
    value = stack.pop()
    _there(stack.pop()).items[x[0]] = _masked(value, x[1])


def _checked_size(size: int) -> int:
    if size > ARRAY_LIMIT:
        raise Beyond(f"an array of {size}, the interpreter has {ARRAY_LIMIT}")
    return size


def _array_new(stack: list[Any], x: tuple[frozenset[int], int | None]) -> None:
    value, size = _popped(stack, 2)
    stack.append(Array(x[0], [_masked(value, x[1])] * _checked_size(size)))


def _array_new_default(stack: list[Any], x: tuple[frozenset[int], Any]) -> None:
    stack[-1] = Array(x[0], [x[1]] * _checked_size(stack[-1]))


def _array_new_fixed(stack: list[Any], x: tuple[frozenset[int], int | None, int]) -> None:
    stack.append(Array(x[0], [_masked(value, x[1]) for value in _popped(stack, x[2])]))


def _values(x: tuple[frozenset[int], Sequence[bytes], int, str], start: int, size: int) -> list[Any]:
    """Elements of an array as they stand in a data segment."""
    _, datas, number, type_ = x
    width, content = _BYTES[type_], datas[number]
    if start + size * width > len(content):
        raise Trap(OUT_OF_MEMORY)
    pieces = (content[at : at + width] for at in range(start, start + size * width, width))
    if type_ == "v128":
        return list(pieces)
    numbers = [int.from_bytes(piece, "little") for piece in pieces]
    return [float_of(number, int(type_[1:])) for number in numbers] if type_[0] == "f" else numbers


def _array_new_data(stack: list[Any], x: tuple[frozenset[int], Sequence[bytes], int, str]) -> None:
    start, size = _popped(stack, 2)
    stack.append(Array(x[0], _values(x, start, size)))


def _array_new_elem(stack: list[Any], x: tuple[frozenset[int], Sequence[list[Any]], int]) -> None:
    start, size = _popped(stack, 2)
    items = x[1][x[2]]
    if start + size > len(items):
        raise Trap(OUT_OF_TABLE)
    stack.append(Array(x[0], items[start : start + size]))


def _within(array: Any, at: int, size: int) -> list[Any]:
    items: list[Any] = _there(array).items
    if at + size > len(items):
        raise Trap(OUT_OF_ARRAY)
    return items


def _array_init_data(stack: list[Any], x: tuple[frozenset[int], Sequence[bytes], int, str]) -> None:
    array, at, start, size = _popped(stack, 4)
    items = _within(array, at, size)
    items[at : at + size] = _values(x, start, size)


def _array_init_elem(stack: list[Any], x: tuple[frozenset[int], Sequence[list[Any]], int]) -> None:
    array, at, start, size = _popped(stack, 4)
    items, source = _within(array, at, size), x[1][x[2]]
    if start + size > len(source):
        raise Trap(OUT_OF_TABLE)
    items[at : at + size] = source[start : start + size]


def _array_get(stack: list[Any], sign: int) -> None:
    at = stack.pop()
    stack[-1] = _extended(_within(stack[-1], at, 1)[at], sign)


def _array_set(stack: list[Any], x: tuple[frozenset[int], int | None]) -> None:
    array, at, value = _popped(stack, 3)
    _within(array, at, 1)[at] = _masked(value, x[1])


def _array_fill(stack: list[Any], x: tuple[frozenset[int], int | None]) -> None:
    array, at, value, size = _popped(stack, 4)
    _within(array, at, size)[at : at + size] = [_masked(value, x[1])] * size


def _array_copy(stack: list[Any], x: None) -> None:
    target, at, source, start, size = _popped(stack, 5)
    items = _within(target, at, size)
    items[at : at + size] = _within(source, start, size)[start : start + size]


def _array_len(stack: list[Any], x: None) -> None:
    stack[-1] = len(_there(stack[-1]).items)
