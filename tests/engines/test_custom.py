"""Engines described in devices.yaml: what is accepted, how a mistake is told, and that one runs."""

from __future__ import annotations

import hashlib
import json
import os
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest

from harness.engines import ENGINES
from harness.engines.custom import CustomEngine, WrongEngine, custom_engines
from harness.fleet.devices import Device
from harness.fleet.reach import reach
from tests.devices import job_spec
from tests.fake_engines.command_lines import install

MINE: dict[str, Any] = {
    "version": "wasmer --version",
    "run": "wasmer run --singlepass {preopens} {module} -- {args}",
    "preopen": "--mapdir {guest}:{host}",
    "kind": "baseline",
    "trap": "RuntimeError: (.*)",
}


def read(name: str = "mine", **changes: Any):
    table = {key: value for key, value in (MINE | changes).items() if value is not None}
    return custom_engines({name: msgspec.convert(table, CustomEngine)}, ENGINES)[name]


def test_a_table_becomes_an_engine() -> None:
    engine = read()
    assert (engine.name, engine.family, engine.kind, engine.ahead_of_time) == (
        "mine",
        "wasmer",
        "baseline",
        False,
    )
    assert (engine.wall_contains, engine.needs) == ("process", ("wasmer",))
    command = json.loads(engine.args[1])
    assert command["run"] == ["wasmer", "run", "--singlepass", "{preopens}", "{module}", "--", "{args}"]
    ahead = read(compile=["wasmer compile -o {artefact} {module}"], run="wasmer run {preopens} {artefact}")
    assert ahead.ahead_of_time


def test_what_a_tool_does_not_do_itself_can_be_asked_for() -> None:
    asked = {"confine": True, "lower_memory": True, "log_lines": r"\[info\] .*"}
    command = json.loads(read(**asked).args[1])
    assert {name: command[name] for name in asked} == asked
    ahead = read(compile=["wasmer compile -o {artefact} {module}"], run="wasmer run {preopens} {artefact}")
    assert ahead.maker is not None and not ahead.only_made  # `compile: controller` may be said of a device
    assert read().maker is None


@pytest.mark.parametrize(
    ("name", "changes", "field", "told"),
    [
        ("My Tool", {}, "My Tool", "small letters"),
        ("wasmtime-j", {}, "wasmtime-j", "the harness has"),
        ("mine", {"run": "wasmer run"}, "mine.run", "{module} is missing"),
        ("mine", {"run": ["wasmer", "{modul}"]}, "mine.run", "{modul} is nothing known"),
        ("mine", {"run": "wasmer {module} --args={args}"}, "mine.run", "a word of its own"),
        ("mine", {"run": "wasmer {module} {args}"}, "mine.run", "{preopens} is missing"),
        ("mine", {"compile": ["wasmer compile {module}"]}, "mine.run", "{artefact} is missing"),
        ("mine", {"compile": ["c {module}"], "run": "w {preopens} {artefact}"}, "mine.compile", "{artefact} is"),
        ("mine", {"trap": "("}, "mine.trap", "not a regular expression"),
        ("mine", {"log_lines": "("}, "mine.log_lines", "not a regular expression"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_its_field(name: str, changes: dict[str, Any], field: str, told: str) -> None:
    with pytest.raises(WrongEngine) as wrong:
        read(name, **changes)
    assert (wrong.value.field, told in wrong.value.what) == (field, True)


@pytest.mark.parametrize(
    "changes", [{"kind": "fast"}, {"runs": "x"}, {"run": []}, {"version": None}, {"trap_codes": [300]}]
)
def test_a_table_of_another_shape_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        read(**changes)


def test_an_engine_of_a_table_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path / "bin")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    engine, module = read(), json.dumps({"trap": "unreachable"}).encode()
    device = reach(
        Device(transport="local", name="local", cache=str(tmp_path), engines=["wasmtime-j"]), lambda _: None
    )
    try:
        device.session.push({digest: partial(bytes, data) for digest, data in engine.contents.items()})
        found = device.session.detect({engine.name: engine.spec()})[engine.name]
        assert found == {"version": "7.4.2"}
        digest = hashlib.sha256(module).hexdigest()
        device.session.push({digest: partial(bytes, module)})
        member = {"workload": "w", "module": digest, "argv": ["w"], "stdin": None, "files": {},
                  "expect": {"exit_code": 0, "stdout_sha256": None}}  # fmt: skip
        result = device.session.run("d", job_spec(member) | {"engine": engine.spec("7.4.2")}, 60)
    finally:
        device.session.close()
    assert result is not None
    assert (result.members[0].status, result.members[0].reason) == ("trap", "unreachable")
