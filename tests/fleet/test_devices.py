"""devices.yaml: what is accepted, and how precisely a mistake is told."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from harness.dataset.records import State
from harness.engines import ENGINES
from harness.errors import DevicesError, UnknownName, UsageError
from harness.fleet import agent
from harness.fleet.devices import Device, choose, load_devices
from harness.fleet.inspection import warnings
from harness.fleet.reach import choose_engines
from tests.conftest import ROOT


def load(tmp_path: Path, text: str):
    path = tmp_path / "devices.yaml"
    path.write_text(text)
    return load_devices(path)


def test_the_project_comes_with_the_one_device_local() -> None:
    assert {name: device.transport for name, device in load_devices(ROOT / "devices.yaml").items()} == {
        "local": "local"
    }


def test_every_field_is_read(tmp_path: Path) -> None:
    text = "devices:\n  pi: {transport: local, engines: [wasmtime-j], cpus: [2, 3], python: python3.9, cache: /c}\n"
    device = load(tmp_path, text)["pi"]
    assert (device.name, device.engines, device.cpus, device.python, device.cache) == (
        "pi", ["wasmtime-j"], [2, 3], "python3.9", "/c",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "devices:\n  a:\n    transport: carrier-pigeon\n",
            "line 3, devices.a.transport: invalid enum value 'carrier-pigeon' (known: local, ssh, command)",
        ),
        (
            "devices:\n  a:\n    transport: local\n    cpus: [0, x]\n",
            "line 4, devices.a.cpus.1: expected a whole number, got text",
        ),
        (
            "devices:\n  a: {transport: local}\n  b:\n    tranport: local\n",
            "line 4, devices.b.tranport: object contains unknown field `tranport`",
        ),
        ("devices:\n  a: [\n", "line 3: not valid YAML"),
        ("devices:\n  'a b':\n    transport: local\n", "line 2, devices.a b: a device's name takes"),
        ("devices:\n  a:\n", "line 2, devices.a: expected a mapping of names to values, got nothing"),
        (
            "devices:\n  a: {transport: local, engines: []}\n",
            "line 2, devices.a.engines: it is an empty list, which says nothing; put something in it, or leave the",
        ),
        ("devices: {}\n", "line 1, devices: it names no device"),
        ("", "line 1, the file: expected a mapping of names to values, got nothing"),
        ("devices:\n  a: {transport: local, cpus: 2}\n", "line 2, devices.a.cpus: expected a list, got a whole number"),
        (
            "devices:\n  a: {transport: local}\n  7: {transport: local}\n",
            "line 3, devices.7: expected text, got a whole number: quote it",
        ),
        ("devices:\n  a: {transport: local}\n  a: {transport: local}\n", "line 3: not valid YAML: found duplicate key"),
        ("devices:\n  a: !!python/object/apply:os.system ['id']\n", "devices.yaml, line 2, devices.a"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_its_line_and_field(text: str, told: str, tmp_path: Path) -> None:
    with pytest.raises(DevicesError) as error:
        load(tmp_path, text)
    assert told in str(error.value)
    assert "\n" not in str(error.value)


def test_a_missing_file_that_was_named_is_told_with_what_to_write(tmp_path: Path) -> None:
    with pytest.raises(DevicesError, match="create one with the line"):
        load_devices(tmp_path / "none.yaml")


def test_without_a_file_this_machine_is_the_only_device_and_it_is_said_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    said: list[str] = []
    assert load_devices(say=said.append) == {"local": Device(transport="local", name="local")}
    assert said == ["no devices.yaml here, so this machine is the only device: local"]
    (tmp_path / "devices.yaml").write_text("devices: {pi: {transport: ssh}}\n")
    assert list(load_devices(say=said.append)) == ["pi"]
    assert len(said) == 1


def test_unknown_engines_and_devices_come_with_the_nearest_names(tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match="did you mean wasmtime-j"):
        load(tmp_path, "devices:\n  a: {transport: local, engines: [wasmtim-j]}\n")
    listed = load(tmp_path, "devices:\n  kitchen: {transport: local}\n")
    with pytest.raises(UnknownName, match=r"'kitchn' in lab.yaml; did you mean kitchen"):
        choose(listed, ["kitchn"], Path("lab.yaml"))


def test_an_engine_of_ones_own_is_a_table(tmp_path: Path) -> None:
    text = (
        "devices:\n  a: {transport: local, engines: [mytool-j]}\n"
        "engines:\n  mytool-j: {version: mytool --version, run: 'mytool {module} {args}', kind: compiler}\n"
    )
    assert load(tmp_path, text)["a"].engines == ["mytool-j"]
    assert load(tmp_path, text)["a"].engines == ["mytool-j"]
    assert ENGINES["mytool-j"].wall_contains == "process"
    del ENGINES["mytool-j"]
    with pytest.raises(DevicesError, match=r"line 4, engines.mytool-j"):
        load(tmp_path, text.replace("version: mytool --version, ", ""))
    with pytest.raises(DevicesError, match=r"line 4, engines.wasmtime-j: .* choose another name"):
        load(tmp_path, text.replace("mytool-j:", "wasmtime-j:"))


def test_the_limits_of_a_container_are_told_with_their_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A control group of version 2 with a quota of 0.3 processors above a group without one."""
    root, own = tmp_path / "cgroup", tmp_path / "cgroup" / "lab" / "one"
    own.mkdir(parents=True)
    (own / "cpu.max").write_text("max 100000")
    (own / "cpu.stat").write_text("nr_periods 20\nnr_throttled 7\n")
    (own.parent / "cpu.max").write_text("30000 100000")
    (own.parent / "memory.max").write_text(str(1 << 28))
    told = {"/proc/self/cgroup": "0::/lab/one\n", "/proc/cpuinfo": "flags\t\t: fpu hypervisor sse\n"}
    real = agent.read
    monkeypatch.setattr(agent, "CGROUPS", root)
    monkeypatch.setattr(agent, "read", lambda path: told.get(path) or real(path))
    limits = agent.limits()
    assert (limits["cpu_quota"], limits["memory_limit_bytes"], limits["hypervisor"]) == (0.3, 1 << 28, True)
    assert agent.quota_throttled() == 7
    facts = limits | {
        "cores": 4,
        "cpus_allowed": 2,
        "memory_bytes": 1 << 33,
        "nice": 5,
        "steal_share": 0.0734,
    }
    warned = "\n".join(warnings(facts, State(), Device(transport="local", name="box")))
    for words in (
        "quota allows 0.3 processors", "only 0.25 GiB", "virtual machine", "nice 5", "only 2 of its 4 processors",
        "its host took 7.3% of its processors' time",
    ):  # fmt: skip
        assert words in warned


