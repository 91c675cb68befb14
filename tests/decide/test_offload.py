"""`harness offload`: light forecasts, NWSLite's inequality by hand, and a look at devices that answer."""

from __future__ import annotations

import hashlib
import json
import os
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pytest

from harness.decide.forecast import Forecast
from harness.decide.inequality import Place, Transfer, Wishes, decide, execution
from harness.decide.probe import Freight, Looked, look, transfers
from harness.errors import UsageError
from harness.fleet.devices import Device
from harness.fleet.links import Notes, Sample, append_history, from_dataset, of_device, read_history
from harness.fleet.reach import reach
from pitot_core import Pitot
from tests.report.report_data import collected

S = 1_000_000_000
ENGINES = ("engine0", "engine1", "engine2")


def test_the_forecaster_of_least_error_so_far_is_asked() -> None:
    """Against the five written out plainly over the whole series."""
    rng = np.random.default_rng(0)
    for series in (
        rng.normal(5, 1, 80),
        np.cumsum(rng.normal(size=80)),
        np.where(rng.random(80) < 0.1, 50.0, 1.0),
    ):
        values = series.tolist()
        forecast, errors = Forecast(), [0.0] * 5
        for n, value in enumerate(values):
            if n:
                before = values[:n]
                smooth, fast = before[0], before[0]
                for one in before[1:]:
                    smooth, fast = smooth + 0.05 * (one - smooth), fast + 0.5 * (one - fast)
                told = [before[-1], sum(before) / n, smooth, fast, median(before[-5:])]
                best = min(range(5), key=errors.__getitem__)
                assert forecast.value == pytest.approx(told[best])
                errors = [e + (t - value) ** 2 for e, t in zip(errors, told, strict=True)]
            forecast.update(value)
            assert forecast.errors == pytest.approx(errors)
        assert forecast.samples == 80


def test_before_any_sample_nothing_is_forecast() -> None:
    assert (Forecast().value, Forecast().forecaster) == (None, "")
    assert Forecast.of([3.0]).value == 3.0


