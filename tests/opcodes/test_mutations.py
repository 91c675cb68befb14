"""Modules with a few bytes changed: what the engine takes is counted twice the same, the rest is refused in a line.

Four hundred of them, or as many as HARNESS_TEST_MUTATIONS says; 100,000 take about ten minutes of a processor.
"""

from __future__ import annotations

import os
import random
from collections import Counter

import pytest
import wasmtime

from harness.errors import ModuleError
from harness.opcodes import count, interpret
from harness.opcodes.requirements import refusal
from harness.opcodes.traps import STACK_EXHAUSTED, TIME_LIMIT
from harness.opcodes.validity import configuration
from harness.opcodes.wasm_store import Beyond
from tests.opcodes.random_modules import random_module

COUNT = int(os.environ.get("HARNESS_TEST_MUTATIONS", "400"))
MODULES = 40
LIMIT_S = 0.5


def mutated(module: bytes, draw: random.Random) -> bytes:
    """The module with one to three places overwritten, left out, doubled or put in, or cut short."""
    data = bytearray(module)
    for _ in range(draw.choice((1, 1, 1, 2, 3))):
        at, size = draw.randrange(8, len(data)), draw.choice((1, 1, 1, 2, 5))
        kind = draw.randrange(8)
        if kind < 3:
            data[at] = draw.randrange(256)
        elif kind < 5:
            data[at] ^= 1 << draw.randrange(8)
        elif kind == 5:
            del data[at : at + size]
        elif kind == 6:
            data[at:at] = data[at : at + size]
        else:
            data[at:at] = draw.randbytes(size)
    return bytes(data[: draw.randrange(8, len(data))] if draw.random() < 0.02 else data)


def judged(module: bytes, engine: wasmtime.Engine) -> str:
    """What became of a module; every answer but these is a fault."""
    try:
        wasmtime.Module.validate(engine, module)
    except wasmtime.WasmtimeError:
        told = refusal(module)
        assert told, "the engine refuses it, and it could be imported"
        assert "\n" not in told, told
        for counter in (count, interpret):
            with pytest.raises(ModuleError):
                counter(module, timeout_s=LIMIT_S)
        return "refused"
    try:
        theirs = interpret(
            module, fixed=True, timeout_s=LIMIT_S
        )  # first, since it is the one with a bound on memory
    except Beyond:
        return "beyond the interpreter"
    except ModuleError:
        with pytest.raises(ModuleError):
            count(module, timeout_s=LIMIT_S)
        return "does not run"
    if theirs.trap in (STACK_EXHAUSTED, TIME_LIMIT):
        return "does not end"
    ours = count(module, fixed=True, timeout_s=10 * LIMIT_S)
    told, expected = (
        (run.opcodes, run.trap, run.exit_code, run.memory_sha256, run.stdout_sha256) for run in (ours, theirs)
    )
    assert told == expected
    return "agrees"


def test_a_changed_module_is_counted_twice_the_same_or_refused_in_a_line() -> None:
    engine, found = wasmtime.Engine(configuration()), Counter[str]()
    modules = [random_module(seed) for seed in range(MODULES)]
    faults = []
    for number in range(COUNT):
        draw = random.Random(number)
        module = mutated(draw.choice(modules), draw)
        try:
            found[judged(module, engine)] += 1
        except (Exception, pytest.fail.Exception) as error:
            faults.append(f"mutation {number}: {error!r}")
    print(dict(found))
    assert faults == []
    assert found["agrees"] > COUNT / 20
    assert found["refused"] > COUNT / 20
