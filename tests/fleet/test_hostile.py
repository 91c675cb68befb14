"""What a device sends is untrusted: it is refused with a reason, and the other devices go on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.dataset.store import Dataset
from harness.engines import ENGINES
from harness.errors import DeviceError
from harness.fleet.devices import Device
from harness.fleet.reach import Reached, reach
from harness.fleet.session import Session
from harness.fleet.transport import LinkLost
from harness.measure.stop import Stop
from harness.measure.workers import collect
from tests.devices import FAKE, job_spec, member
from tests.measure.storm import Log, make_storm_plan

HELLO = b'{"event":"hello","agent":1,"pid":3}'


class Scripted:
    """A transport that says what it was given, whatever it is asked."""

    def __init__(self, *lines: bytes) -> None:
        self.lines = list(lines)

    def send(self, line: bytes) -> None:
        pass

    def receive(self, timeout_s: float) -> bytes | None:
        return self.lines.pop(0) if self.lines else None

    def close(self) -> None:
        pass


def result(**changes: object) -> bytes:
    member_result = {"workload": "w", "status": "ok", "reason": "", "samples": [[1, 2, 3, 4, 5, True]]}
    told = {
        "job": "job1",
        "started_unix_ns": 1,
        "state_before": {},
        "state_after": {},
        "members": [member_result],
    }
    return json.dumps({"event": "result", "result": told | changes}).encode()


def member_with(**changes: object) -> list[dict[str, object]]:
    return [{"workload": "w", "status": "ok", "reason": "", "samples": []} | changes]


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"not json",
        b'{"event": "result", "result": {"job": NaN}}',
        b'{"event": "result"}',
        b'{"event": 5}',
        b"[" * 100_000,
        b'{"event": "result", "result": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"event": "' + b"x" * 10_000 + b'"}',
        b'\xff\xfe{"event": "result"}',
        result(job="somebody-elses"),
        result(members=member_with(samples=[[1, -2, 3, 4, 5, True]])),
        result(members=member_with(samples=[[1, 1e300, 3, 4, 5, True]])),
        result(members=member_with(samples=[[1, 2**70, 3, 4, 5, True]])),
        result(members=member_with(samples=[[1, 2, 3]])),
        result(members=member_with(status="excellent")),
        result(members=member_with(reason="x" * 100_000)),
        result(members=member_with(workload=["w"])),
        result(members={}),
        result(started_unix_ns="yesterday"),
        result(state_before={"load_1m": "low"}),
        b'{"event": "stored", "sha256": "../../etc/passwd"}',
    ],
    ids=range(21),
)
def test_nonsense_in_place_of_a_result_is_refused_with_a_reason(line: bytes) -> None:
    session = Session(Scripted(HELLO, line), "hostile")
    with pytest.raises(DeviceError, match=r"^device hostile: "):
        session.run("d", job_spec(member("w", {})[0]), 1)


def test_an_agent_that_asks_for_what_it_was_not_offered_gets_nothing() -> None:
    session = Session(Scripted(HELLO, b'{"event":"missing","digests":["/etc/shadow"]}'), "hostile")
    with pytest.raises(DeviceError, match="asked for '/etc/shadow', which it was not offered"):
        session.push({"0" * 64: lambda: b"module"})


def test_an_agent_of_another_version_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DeviceError, match="its agent speaks version 99, this harness 1"):
        Session(Scripted(b'{"event":"hello","agent":99}'), "old")


def test_an_endless_line_ends_the_link(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from harness.fleet import channel, local

    monkeypatch.setattr(channel, "MAX_LINE_BYTES", 1 << 20)
    shouting = tmp_path / "python"
    shouting.write_text(f"#!/bin/sh\necho $$ > {tmp_path}/pid\nexec tr '\\0' x < /dev/zero\n")
    shouting.chmod(0o755)
    with pytest.raises(LinkLost, match="a line of more than 1048576 bytes"):
        Session(local.LocalTransport(tmp_path, "tests", str(shouting)), "shouting")
    assert not Path(f"/proc/{(tmp_path / 'pid').read_text().strip()}").exists()


def test_a_collection_goes_on_beside_a_device_that_lies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(ENGINES, "fake", FAKE)
    plan, workloads = make_storm_plan(tmp_path / "modules", ["honest", "liar"])
    device = Device(transport="local", name="honest", cache=str(tmp_path / "cache"), engines=["fake"])
    honest = reach(device, print)
    theirs = next(job for job in plan.jobs if job.device == "honest")
    lie = result(
        job=theirs.id,
        members=[
            {"workload": name, "status": "ok", "reason": "", "samples": [[1, 2, 3, 4, 5, True]]}
            for name in theirs.workloads
        ],
    )
    script = [HELLO, b'{"event":"spool_end"}', b'{"event":"missing","digests":[]}', lie] * 3
    liar_device = Device(
        transport="local", name="liar", python="/bin/false", cache=str(tmp_path / "none"), engines=["fake"]
    )
    liar = Reached(liar_device, Session(Scripted(*script), "liar"), {}, {"fake": "1.0"}, {})
    dataset = Dataset.create(tmp_path / "data")
    with dataset.locked():
        dataset.begin(plan.settings, "test", plan.jobs)
        outcome = collect(dataset, plan, [honest, liar], workloads, Log(), Stop(most_jobs=40))
    assert "liar" in outcome.set_aside
    assert "liar: sent job" in capsys.readouterr().out
    rows = dataset.observations(["device", "job"]).to_pylist()
    assert {row["device"] for row in rows} == {"honest"}
    assert len({row["job"] for row in rows}) > 20