def test_the_host_s_share_is_of_all_time_since_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        agent, "read", lambda path: "cpu  10 0 10 70 0 0 0 10 0 0\ncpu0 10 0 10 70 0 0 0 10 0 0"
    )
    assert agent.limits()["steal_share"] == 0.1


def test_a_gate_tells_what_it_could_not_wait_for(monkeypatch: pytest.MonkeyPatch) -> None:
    waiting: Any = SimpleNamespace(pump=lambda until: None, controller_gone=False)
    monkeypatch.setattr(agent, "state", dict)
    monkeypatch.setattr(agent.time, "sleep", lambda seconds: None)
    assert agent.Agent.gate(waiting, {"temperature_c": 60, "limit_s": 1}) == "it tells no temperature"
    told = agent.Agent.gate(waiting, {"temperature_c": 60, "busy": -1, "limit_s": -1})
    assert told.startswith("not cool and idle after 0 s: ") and "None" not in told


def test_an_engine_that_is_there_and_does_not_tell_its_version_is_not_to_be_installed() -> None:
    why = "wasmer does not tell its version: hello there"
    here: Any = SimpleNamespace(device=SimpleNamespace(name="box"), versions={}, absent={"wasmer-j-cl": why})
    with pytest.raises(UsageError) as refused:
        choose_engines([here], ["wasmer-j-cl"])
    assert f"box says: {why}. To use it there: it is there, so look what" in str(refused.value)
    assert "install" not in str(refused.value)
    here.absent["wasmer-j-cl"] = "no wasmer on this device"
    with pytest.raises(UsageError, match="To use it there: cargo install wasmer-cli"):
        choose_engines([here], ["wasmer-j-cl"])
