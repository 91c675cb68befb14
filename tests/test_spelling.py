"""Counted things by their right noun, and of long text the beginning."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from harness.spelling import noun, quoted, several
from tests.conftest import ROOT

# A word after a count that only several things have; a constant of more than one is no such count.
THINGS = (
    "bounds", "bytes", "calibrations", "cells", "co-runners", "columns", "copies", "counters", "datasets",
    "deadlines", "devices", "elements", "engines", "entries", "features", "fields", "functions", "jobs", "kernels",
    "labels", "letters", "lines", "locals", "memories", "models", "modules", "numbers", "observations", "opcodes",
    "pages", "pairs", "parameters", "parts", "placebos", "platforms", "processors", "programs", "reasons", "rows",
    "samples", "sources", "suites", "times", "trainings", "types", "units", "warnings", "workers", "workloads",
)  # fmt: skip
MANY = re.compile(rf" (?:(?!has|had|must|on|of|is|while|whose)[a-zA-Z-]+ )?(?:{'|'.join(THINGS)})\b")
OF_A_FRACTION = re.compile(r"[eEfgG%]$")  # 1.0 times, 0.5 device-hours


@pytest.mark.parametrize(
    ("told", "wanted"),
    [
        (several(0, "job"), "0 jobs"),
        (several(1, "job"), "1 job"),
        (several(1200, "job"), "1,200 jobs"),
        (several(np.int64(1), "job is", "jobs are"), "1 job is"),
        (several(2, "job is", "jobs are"), "2 jobs are"),
        (noun(1.0, "copy", "copies"), "copy"),
        (quoted("a"), "'a'"),
        (quoted(None), "None"),
        (quoted("a" * 201), f"'{'a' * 60}'… (201 letters)"),
    ],
)
def test_how_it_is_told(told: str, wanted: str) -> None:
    assert told == wanted


def counted(path: Path) -> Iterator[str]:
    """What a sentence counts by a noun that is wrong where there is one of it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.JoinedStr):
            continue
        for value, then in zip(node.values, node.values[1:], strict=False):
            if not isinstance(value, ast.FormattedValue) or not isinstance(then, ast.Constant):
                continue
            count = ast.unparse(value.value)
            form = "".join(str(part.value) for part in getattr(value.format_spec, "values", ()))
            if (
                count.isupper()
                or OF_A_FRACTION.search(form)
                or count.startswith(("several(", "noun(", "percent("))
            ):
                continue
            if found := MANY.match(str(then.value)):
                yield f"{path.relative_to(ROOT)}:{node.lineno}: {{{count}}}{found[0]}"


def test_no_sentence_counts_one_thing_as_several() -> None:
    """Found where a noun follows its number; `spelling.several` tells one of it as one."""
    assert [told for path in sorted((ROOT / "harness").rglob("*.py")) for told in counted(path)] == []
