"""What this machine lacks: how a skipped test says it, and the end of a run that lists what to install.

A reason is written ``no THING; HOW``: what is missing, and how it comes here. Any other reason says why a test does not
apply.
"""

from __future__ import annotations

import re
import shutil
from collections import Counter
from collections.abc import Iterable
from typing import NoReturn

import pytest

from harness.engines import Engine

REASON = re.compile(r"no (?P<thing>[^;]+); (?P<how>.+)", re.S)


def without(engine: Engine, reason: str) -> NoReturn:
    """Skip a test of an engine that is not here, by what it needs, or else by `reason`."""
    programs = [program for program in engine.needs if not shutil.which(program)]
    thing = " and ".join(programs) or f"{engine.name} ({reason.removeprefix('no ')})".replace(";", ",")
    pytest.skip(f"no {thing}; {engine.how_to_get}")


def summary(reasons: Iterable[str]) -> list[str]:
    """A line per missing thing, most tests first, and one for the tests that do not apply."""
    lines, others = Counter[str](), 0
    for reason in reasons:
        if found := REASON.fullmatch(reason.removeprefix("Skipped: ")):
            lines[f"no {found['thing']}: {found['how']}"] += 1
        else:
            others += 1
    told = [f"{count:5} without: {line}" for line, count in lines.most_common()]
    return [*told, *([f"{others:5} do not apply here (pytest -rs says why)"] if others else [])]