def test_a_history_survives_a_torn_line_and_is_added_to(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "links.jsonl"
    first, second = Sample("a", 1, 0.5, 4), Sample("b", 2, rtt_ns=1e6)
    append_history(path, [first])
    with open(path, "ab") as file:
        file.write(b'{"device":"a","unix\n')
    append_history(path, [second])
    assert read_history(path) == [first, second]
    path.write_bytes(b"PAR1\x00")
    with pytest.raises(UsageError, match="is no history of links"):
        read_history(path)


def test_loads_closer_than_ten_seconds_are_one() -> None:
    loads = [Sample("a", t * S, load, 4) for t, load in ((0, 1), (4, 2), (9, 3), (11, 5), (22, 6))]
    pings = [Sample("a", 5 * S, rtt_ns=7.0), Sample("b", 5 * S, rtt_ns=9.0)]
    kept = of_device([*reversed(loads), *pings], "a")
    assert [one.load_1m for one in kept if one.load_1m is not None] == [1, 5, 6]
    assert [one.rtt_ns for one in kept if one.rtt_ns] == [7.0]


def test_what_is_left_of_a_processor() -> None:
    assert [Sample("a", 0, load, 4).cpu_share for load in (0, 3, 7)] == [1, 1, 0.5]
    assert Sample("a", 0, push_bytes=2000, push_ns=1e6).bandwidth_bytes_s == pytest.approx(2e6)


def test_a_dataset_is_a_history_of_load(tmp_path: Path) -> None:
    dataset = collected(tmp_path / "data")
    samples = from_dataset(dataset.root)
    states = dataset.observations(["state_before"])["state_before"].to_pylist()
    assert len(samples) == sum(1 for state in states if state and state["load_1m"] is not None)
    assert {one.cores for one in samples} <= {4.0}


def history(**of: dict[str, float]) -> list[Sample]:
    """Per device: load, round trip in ms and bytes per second."""
    found = []
    for device, told in of.items():
        found.append(Sample(device, S, told["load"], 1.0))
        if "rtt" in told:
            found.append(Sample(device, S, rtt_ns=told["rtt"] * 1e6))
            found.append(Sample(device, S, push_bytes=told["rate"], push_ns=1e9))
    return found


def decided(model: Pitot, samples: list[Sample], wishes: Wishes, **unreachable: str) -> list[dict[str, Any]]:
    here, there = Place("device0", "engine1"), [Place("device1")]
    moved = {"device1": Transfer(30_000, 10_000, 4)}
    return decide(model, "s/small/w3", here, there, moved, samples, unreachable, wishes)


def test_the_inequality_by_hand(model_path: Path) -> None:
    model = Pitot.load(model_path)
    samples = history(device0={"load": 3.0}, device1={"load": 1.0, "rtt": 2.0, "rate": 1e6})
    here, there = decided(model, samples, Wishes())
    assert here["total_ns"] == pytest.approx(here["execution_ns"] * 4)
    assert there["transfer_ns"] == pytest.approx(40e6)
    assert there["handshake_ns"] == pytest.approx(8e6)
    assert there["total_ns"] == pytest.approx(48e6 + 2 * there["execution_ns"])
    chosen = here if here["total_ns"] <= there["total_ns"] else there
    assert [row["choice"] for row in (here, there) if row is not chosen] == [""]
    assert chosen["choice"] == ("here" if chosen is here else "there")
    times = {engine: execution(model, "s/small/w3", Place("device1", engine), None)[1] for engine in ENGINES}
    assert there["engine"] == min(times, key=lambda engine: times[engine])
    bound = decided(model, samples, Wishes(eps=0.1))[0]["execution_ns"]
    assert bound > here["execution_ns"]


@pytest.mark.parametrize(
    ("wishes", "rtt", "load", "unreachable", "choices"),
    [
        (Wishes(), 1.0, 99.0, {}, ["", "there"]),
        (Wishes(), 10_000.0, 99.0, {}, ["here", ""]),
        (Wishes(prefer="remote"), 10_000.0, 0.0, {}, ["", "there"]),
        (Wishes(prefer="local"), 1.0, 99.0, {}, ["here", ""]),
        (Wishes(max_latency_ns=0.5e6), 1.0, 99.0, {}, ["here", "out"]),
        (Wishes(max_latency_ns=0.5e6, otherwise="fail"), 1.0, 99.0, {}, ["", "out"]),
        (Wishes(prefer="remote"), 1.0, 99.0, {"device1": "no route"}, ["here", "out"]),
    ],
)
def test_wishes(
    wishes: Wishes, rtt: float, load: float, unreachable: dict[str, str], choices: list[str], model_path: Path
) -> None:
    samples = history(device0={"load": load}, device1={"load": 0.0, "rtt": rtt, "rate": 1e9})
    rows = decided(Pitot.load(model_path), samples, wishes, **unreachable)
    assert [row["choice"] for row in rows] == choices
    assert all(row["reason"] for row in rows if row["choice"] == "out")


def test_a_link_that_was_never_measured_is_out_and_a_load_taken_as_idle(model_path: Path) -> None:
    here, there = decided(Pitot.load(model_path), [], Wishes())
    assert (here["choice"], here["cpu_share"]) == ("here", 1.0)
    assert "taken as idle" in here["reason"]
    assert (there["choice"], there["total_ns"]) == ("out", None)
    assert "never measured" in there["reason"]


def test_the_module_travels_only_where_it_is_not() -> None:
    freight = Freight(1000, 70, "m")
    seen = {"a": Looked([], frozenset({"m"})), "b": Looked([], frozenset())}
    told = transfers(["a", "b", "c"], freight, seen, None, None, 4)
    assert [told[name].bytes_in for name in "abc"] == [70, 1070, 1070]
    assert transfers(["b"], None, {}, 5.0, 6.0, 1)["b"] == Transfer(5, 6, 1)


def test_a_look_leaves_nothing_behind(tmp_path: Path) -> None:
    device = Device(transport="local", name="local", cache=str(tmp_path / "cache"))
    looked = look(device, ["0" * 64], link=True)
    told = looked.samples[0]
    assert told.cpu_share is not None
    assert sum(one.rtt_ns is not None for one in looked.samples) == 5
    assert looked.samples[-1].bandwidth_bytes_s is not None
    assert looked.has == frozenset()
    assert list((tmp_path / "cache" / "store").iterdir()) == []


@pytest.fixture
def devices_file(tmp_path: Path) -> Path:
    path = tmp_path / "devices.yaml"
    lines = [f"  {name}: {{transport: local, cache: {tmp_path}/{name}}}" for name in ("device0", "device1")]
    path.write_text("\n".join(["devices:", *lines, "  device9: {transport: ssh, host: 127.0.0.1, port: 1}"]))
    return path


def test_a_question_to_devices_that_answer(
    harness, model_path: Path, devices_file: Path, tmp_path: Path
) -> None:
    kept = tmp_path / "links.jsonl"
    asked = ["offload", model_path, "-w", "s/small/w3", "--here", "device0:engine1", "--in", "20000"]
    asked += ["--devices-file", devices_file, "--history", kept, "--json"]
    ran = harness(*asked)
    assert ran.code == 0, ran.err
    here, there = json.loads(ran.out)
    assert (here["device"], here["engine"], there["device"]) == ("device0", "engine1", "device1")
    assert {here["choice"], there["choice"]} in ({"here", ""}, {"", "there"})
    assert there["latency_ns"] > 0
    assert "no history: measured now" in ran.err
    assert {one.device for one in read_history(kept)} == {"device0", "device1"}
    again = harness(*asked, "--there", "device1:engine0", "--no-probe")
    assert again.code == 0, again.err
    assert json.loads(again.out)[1]["engine"] == "engine0"


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--there", "device7"], "no device named 'device7' in the model"),
        (["--there", "device1:engin0"], "no engine named 'engin0' in the model"),
        (["--there", "device0"], "a device is named twice"),
        (["-w", "s/small/w33"], "no workload named 's/small/w33' in the model"),
        (["--eps", "2"], "--eps 2 must be between 0 and 1"),
        (["--eps", "0.0001", "--no-probe"], "support no ε below"),
        (["--no-probe"], "no history "),
        (["--prefer", "cheaper"], "--prefer cheaper must be faster, remote or local"),
        (["--else", "cry"], "--else cry must be local or fail"),
        (["--devices-file", "none.yaml"], "no none.yaml"),
    ],
)
def test_a_bad_question_is_one_sentence_and_exit_code_2(
    options: list[str], told: str, harness, model_path: Path, devices_file: Path, tmp_path: Path
) -> None:
    kept = tmp_path / "links.jsonl"
    asked = ["offload", model_path, "--here", "device0", "--in", "20000", "--devices-file", devices_file]
    ran = harness(*asked, "-w", "s/small/w3", "--history", kept, *options)
    assert (ran.code, ran.out) == (2, "")
    assert told in ran.err
    assert ran.err.count("\n") == 1
    assert not kept.exists()


