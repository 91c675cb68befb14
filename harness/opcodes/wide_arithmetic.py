"""128-bit sums and products out of 64-bit halves: four instructions that give two results."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

_MASK = (1 << 64) - 1
_SIGN = 1 << 63


def _add128(stack: list[Any], x: None) -> None:
    low, high, other_low, other_high = stack[-4:]
    total = (low | high << 64) + (other_low | other_high << 64)
    stack[-4:] = total & _MASK, total >> 64 & _MASK


def _sub128(stack: list[Any], x: None) -> None:
    low, high, other_low, other_high = stack[-4:]
    difference = (low | high << 64) - (other_low | other_high << 64)
    stack[-4:] = difference & _MASK, difference >> 64 & _MASK


def _mul_wide_s(stack: list[Any], x: None) -> None:
    one, other = stack[-2:]
    product = ((one ^ _SIGN) - _SIGN) * ((other ^ _SIGN) - _SIGN)
    stack[-2:] = product & _MASK, product >> 64 & _MASK


def _mul_wide_u(stack: list[Any], x: None) -> None:
    product = stack[-2] * stack[-1]
    stack[-2:] = product & _MASK, product >> 64


# Name of each instruction -> what it does to the stack.
WIDE: dict[str, Callable[[list[Any], None], None]] = {
    "i64.add128": _add128,
    "i64.sub128": _sub128,
    "i64.mul_wide_s": _mul_wide_s,
    "i64.mul_wide_u": _mul_wide_u,
}
