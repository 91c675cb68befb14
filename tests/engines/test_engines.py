"""Every engine of this machine runs real modules through a real agent."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import msgspec
import pytest
import wasmtime

from harness.dataset.records import JobResult, MemberResult, State
from harness.engines import ENGINES
from harness.engines.maker import NotMade
from harness.fleet.artefacts import given
from harness.fleet.devices import Device
from harness.fleet.reach import Reached, reach
from harness.opcodes import count
from harness.suites.suite import Suite, Workload
from tests.devices import job_spec
from tests.engines.test_sandbox import WAITING, compiled
from tests.missing import without


def test_the_engine_that_comes_with_the_harness_is_there(device: Reached) -> None:
    assert {"wasmtime-j", "wasmtime-a", "wasmtime-w", "wasmtime-p"} <= set(device.versions)


@pytest.fixture(scope="module")
def device(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reached]:
    root = tmp_path_factory.mktemp("device")
    reached = reach(Device(transport="local", name="local", cache=str(root)), lambda text: None)
    yield reached
    reached.session.close()


@pytest.fixture(params=[name for name, engine in ENGINES.items() if name != "native"])
def engine(request: pytest.FixtureRequest, device: Reached) -> str:
    if request.param not in device.versions:
        without(ENGINES[request.param], device.absent[request.param])
    return str(request.param)


def run_module(
    device: Reached,
    engine: str,
    module: bytes,
    stdout_sha256: str | None = None,
    needed_bytes: int | None = None,
    **changes,
) -> JobResult:
    """As the collector has it: what cannot be given to the device is a row, and nothing is sent."""
    digest = hashlib.sha256(module).hexdigest()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "w.wasm")
        path.write_bytes(module)
        workload = Workload("w", "w", path, ("w",))
        try:
            more, artefacts = given(ENGINES[engine], device.device, workload, str(device.facts["machine"]))
        except NotMade as reason:
            return JobResult("job1", 0, State(), [MemberResult("w", "refused", str(reason), [])])
        device.session.push({digest: partial(bytes, module)} | artefacts)
        spec = {
            "workload": "w", "module": digest, "argv": ["w"], "stdin": None, "files": {},
            "expect": {"exit_code": 0, "stdout_sha256": stdout_sha256}, "memory_bytes": needed_bytes,
        }  # fmt: skip
        told = {"engine": ENGINES[engine].spec(device.versions[engine])}
        result = device.session.run("d", job_spec(spec | more, engine=ENGINES[engine]) | told | changes, 60)
        assert result is not None
        members = [ENGINES[engine].explained(member, path) for member in result.members]
        return msgspec.structs.replace(result, members=members)


def wat(text: str) -> bytes:
    return bytes(wasmtime.wat2wasm(f'(module (memory (export "memory") 1) {text})'))


def test_a_kernel_runs_and_prints_what_its_suite_expects(
    engine: str, device: Reached, suites: dict[str, Suite]
) -> None:
    [gemm] = [w for w in suites["polybench"].workloads if w.name == "polybench/mini/gemm"]
    [found] = run_module(
        device, engine, gemm.module.read_bytes(), gemm.expect.stdout_sha256, limit_ns=20_000_000_000
    ).members
    assert (found.status, found.reason) == ("ok", "")
    assert sum(sample.covered for sample in found.samples) >= 5
    assert found.regime == ("process" if ENGINES[engine].wall_contains == "process" else "steady")
    each_time_anew = ENGINES[engine].wall_contains == "process" and not ENGINES[engine].ahead_of_time
    assert (found.compile_ns is None) if each_time_anew else found.compile_ns > 0
    assert found.warmup_ns > 0


def test_a_wrong_output_is_caught(engine: str, device: Reached, suites: dict[str, Suite]) -> None:
    module = suites["polybench"].workloads[0].module.read_bytes()
    [found] = run_module(device, engine, module, "0" * 64).members
    assert found.status == "wrong_output"


def test_a_trap_is_a_row_with_the_engines_words(engine: str, device: Reached) -> None:
    [found] = run_module(device, engine, wat('(func (export "_start") unreachable)')).members
    assert found.status == "trap"
    assert "unreachable" in found.reason.lower()


def test_an_endless_module_is_stopped_at_the_limit(engine: str, device: Reached) -> None:
    """As the collector does, it is tried again where other work had the processors; with a longer limit each time."""
    endless = wat('(func (export "_start") (loop (br 0)))')
    for limit_ns in (300_000_000, 1_000_000_000, 3_000_000_000, 10_000_000_000):
        [found] = run_module(device, engine, endless, limit_ns=limit_ns).members
        if found.status != "device_unfit":
            break
    assert found.status in ("timeout", "device_unfit")
    if found.status == "device_unfit":  # a machine that never gave it the processor for so long
        assert "of which other work had the processors" in found.reason or "it stood still" in found.reason


def test_an_exit_code_is_not_a_trap(engine: str, device: Reached) -> None:
    """134 is what some commands end with where a module trapped; wasmtime's and wasmi's pass on none above 125."""
    leaving = bytes(
        wasmtime.wat2wasm(
            '(module (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))'
            ' (memory (export "memory") 1)'
            ' (func (export "_start") (call $exit (i32.const 134))))'
        )
    )
    [found] = run_module(device, engine, leaving).members
    if engine.startswith(("wasmtime-cli", "wasmi")):
        assert (found.status, "invalid exit status" in found.reason.lower()) == ("trap", True), found
    else:
        assert (found.status, found.reason) == ("wrong_output", "exit code 134 instead of 0")


@pytest.mark.parametrize(
    ("body", "statuses", "word"),
    [
        # grows until it cannot, and traps then
        ("(block (loop (br_if 1 (i32.eq (memory.grow (i32.const 256)) (i32.const -1))) (br 0))) unreachable", {"trap"},
         "unreachable"),
        ("(i32.store (i32.const 70000) (i32.const 1))", {"trap"}, "out"),  # a load would be optimised away
        ("(drop (i32.div_u (i32.const 1) (i32.load (i32.const 0))))", {"trap"}, "by zero"),
        ("(call 0)", {"trap", "crash", "timeout"}, ""),  # compilers may make a loop of it
    ],
    ids=["allocates", "out-of-bounds", "divides", "recurses"],
)  # fmt: skip
def test_what_fails_is_a_row_and_the_next_job_is_not_affected(
    body: str, statuses: set[str], word: str, engine: str, device: Reached
) -> None:
    failing = wat(f'(func (export "_start") {body})')
    [found] = run_module(device, engine, failing, memory_bytes=64 << 20).members
    assert found.status in statuses
    assert word in found.reason.lower()
    [after] = run_module(device, engine, wat('(func (export "_start"))')).members
    assert after.status == "ok"


@pytest.mark.parametrize(
    ("least", "body"),
    [
        (1, "(if (i32.eq (memory.grow (i32.const 9599)) (i32.const -1)) (then unreachable))"),
        (9600, ""),
    ],
    ids=["grows", "begins"],
)
def test_a_module_without_the_memory_that_it_needs_is_told_apart(
    least: int, body: str, engine: str, device: Reached
) -> None:
    """600 MiB: more than what a kernel's limit for the whole process leaves to an engine beside the module."""
    module = bytes(
        wasmtime.wat2wasm(f'(module (memory (export "memory") {least}) (func (export "_start") {body}))')
    )
    needed = count(module).memory_bytes
    assert needed == 600 << 20
    [found] = run_module(device, engine, module, needed_bytes=needed, memory_bytes=8 << 20).members
    if least == 1 or found.status != "ok":  # some engines bound only how far a memory grows
        assert found.status == "out_of_memory"
        assert found.reason.startswith("it needs 600 MiB of memory and was given 8: ")