def test_bytes_of_an_unknown_workload_have_to_be_given(harness, model_path: Path, devices_file: Path) -> None:
    asked = ["offload", model_path, "-w", "s/small/w3", "--here", "device0", "--devices-file", devices_file]
    ran = harness(*asked)
    assert (ran.code, "no suite here has s/small/w3" in ran.err) == (2, True)


def test_whoever_reaches_a_device_adds_to_its_history(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The load, a round trip, and a push that is long enough; nothing of it is needed."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    device = Device(transport="local", name="near", cache=str(tmp_path / "cache"), engines=["wasmtime-j"])
    session = reach(device, print).session
    session.push({hashlib.sha256(data).hexdigest(): partial(bytes, data) for data in (b"x" * 99_000, b"few")})
    session.close()
    found = read_history(tmp_path / "state" / "harness" / "links.jsonl")
    assert {one.device for one in found} == {"near"}
    assert [one.cores for one in found if one.load_1m is not None] == [float(os.cpu_count() or 0)]
    assert [one.push_bytes for one in found if one.push_ns] == [99_000]
    assert len([one for one in found if one.rtt_ns]) == 1
    (tmp_path / "state" / "harness" / "links.jsonl").unlink()
    (tmp_path / "state" / "harness").rmdir()
    (tmp_path / "state" / "harness").touch()  # no room for it
    session = reach(device, print).session
    session.close()


def test_what_a_device_says_of_itself_is_not_believed() -> None:
    notes = Notes("near")
    notes.add(load_1m=-3.0, cores=4.0)
    notes.add(load_1m=0.5, cores=0.0)
    notes.add(load_1m=0.5, cores=4.0)
    assert [(one.load_1m, one.cores) for one in notes.take()] == [(0.5, 4.0)]
    assert notes.take() == []
