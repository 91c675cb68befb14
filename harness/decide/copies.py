"""Copies of a placement as a person reads them: those of which all is the same are one row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from harness.output import Column

COPIES = Column("copies", "copies", True)


def alike(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """A row for copies that differ in nothing but their number, which has `copies`, how many they are."""
    found: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        found.setdefault(repr({key: value for key, value in row.items() if key != "copy"}), []).append(row)
    return [copies[0] | {"copies": len(copies)} for copies in found.values()]


def for_people(
    rows: Sequence[dict[str, Any]], columns: Sequence[Column]
) -> tuple[list[dict[str, Any]], list[Column]]:
    """The rows `alike`, and the columns without what others say already or no row has anything to say about."""
    left_out = {"device", "engine", "eps"}
    left_out |= set() if any(row["copy"] > 1 for row in rows) else {"copy"}
    left_out |= set() if any(row["reason"] for row in rows) else {"reason"}
    left_out |= set() if any(row["memory_bytes"] for row in rows) else {"memory_bytes"}
    kept = [column for column in columns if column.key not in left_out]
    fewer = alike(rows)
    if len(fewer) < len(rows):
        kept = [COPIES if column.key == "copy" else column for column in kept]
    return fewer, kept