@pytest.mark.parametrize("call", ["(call $f)", ""], ids=["called", "never called"])
def test_an_unknown_import_is_refused_with_its_name(call: str, engine: str, device: Reached) -> None:
    unknown = bytes(
        wasmtime.wat2wasm(
            '(module (import "env" "f" (func $f)) (memory (export "memory") 1)'
            f' (func (export "_start") {call}))'
        )
    )
    [found] = run_module(device, engine, unknown).members
    assert (found.status, "env::f" in found.reason) == ("refused", True)


def test_what_an_engine_lacks_is_refused_with_the_name_and_not_a_trap(engine: str, device: Reached) -> None:
    """Or is a time-out, where the engine waits for ever, with the name too."""
    [found] = run_module(device, engine, compiled(WAITING), limit_ns=1_000_000_000).members
    if "poll_oneoff" in ENGINES[engine].lacks and found.status != "ok":  # some wait rightly now and then
        assert (found.status in ("refused", "timeout"), "(poll_oneoff: " in found.reason) == (True, True)
    else:
        assert (found.status, found.reason) == ("ok", "")


def test_bytes_that_are_no_module_are_refused(engine: str, device: Reached) -> None:
    [found] = run_module(device, engine, b"not wasm").members
    assert found.status == "refused"


def test_ahead_of_time_artefacts_are_made_once_and_again_when_damaged(
    device: Reached, suites: dict[str, Suite]
) -> None:
    [small] = [w for w in suites["polybench"].workloads if w.name == "polybench/small/atax"]
    module = small.module.read_bytes()
    first = run_module(device, "wasmtime-a", module).members[0]
    second = run_module(device, "wasmtime-a", module).members[0]
    assert (first.cached, second.cached, second.compile_ns) == (False, True, first.compile_ns)
    assert 0 < second.load_ns < second.compile_ns
    digest = hashlib.sha256(module).hexdigest()
    [artefact] = Path(device.device.cache, "artefacts").glob(f"{digest}*.cwasm")
    artefact.write_bytes(artefact.read_bytes()[:500])
    third = run_module(device, "wasmtime-a", module).members[0]
    assert (third.status, third.cached) == ("ok", False)


def test_a_long_job_does_not_fill_the_memory(engine: str, device: Reached, suites: dict[str, Suite]) -> None:
    if ENGINES[engine].wall_contains == "process":
        pytest.skip("a process per sample keeps nothing")
    module = next(w for w in suites["polybench"].workloads if w.name == "polybench/mini/trisolv").module
    [found] = run_module(
        device, engine, module.read_bytes(), least=1500, keep=1500, limit_ns=20_000_000_000
    ).members  # fmt: skip
    assert (found.status, found.reason) == ("ok", "")
    assert found.samples[-1].max_rss_kb - found.samples[50].max_rss_kb < 64 << 10
