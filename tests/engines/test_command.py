"""Command-line engines: the runner with real processes, against fakes that take the same arguments and fail alike."""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from harness.dataset.records import MemberResult
from harness.engines import ENGINES
from harness.engines.runners import HERE
from harness.engines.runners.fence import Fence
from harness.fleet.devices import Device
from harness.fleet.reach import Reached, reach
from tests.devices import job_spec
from tests.fake_engines.command_lines import PROGRAMS, PYTHON, install
from tests.missing import without

FAKED = [name for name, engine in ENGINES.items() if set(engine.needs) & set(PROGRAMS)]
ONE_OF_EACH = [
    name for name in FAKED if name.endswith(("-cl", "cli-j", "cli-i", "-a", "zero-j", "edge-i", "wasm-i"))
]


@pytest.fixture(scope="module")
def device(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reached]:
    root = tmp_path_factory.mktemp("fakes")
    install(root / "bin")
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("PATH", f"{root / 'bin'}{os.pathsep}{os.environ['PATH']}")
        reached = reach(
            Device(transport="local", name="local", cache=str(root), engines=FAKED), lambda text: None
        )
        yield reached
        reached.session.close()


def run(device: Reached, engine: str, script: dict | bytes, **changes) -> MemberResult:
    module = script if isinstance(script, bytes) else json.dumps(script).encode()
    contents = [module, *changes.pop("contents", [])]
    digests = [hashlib.sha256(content).hexdigest() for content in contents]
    device.session.push(
        {digest: partial(bytes, data) for digest, data in zip(digests, contents, strict=True)}
    )
    member = {
        "workload": "w", "module": digests[0], "argv": ["w", "one", "--two"], "stdin": None, "files": {},
        "expect": {"exit_code": changes.pop("exit_code", 0), "stdout_sha256": changes.pop("stdout_sha256", None)},
    } | changes.pop("member", {})  # fmt: skip
    spec = {"least": 2, "engine": ENGINES[engine].spec(device.versions[engine])}
    result = device.session.run("d", job_spec(member) | spec | changes, 60)
    assert result is not None
    return result.members[0]


def needs_landlock() -> None:
    if not PYTHON.startswith("/usr/"):
        pytest.skip("the fakes' Python lies where a confined command may not read")
    try:
        Fence([], [])
    except OSError as error:
        pytest.skip(f"this kernel cannot confine: {error}")


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def test_every_faked_command_line_is_found_with_its_version(device: Reached) -> None:
    assert set(device.absent) == {"wasmer-j-ll", "wasmer-a-ll"}
    assert "`llvm` compiler is not included" in device.absent["wasmer-a-ll"]  # found out by an empty module
    assert device.versions["wasmtime-cli-j"] == "49.0.3"
    assert device.versions["wasmer-a-cl"] == "7.4.2"
    assert device.versions["wasmedge-i"] == "0.14.1"
    assert device.versions["iwasm-a"] == "2.1.2+wamrc2.1.2"
    assert device.versions["wasm3-cli-i"] == "0.5.0"
    assert device.versions["wazero-j"] == "1.9.0"


@pytest.mark.parametrize("engine", FAKED)
def test_arguments_output_and_exit_code_pass_through(engine: str, device: Reached) -> None:
    if engine not in device.versions:
        without(ENGINES[engine], device.absent[engine])
    script = {"argv": True, "stdout": "", "exit_code": 3}
    found = run(device, engine, script, exit_code=3, stdout_sha256=sha256('["one", "--two"]'))
    assert (found.status, found.reason) == ("ok", "")
    assert (found.compile_ns is not None) == ENGINES[engine].ahead_of_time
    assert all(sample.wall_ns > 1_000_000 and sample.max_rss_kb > 1000 for sample in found.samples)


@pytest.mark.parametrize("engine", ONE_OF_EACH)
def test_a_trap_an_unknown_import_and_a_crash_are_told_apart(engine: str, device: Reached) -> None:
    trap = run(device, engine, {"trap": "unreachable"})
    assert (trap.status, trap.reason.split()[0]) == ("trap", "unreachable")
    unknown = run(device, engine, {"import": "env.f"})
    assert unknown.status == "refused", unknown.reason
    assert run(device, engine, b"not wasm").status == "refused"
    died = run(device, engine, {"die": True})
    assert (died.status, "SIGSEGV" in died.reason) == ("crash", True)


@pytest.mark.parametrize("engine", ONE_OF_EACH)
def test_a_module_is_given_its_directory(engine: str, device: Reached) -> None:
    if json.loads(ENGINES[engine].args[1])["confine"]:
        needs_landlock()
    content = b"given"
    files = {"in.txt": hashlib.sha256(content).hexdigest()}
    found = run(
        device, engine, {"read": "in.txt"}, contents=[content], member={"files": files}, stdout_sha256=sha256("given")
    )  # fmt: skip
    assert (found.status, found.reason) == ("ok", "")


