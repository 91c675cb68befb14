"""Programs for the machine itself: the suites' own C gives the same output, and what goes wrong is a row."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from harness.dataset.info import Settings
from harness.dataset.records import MemberResult
from harness.engines import ENGINES
from harness.engines.maker import NotMade
from harness.fleet.artefacts import artefact
from harness.fleet.devices import Device
from harness.fleet.payload import Payload
from harness.fleet.reach import Reached, reach
from harness.measure.plan import make_plan
from harness.suites.suite import Native, Suite, Workload
from tests.devices import job_spec

NATIVE = ENGINES["native"]
BOUNDS = "out of bounds memory access or stack"
OPENS = """
int path_open(int, int, const char *, unsigned, int, unsigned long long, unsigned long long, int, int *);
void proc_exit(int);
static int opens(const char *path, int how, unsigned long long rights)
{
    unsigned length = 0;
    int fd;
    while (path[length])
        length++;
    return path_open(3, 0, path, length, how, rights, 0, 0, &fd) == 0;
}
"""


@pytest.fixture(scope="module")
def device(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reached]:
    root = tmp_path_factory.mktemp("native")
    reached = reach(
        Device(transport="local", name="local", cache=str(root), engines=["native"]), lambda text: None
    )
    yield reached
    reached.session.close()
    assert not reached.absent


def run(device: Reached, workload: Workload, **changes) -> MemberResult:
    made = artefact(NATIVE, workload, str(device.facts["machine"]))
    payload = Payload(workload)
    spec = payload.spec | {"artefact": made.spec}
    device.session.push(payload.contents | {made.sha256: made.path.read_bytes})
    engine = NATIVE.spec(device.versions["native"])
    result = device.session.run("d", job_spec(spec) | {"engine": engine, "least": 2} | changes, 60)
    assert result is not None
    return result.members[0]


def program(folder: Path, body: str, before: str = "") -> Workload:
    """A workload whose native program is this C; its module is never looked into."""
    (folder / "p.c").write_text(f"{before}\nvoid _start(void)\n{{\n{body}\n}}\n")
    (folder / "p.wasm").write_bytes(b"unused")
    native = Native(folder, (folder / "p.c",), ("-O1",))
    return Workload("w", "w", folder / "p.wasm", ("w",), native=native)


@pytest.mark.parametrize("kernel", ["gemm", "deriche", "nussinov"])
def test_a_kernel_prints_what_its_module_prints(
    kernel: str, device: Reached, suites: dict[str, Suite]
) -> None:
    [workload] = [w for w in suites["polybench"].workloads if w.name == f"polybench/mini/{kernel}"]
    assert workload.expect.stdout_sha256
    found = run(device, workload)
    assert (found.status, found.reason) == ("ok", "")
    assert found.compile_ns
    assert device.versions["native"].startswith("ziglang")


def test_the_empty_program_is_there_too(device: Reached, suites: dict[str, Suite]) -> None:
    assert run(device, suites["startup"].workloads[0]).status == "ok"


@pytest.mark.parametrize(
    ("body", "status", "reason"),
    [
        ("__builtin_trap();", "trap", "unreachable"),
        ("*(volatile int *)8 = 1;", "trap", BOUNDS),
        ("volatile char deep[1 << 16]; deep[0] = 1; _start(); deep[1] = 1;", "trap", BOUNDS),
        ("for (volatile int i = 0;; i++) {}", "timeout", "the first execution took longer than the limit of 0.5 s"),
        ("void proc_exit(int); proc_exit(7);", "wrong_output", "exit code 7 instead of 0"),
    ],
    ids=["traps", "writes-anywhere", "recurses", "loops", "exits"],
)  # fmt: skip
def test_what_goes_wrong_is_a_row_and_the_next_job_is_not_affected(
    body: str, status: str, reason: str, device: Reached, tmp_path: Path
) -> None:
    found = run(device, program(tmp_path, body), limit_ns=500_000_000)
    assert (found.status, found.reason) == (status, reason)
    assert run(device, program(tmp_path, "")).status == "ok"


def test_only_the_own_directory_can_be_opened(device: Reached, tmp_path: Path) -> None:
    body = """
    proc_exit(opens("in.txt", 0, 2) | opens("new.txt", 1, 64) << 1 | opens("../stdout", 0, 2) << 2 |
              opens("/etc/hostname", 0, 2) << 3 | opens("./.././stderr", 0, 2) << 4 | opens("../made", 1, 64) << 5);
    """
    workload = program(tmp_path, body, OPENS)
    given = {"in.txt": hashlib.sha256(b"in").hexdigest()}
    device.session.push({given["in.txt"]: partial(bytes, b"in")})
    made = artefact(NATIVE, workload, str(device.facts["machine"]))
    device.session.push({made.sha256: made.path.read_bytes})
    member = {"workload": "w", "module": made.sha256, "argv": ["w"], "stdin": None, "files": given,
              "artefact": made.spec, "expect": {"exit_code": 3, "stdout_sha256": None}}  # fmt: skip
    result = device.session.run("d", job_spec(member, engine=NATIVE), 60)
    assert result is not None
    assert (result.members[0].status, result.members[0].reason) == ("ok", "")


def test_sources_that_do_not_compile_are_told_with_the_first_error(tmp_path: Path) -> None:
    with pytest.raises(NotMade, match=r"w does not compile: .*error: "):
        artefact(NATIVE, program(tmp_path, "int x = ;"), "x86_64")


def test_what_a_header_says_is_compiled_again_when_it_changes(tmp_path: Path) -> None:
    (tmp_path / "h.h").write_text("#define N 1")
    workload = program(tmp_path, "volatile int x = N; (void)x;", '#include "h.h"')
    first = artefact(NATIVE, workload, "x86_64")
    (tmp_path / "h.h").write_text("#define N 2")
    assert artefact(NATIVE, workload, "x86_64").path != first.path


def test_a_workload_without_native_flags_is_not_planned_for_it(
    tmp_path: Path, suites: dict[str, Suite]
) -> None:
    (tmp_path / "other.wasm").write_bytes(b"module")
    other = Workload("o/small/other", "o", tmp_path / "other.wasm", ("other",))
    with pytest.raises(NotMade, match="o/small/other has no native build"):
        artefact(NATIVE, other, "x86_64")
    workloads, [startup] = [*suites["polybench"].workloads[:3], other], suites["startup"].workloads
    platforms = [("native", "one"), ("wasmtime-j", "one")]
    settings = Settings(rounds={2: 1}, anchors=4)
    plan = make_plan(platforms, workloads, startup, settings, lambda engine, w: ENGINES[engine].takes(w))
    planned = {(job.engine, name) for job in plan.jobs for name in job.workloads}
    assert planned == {
        (engine, w.name) for engine, _ in platforms for w in (*workloads, startup) if ENGINES[engine].takes(w)
    }
    assert ("native", other.name) not in planned
    assert ("wasmtime-j", other.name) in planned
