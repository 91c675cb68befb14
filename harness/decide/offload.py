"""`harness offload`: from a question to the inequality, by a history of samples and a look at the devices now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.decide.inequality import Place, Wishes, decide, execution
from harness.decide.predict import devices_of
from harness.decide.probe import Freight, Looked, look_at, transfers
from harness.errors import UnknownName, UsageError
from harness.fleet import links
from harness.fleet.devices import choose, load_devices
from harness.output import Column, duration
from harness.progress import Bar
from pitot_core import Pitot

OFFLOAD_COLUMNS = [
    Column("device", "device", meaning="where it might run; the first is here"),
    Column("engine", "engine", meaning="under which engine: the fastest there, unless named"),
    Column(
        "choice", "choice", meaning="here or there for the one chosen, out for one that cannot be, else empty"
    ),
    Column("total_ns", "total", True, "forecast of the time until the result is here, ns"),
    Column(
        "execution_ns", "execution", True, "predicted time (or bound, with --eps) on an idle processor, ns"
    ),
    Column("cpu_share", "at CPU", True, "forecast of how much of a processor it gets, from 0 to 1"),
    Column("transfer_ns", "transfer", True, "bytes in and out over the bandwidth, ns; null here"),
    Column("handshake_ns", "handshakes", True, "handshakes times the latency, ns; null here"),
    Column("bandwidth_bytes_s", "bytes/s", True, "forecast, upward; downward is taken to be the same"),
    Column("latency_ns", "latency", True, "forecast of one round trip, ns"),
    Column("samples", "samples", True, "that the processor's forecast rests on"),
    Column("forecaster", "forecasters", meaning="best so far for processor, bandwidth and latency"),
    Column("reason", "why", meaning="why it is out, or what is not known of it"),
]


@dataclass(frozen=True)
class Question:
    """What is asked: ``there`` empty means every other device. ``histories`` are files or datasets."""

    workload: str
    here: Place
    there: tuple[Place, ...]
    bytes_in: float | None
    bytes_out: float | None
    handshakes: float
    histories: tuple[Path, ...]
    probe: bool
    devices_file: Path
    benchmarks: Path | None

    @classmethod
    def of(
        cls,
        workload: str,
        here: str,
        there: Sequence[str],
        bytes_in: float | None,
        bytes_out: float | None,
        handshakes: float,
        histories: Sequence[Path],
        probe: bool,
        devices_file: Path,
        benchmarks: Path | None,
    ) -> Question:
        places = tuple(Place.parse(text) for text in there)
        return cls(
            workload, Place.parse(here), places, bytes_in, bytes_out, handshakes, tuple(histories), probe,
            devices_file, benchmarks,
        )  # fmt: skip


def ask(
    model: Pitot, question: Question, wishes: Wishes, progress: Bar
) -> tuple[list[dict[str, Any]], list[str]]:
    """Rows of the inequality, and what a reader should know of where its samples come from.

    Every name is checked before a device is reached. What the look saw is kept in the history.
    Raises UnknownName, UsageError, DevicesError, ModelError.
    """
    names = [question.here.device, *(place.device for place in question.there)]
    if len(set(names)) < len(names):
        raise UsageError("a device is named twice; name each once, with --here or with --there.")
    for place in (question.here, *question.there):
        execution(model, question.workload, place, wishes.eps)
    listed = load_devices(question.devices_file) if question.probe else {}
    there = question.there
    if not there:
        known = [name for name in devices_of(model) if name != question.here.device]
        there = tuple(Place(name) for name in known if not question.probe or name in listed)
        if not there:
            raise UsageError(
                f"no other device is both known to the model and listed in {question.devices_file}; name one with "
                "--there, and add --no-probe where it is not listed."
            )
        names += [place.device for place in there]
    chosen = (
        choose(listed, [name for name in names if name in listed], question.devices_file) if listed else []
    )
    for name in names if question.probe else ():
        if name not in listed:
            raise UnknownName(
                "device", name, listed, where=str(question.devices_file), hint="Or give --no-probe."
            )
    freight = Freight.of(question.workload, question.benchmarks) if question.bytes_in is None else None
    samples, keep = remembered(question.histories, makes=question.probe)
    notes: list[str] = []
    before = len(samples)
    seen: dict[str, Looked] = {}
    unreachable: dict[str, str] = {}
    if question.probe:
        contents = [freight.module] if freight else []
        progress.at(0, len(chosen))
        seen, unreachable = look_at(chosen, question.here.device, contents, progress.advance)
        fresh = [sample for one in seen.values() for sample in one.samples]
        links.append_history(keep, fresh)
        samples += fresh
        if not before:
            notes.append("no history: measured now, once; each later question adds a sample")
    moved = transfers(
        [place.device for place in there],
        freight,
        seen,
        question.bytes_in,
        question.bytes_out,
        question.handshakes,
    )
    rows = decide(model, question.workload, question.here, there, moved, samples, unreachable, wishes)
    return rows, notes


def remembered(histories: Sequence[Path], *, makes: bool) -> tuple[list[links.Sample], Path]:
    """All samples, and the file that new ones go to, which need not be there yet where it ``makes`` some.

    Raises UsageError for a history that is none.
    """
    samples: list[links.Sample] = []
    files = [path for path in histories if not path.is_dir()]
    keep = files[0] if files else links.default_history()
    for path in (*histories, *([] if files else [keep])):
        if path.is_dir():
            samples += links.from_dataset(path)
        elif path.exists():
            samples += links.read_history(path)
        elif path in histories and not (makes and path == keep):
            raise UsageError(f"no history {path}; name a file that `harness offload` wrote, or a dataset.")
    return samples, keep


def sentences(workload: str, rows: Sequence[dict[str, Any]], wishes: Wishes) -> list[str]:
    """What was decided, and what it would be on an idle device, for a person who may disagree."""
    here = rows[0]
    chosen = next((row for row in rows if row["choice"] in ("here", "there")), None)
    if chosen is None:
        return [f"{workload}: no device is left to go to, and --else fail says not to run it here"]
    others = [row for row in rows[1:] if row["choice"] != "out"]
    if chosen is here:
        told = [f"{workload}: stay on {here['device']}, {duration(here['total_ns'])}"]
        if not others:
            told[0] += "; no other device is left"
    else:
        told = [
            f"{workload}: go to {chosen['device']}, {duration(chosen['total_ns'])} instead of "
            f"{duration(here['total_ns'])} on {here['device']}"
        ]
    for row in others:
        idle = row["total_ns"] - row["execution_ns"] / row["cpu_share"] + row["execution_ns"]
        if row["cpu_share"] < 1 and idle < 0.95 * row["total_ns"]:
            told.append(f"idle, {row['device']} would take {duration(idle)}")
    return told