@pytest.mark.parametrize("engine", ["wazero-i", "wasm3-cli-i"])
def test_a_command_that_keeps_no_module_in_is_held_by_the_kernel(engine: str, device: Reached) -> None:
    needs_landlock()
    files = {"in.txt": hashlib.sha256(b"given").hexdigest()}
    device.session.push({files["in.txt"]: partial(bytes, b"given")})
    found = run(device, engine, {"read": "/etc/hostname"}, member={"files": files}, exit_code=0)
    assert found.status in {"refused", "wrong_output"}, (
        found.reason
    )  # how the fakes end when Python may not read
    alone = run(device, "wasmedge-i", {"read": "/etc/hostname"}, member={"files": files})
    assert alone.status == "ok"  # the fake itself would not have refused


def test_an_exit_code_that_no_trap_has_is_never_one(device: Reached) -> None:
    found = run(device, "wasmtime-cli-j", {"stderr": "wasm trap: says the module", "exit_code": 9})
    assert (found.status, found.reason) == ("wrong_output", "exit code 9 instead of 0")


def test_the_memory_limit_reaches_engines_that_have_one(device: Reached) -> None:
    found = run(device, "wasmtime-cli-j", {"grow": 600}, memory_bytes=500 << 16)
    assert found.status == "trap"
    assert run(device, "wasmedge-i", {"grow": 600}, memory_bytes=500 << 16).status == "trap"


def test_a_hanging_engine_is_killed_with_the_job(device: Reached) -> None:
    found = run(device, "wasm3-cli-i", {"hang": True}, limit_ns=700_000_000)
    assert found.status == "timeout"
    wait_for(lambda: not fakes_under(device.device.cache))


def test_an_engine_dies_with_an_agent_that_is_killed(device: Reached, tmp_path: Path) -> None:
    module = json.dumps({"hang": True}).encode()
    names = ["wasm3-cli-i"]
    other = reach(
        Device(transport="local", name="local", cache=str(tmp_path), engines=names), lambda text: None
    )
    digest = hashlib.sha256(module).hexdigest()
    other.session.push({digest: partial(bytes, module)})
    member = {"workload": "w", "module": digest, "argv": ["w"], "stdin": None, "files": {},
              "expect": {"exit_code": 0, "stdout_sha256": None}}  # fmt: skip
    other.session._send(op="run", dataset="d", job=job_spec(member) | {"engine": ENGINES[names[0]].spec("1")})
    wait_for(lambda: fakes_under(tmp_path))
    os.kill(other.session._transport.pid, signal.SIGKILL)
    wait_for(lambda: not fakes_under(tmp_path))
    other.session.close()


def wait_for(condition: Callable[[], object], within_s: float = 10.0) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def fakes_under(root: object) -> list[bytes]:
    """The command lines of running fakes with a module below a directory."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes()
        except OSError:
            continue
        if b"command_lines.py" in words and str(root).encode() in words:
            found.append(words)
    return found


def test_artefacts_are_made_once_and_again_when_damaged(device: Reached) -> None:
    script = {"stdout": "again"}
    first, second = (run(device, "wasmer-a-sp", script) for _ in range(2))
    assert (first.cached, second.cached, second.compile_ns) == (False, True, first.compile_ns)
    other = run(device, "wasmer-a-cl", script)
    assert other.cached is False
    digest = sha256(json.dumps(script))
    for artefact in Path(device.device.cache, "artefacts").glob(f"{digest}*.bin"):
        artefact.write_bytes(b"damaged")
    third = run(device, "wasmer-a-sp", script)
    assert (third.status, third.cached) == ("ok", False)


def test_a_program_that_is_not_there_is_absent_with_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    names = ["wasmer-j-cl", "iwasm-a"]
    reached = reach(
        Device(transport="local", name="local", cache=str(tmp_path), engines=names), lambda text: None
    )
    reached.session.close()
    assert reached.versions == {}
    assert "no wasmer on this device" in reached.absent["wasmer-j-cl"]


def test_an_artefact_is_another_when_a_file_of_ours_that_its_compiler_takes_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(HERE))
    ours = importlib.import_module("compiled").ours
    host, takes = tmp_path / "host.c", [["cc", "{here}/host.c", "-o", "{artefact}"]]
    host.write_text("int before;")
    before = ours(takes, str(tmp_path))
    host.write_text("int after;")
    assert [name for name, _ in before] == ["host.c"]
    assert ours(takes, str(tmp_path)) != before
    assert ours([["cc", "{module}", "-o", "{artefact}"]], str(tmp_path)) == []
