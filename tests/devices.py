"""A real agent on this machine, and the fake engine, for tests of measuring."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from harness.dataset.records import JobResult, MemberResult
from harness.engines import ENGINES, Engine
from harness.fleet.artefacts import Artefact, artefact, given
from harness.fleet.local import LocalTransport
from harness.fleet.payload import Payload
from harness.fleet.reach import Reached
from harness.fleet.session import Session
from harness.measure.job_spec import COMPILE_LIMIT_S
from harness.suites.suite import Workload

FAKE = Engine(
    name="fake",
    family="fake",
    kind="interpreter",
    ahead_of_time=False,
    program="python",
    entry="fake_run.py",
    files=(str(Path(__file__).with_name("fake_run.py")), "runner.py"),
    how_to_get="it is part of the tests",
)


@contextmanager
def session(root: Path, **options: Any) -> Iterator[Session]:
    """An agent with its files under ``root``."""
    opened = Session(LocalTransport(root, options.pop("controller", "tests")), "local", **options)
    try:
        yield opened
    finally:
        opened.close()


def member(name: str, script: dict[str, Any], **changes: Any) -> tuple[dict[str, Any], bytes]:
    """A workload of the fake engine: what the agent is told, and the module's bytes."""
    module = json.dumps(script).encode()
    spec = {
        "workload": name,
        "module": hashlib.sha256(module).hexdigest(),
        "argv": [name],
        "stdin": None,
        "files": {},
        "expect": {"exit_code": 0, "stdout_sha256": None},
    }
    return spec | changes, module


def job_spec(*specs: dict[str, Any], engine: Engine = FAKE, **changes: Any) -> dict[str, Any]:
    spec = {
        "id": "job1",
        "engine": engine.spec("1.0"),
        "members": list(specs),
        "regime": engine.regime,
        "ahead_of_time": engine.ahead_of_time,
        "keep": 200,
        "least": 5,
        "window_ns": 100_000_000,
        "limit_ns": 2_000_000_000,
        "warm_least_ns": 20_000_000,
        "warm_most_ns": 200_000_000,
        "memory_bytes": 1 << 30,
        "cpus": None,
    }
    return spec | changes


def run(
    agent: Session, *members: tuple[dict[str, Any], bytes], engine: Engine = FAKE, **changes: Any
) -> JobResult:
    """Push what is needed and run one job."""
    push(agent, *(module for _, module in members), engine=engine)
    result = agent.run("dataset", job_spec(*(spec for spec, _ in members), engine=engine, **changes), 60)
    assert result is not None
    return result


def made_of(engine: Engine, module: bytes, machine: str) -> Artefact:
    """The module as the controller compiles it. Raises NotMade."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "w.wasm")
        path.write_bytes(module)
        return artefact(engine, Workload("w", "w", path, ("w",)), machine)


def push(agent: Session, *contents: bytes, engine: Engine = FAKE) -> None:
    wanted: dict[str, Callable[[], bytes]] = {
        hashlib.sha256(data).hexdigest(): partial(bytes, data) for data in contents
    }
    wanted |= {digest: partial(bytes, data) for digest, data in engine.contents.items()}
    agent.push(wanted)


def run_workload(device: Reached, engine: str, workload: Workload, limit_s: float) -> MemberResult:
    """A workload's first execution under an engine, which the agent checks, without samples after it.

    The agent calls a job without samples a time-out; where the execution itself ended well, this is "ok".
    """
    payload = Payload(workload)
    more, artefacts = given(ENGINES[engine], device.device, workload, str(device.facts["machine"]))
    spec = job_spec(payload.spec | more, engine=ENGINES[engine], least=0, limit_ns=round(limit_s * 1e9))
    spec["engine"] = ENGINES[engine].spec(device.versions[engine])
    device.session.push(payload.contents | artefacts)
    result = device.session.run("suites", spec, limit_s + 2 * COMPILE_LIMIT_S)
    assert result is not None
    [found] = result.members
    if found.status == "timeout" and found.warmup_ns is not None:
        return msgspec.structs.replace(
            found, status="ok", reason="", more_count=1, more_wall_ns=max(1, found.warmup_ns)
        )
    return found
