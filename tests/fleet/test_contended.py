"""Other work on a device, its memory that runs out, and installed engines that rot: never a workload's result."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.fleet.session import Session
from tests.devices import member, run, session

MEMORY = Path("/sys/fs/cgroup/memory")


@pytest.fixture
def burners() -> Iterator[None]:
    """Six programs that have the first processor to themselves, but for whom the scheduler lets in."""
    cpu = min(os.sched_getaffinity(0))
    words = [sys.executable, "-c", f"import os\nos.sched_setaffinity(0, [{cpu}])\nwhile True: pass"]
    running = [subprocess.Popen(words) for _ in range(6)]
    yield
    for one in running:
        one.kill()
        one.wait()


def test_a_limit_that_other_work_used_up_is_the_devices_trouble(burners: None, tmp_path: Path) -> None:
    cpu = min(os.sched_getaffinity(0))
    options = {"limit_ns": 400_000_000, "cpus": [cpu]}
    with session(tmp_path / "cache") as agent:
        [starved] = run(agent, member("burns", {"burn_s": 0.35}), **options).members
        [slow] = run(agent, member("sleeps", {"sleep_s": 3.0}), **options).members
    assert (starved.status, "of which other work had the processors" in starved.reason) == (
        "device_unfit",
        True,
    )
    assert (slow.status, slow.reason) == (
        "timeout",
        "the first execution took longer than the limit of 0.4 s",
    )


def wheel(files: dict[str, str]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return packed.getvalue()


def test_an_installed_wheel_that_rots_is_unpacked_anew(tmp_path: Path) -> None:
    data = wheel({"engine.py": "VERSION = 1\n", "engine-1.dist-info/METADATA": "Name: engine\n"})
    digest = hashlib.sha256(data).hexdigest()
    root = tmp_path / "cache"
    module = root / "python" / digest[:16] / "engine.py"
    dies = member("dies", {"die": "signal"})
    with session(root) as agent:
        agent.push({digest: lambda: data})
        agent.install([digest])
        (module.parent / "__pycache__").mkdir()
        (module.parent / "__pycache__" / "engine.pyc").write_text("compiled")
        assert run(agent, dies).members[0].status == "crash"
        module.write_text("VERSION = 2\n")
        rotten = run(agent, dies, id="job2").members[0]
        assert module.read_text() == "VERSION = 1\n"
        assert run(agent, dies, id="job3").members[0].status == "crash"
        module.write_text("")
        agent.install([digest])
        assert module.read_text() == "VERSION = 1\n"
    assert (rotten.status, rotten.reason) == (
        "device_unfit", f"what was installed in {module.parent} was damaged; see `harness devices --setup`",
    )  # fmt: skip


@contextlib.contextmanager
def with_memory(agent: Session, size: int) -> Iterator[None]:
    """Hold an agent, and what it starts from now on, to so many bytes."""
    group = MEMORY / f"harness-test-{os.getpid()}"
    try:
        group.mkdir()
        (group / "memory.limit_in_bytes").write_text(str(size))
        (group / "cgroup.procs").write_text(str(agent._transport.pid))  # type: ignore[attr-defined]
    except OSError:
        pytest.skip("no memory group of our own; run the tests as root where version 1 groups are mounted")
    yield


def test_a_kernel_that_kills_for_want_of_memory_is_the_devices_trouble(tmp_path: Path) -> None:
    with session(tmp_path / "cache") as agent, with_memory(agent, 100 << 20):
        [found] = run(agent, member("large", {"memory_bytes": 300 << 20})).members
        [small] = run(agent, member("small", {}), id="job2").members
    (MEMORY / f"harness-test-{os.getpid()}").rmdir()
    told = "the runner was killed by SIGKILL; its memory ran out"
    assert ((found.status, found.reason), small.status) == (("device_unfit", told), "ok")
