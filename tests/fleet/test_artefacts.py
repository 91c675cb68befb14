"""What the controller compiles for devices: kept, made again when damaged, taken or refused by the device."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import wasmtime

from harness.dataset.store import Dataset
from harness.engines import ENGINES
from harness.engines.maker import CommandMaker, NotMade, NotMadeNow
from harness.engines.wasmtime import WasmtimeMaker
from harness.errors import DevicesError
from harness.fleet.artefacts import artefact, made_here, probe
from harness.fleet.devices import Device, load_devices
from harness.fleet.reach import Reached, platform_rows, reach
from harness.suites.suite import Suite, Workload
from tests.devices import job_spec, made_of

MACHINE = platform.machine()
MODULE = bytes(wasmtime.wat2wasm('(module (memory (export "memory") 1) (func (export "_start")))'))


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def workload(tmp_path: Path) -> Workload:
    module = tmp_path / "w.wasm"
    module.write_bytes(MODULE)
    return Workload("w", "w", module, ("w",))


@pytest.fixture
def reached(tmp_path: Path) -> Iterator[Reached]:
    """This machine as one that does not compile itself."""
    names = ["wasmtime-a", "wasmtime-j"]
    device = Device(
        transport="local", name="local", cache=str(tmp_path / "device"), engines=names, compile="controller"
    )
    found = reach(device, print)
    yield found
    found.session.close()


def test_it_is_compiled_once_and_again_when_damaged_or_changed(workload: Workload) -> None:
    engine = ENGINES["wasmtime-a"]
    first, second = artefact(engine, workload, MACHINE), artefact(engine, workload, MACHINE)
    assert (first.cached, second) == (False, replace(first, cached=True))
    first.path.write_bytes(b"damaged")
    again = artefact(engine, workload, MACHINE)
    assert (again.sha256, again.cached, again.path.read_bytes() != b"damaged") == (first.sha256, False, True)
    workload.module.write_bytes(MODULE + b"\0\2\1x")  # a custom section
    assert artefact(engine, workload, MACHINE).path != first.path


def test_a_processor_that_cannot_be_compiled_for_is_told(workload: Workload) -> None:
    with pytest.raises(NotMade, match=f"compiles for {MACHINE}, not for 'vax'"):
        artefact(ENGINES["wasmtime-a"], workload, "vax")
    with pytest.raises(NotMade, match=f"wasm2c on this machine compiles for {MACHINE}, not for 'vax'"):
        artefact(ENGINES["wasm2c-gcc-O2"], workload, "vax")
    with pytest.raises(NotMade, match="for x86_64, aarch64, not for 'vax'"):
        probe(ENGINES["native"], "vax")
    with pytest.raises(NotMade, match="compiles on the device only"):
        artefact(ENGINES["wasmtime-j"], workload, MACHINE)


def test_a_compiler_that_is_absent_or_fails_is_told(workload: Workload) -> None:
    def maker(*command: str) -> CommandMaker:
        return CommandMaker(versions=(("", ("{python}", "--version")),), compile=(command,))

    engine = ENGINES["wasmtime-cli-a"]
    for command, told in (
        (("no-such-compiler",), "no no-such-compiler on this machine"),
        (("{python}", "-c", "import sys; sys.exit('error: too wide')"), "does not compile: error: too wide"),
        (("{python}", "-c", "pass"), "the compiler left nothing"),
        (
            ("{python}", "-c", "import os; os.kill(os.getpid(), 9)"),
            r"python\S* on this machine was killed by SIGKILL",
        ),
    ):
        with pytest.raises(NotMade, match=told):
            artefact(replace(engine, maker=maker(*command)), workload, MACHINE)


def test_a_device_takes_what_the_controller_compiled(reached: Reached) -> None:
    engine = ENGINES["wasmtime-a"]
    assert reached.versions["wasmtime-a"] == reached.versions["wasmtime-j"] == WasmtimeMaker().version()
    ahead, just_in_time = platform_rows([reached], [engine, ENGINES["wasmtime-j"]])
    assert ("compiled_on", "controller") in ahead["facts"]
    assert "compiled_on" not in dict(just_in_time["facts"])
    made = made_of(engine, MODULE, MACHINE)
    reached.session.push({made.sha256: made.path.read_bytes})
    member = {"workload": "w", "module": made.sha256, "argv": ["w"], "stdin": None, "files": {}, "artefact": made.spec,
              "expect": {"exit_code": 0, "stdout_sha256": None}}  # fmt: skip
    result = reached.session.run("d", job_spec(member, engine=engine), 60)
    assert result is not None
    [found] = result.members
    assert (found.status, found.compile_ns, found.cached) == ("ok", made.compile_ns, made.cached)
    assert not list(Path(reached.device.cache, "artefacts").iterdir())


def test_a_device_with_another_version_does_not_have_the_engine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make, major = WasmtimeMaker.make, WasmtimeMaker().version().partition(".")[0]

    def older(self, workload: Workload, machine: str, target: Path) -> int:
        taken = make(self, workload, machine, target)
        made, written = target.read_bytes(), bytes([len(major)]) + major.encode()
        assert written in made
        target.write_bytes(made.replace(written, written[:1] + b"9" * len(major)))
        return taken

    other = "9" * len(major) + ".0.0"
    monkeypatch.setattr(WasmtimeMaker, "make", older)
    monkeypatch.setattr(WasmtimeMaker, "version", lambda self: other)
    device = Device(
        transport="local", name="local", cache=str(tmp_path), engines=["wasmtime-a"], compile="controller"
    )
    found = reach(device, print)
    found.session.close()
    assert found.versions == {}
    assert other in found.absent["wasmtime-a"]
    assert found.absent["wasmtime-a"].endswith(f"it was given what {other} on the controller compiled")


def test_where_an_engine_compiles_is_said_in_devices_yaml(tmp_path: Path) -> None:
    file = tmp_path / "devices.yaml"
    file.write_text("devices: {a: {transport: local, compile: controller}, b: {transport: local}}")
    devices = load_devices(file)
    assert [made_here(ENGINES["wasmtime-a"], devices[name]) for name in "ab"] == [True, False]
    assert [made_here(ENGINES["native"], devices[name]) for name in "ab"] == [True, True]
    assert not made_here(ENGINES["wasmtime-j"], devices["a"])
    file.write_text("devices: {a: {transport: local, compile: here}}")
    with pytest.raises(DevicesError, match=r"a\.compile"):
        load_devices(file)


def test_a_workload_that_cannot_be_compiled_is_a_row_and_the_others_go_on(
    harness, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suites: dict[str, Suite]
) -> None:
    devices = tmp_path / "devices.yaml"
    devices.write_text(
        "devices: {local: {transport: local, compile: controller, engines: [wasmtime-a], "
        f"cache: {tmp_path}/device}}}}"
    )
    make, killed = WasmtimeMaker.make, list[str]()

    def some(self, workload: Workload, machine: str, target: Path) -> int:
        if "trisolv" in workload.name:
            raise NotMade("does not compile: too much of it")
        if "gemm" in workload.name and not killed:
            killed.append(workload.name)
            raise NotMadeNow("wasmtime on this machine was killed by SIGKILL")
        return make(self, workload, machine, target)

    monkeypatch.setattr(WasmtimeMaker, "make", some)
    ran = harness(
        "collect", "-o", tmp_path / "d", "--devices-file", devices, "--engine", "wasmtime-a", "--anchors", 0,
        "--placebos", 0,
        "--suite", "polybench/mini/trisolv", "--suite", "polybench/mini/gemm", "--repeats", 2, "--limit", 2,
        "--degrees", "2",
    )  # fmt: skip
    assert ran.code == 0, ran.err
    assert "local: wasmtime on this machine was killed by SIGKILL" in ran.err  # and tried again
    rows = Dataset.open(tmp_path / "d").observations().to_pylist()
    found = {
        (1 + len(row["co_runners"]), row["workload"].rpartition("/")[2], row["status"], row["reason"])
        for row in rows
    }
    assert {row for row in found if row[1] != "empty"} == {
        (1, "gemm", "ok", ""),
        (1, "trisolv", "refused", "does not compile: too much of it"),
        (2, "gemm", "co_runner_failed", "polybench/mini/trisolv: refused, does not compile: too much of it"),
        (2, "trisolv", "refused", "does not compile: too much of it"),
    }
