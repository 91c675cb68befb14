"""Reaching the devices: an agent on each, what the machine is, and which engines it has."""

from __future__ import annotations

import contextlib
import os
import random
import re
import resource
import socket
import tempfile
import time
import traceback
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from rich.console import Console

from harness.engines import ENGINES, Engine
from harness.engines.maker import NotMade
from harness.errors import DeviceError, UnknownName, UsageError, why
from harness.fleet.artefacts import Artefact, made_here, probe, version_of
from harness.fleet.devices import Device
from harness.fleet.session import PING_EVERY_S, Refused, Session
from harness.fleet.transport import LinkLost, Transport, Unreachable, user
from harness.progress import bar

CONNECT_ATTEMPTS = 4
FILES, FILES_EACH = 128, 12  # open at once: of this program, and for each device


@dataclass
class Reached:
    """A device that answered: what it is and which engines it has."""

    device: Device
    session: Session
    facts: dict[str, Any]
    versions: dict[str, str]
    absent: dict[str, str]
    shares: list[str] = field(default_factory=list)  # other devices that are the same machine

    @property
    def processors(self) -> int:
        """How many its workloads may use."""
        told = str(self.facts.get("cpus_allowed") or self.facts.get("cores") or 1)
        return len(self.device.cpus) if self.device.cpus else int(float(told))


class OneDevice(DeviceError):
    """Two entries of devices.yaml are one device by two names."""

    def __init__(self, device: str, other: str) -> None:
        self.other = other
        reason = (
            f"it keeps its files in the same directory as {other}, so they are one machine or share a home "
            "directory: leave one of them out, or give each a `cache:` of its own"
        )
        super().__init__(device, reason)


CONTROLLER = f"{user()}@{socket.gethostname()}/{os.getpid()}-{uuid.uuid4().hex[:8]}"


def reach(device: Device, said: Callable[[str], None], wait_s: float = 120.0) -> Reached:
    """Start an agent on a device and ask what is there.

    Waits for another agent's running job to end. Raises DeviceError, also where the device is another one's by
    another name, or has not the processors it is to use.
    """
    told: set[str] = set()

    def on_busy(holder: str) -> None:
        other = holder.removeprefix(f"{CONTROLLER}/").rpartition(" (agent")[0]
        if holder.startswith(f"{CONTROLLER}/") and other != device.name:
            raise OneDevice(device.name, other)
        if holder not in told:
            said(f"{device.name}: it is held by {holder}; waiting")
            told.add(holder)

    session: Session | None = None
    try:
        session = Session(_connected(device), device.name, wait_s=wait_s, on_busy=on_busy)
        facts = session.facts()
        session.ping()  # for the history of links
        there = str(facts.get("cpus", ""))
        if missing := [str(number) for number in device.cpus or () if not has_processor(there, number)]:
            raise DeviceError(
                device.name,
                f"`cpus:` names processor {', '.join(missing)}, and it has {there}; correct that",
            )
        return detect(Reached(device, session, facts, {}, {}))
    except (LinkLost, Refused, DeviceError, Unreachable, OSError) as error:
        if session:
            session.close()
        raise error if isinstance(error, DeviceError) else DeviceError(device.name, why(error)) from error
    except Exception as error:
        if session:
            session.close()
        raise DeviceError(device.name, defect(error)) from error


def _connected(device: Device) -> Transport:
    """The agent's channel. A lost link is tried again, since a gateway turns away some of many that come at once."""
    for attempt in range(CONNECT_ATTEMPTS):
        try:
            return device.connect(f"{CONTROLLER}/{device.name}")
        except LinkLost:
            if attempt + 1 == CONNECT_ATTEMPTS:
                raise
            time.sleep(2.0**attempt * random.uniform(0.25, 0.75))
    raise AssertionError


def defect(error: Exception) -> str:
    """What to say of an error that nobody expected; one device's ends nothing but its own part of a command."""
    with tempfile.NamedTemporaryFile(
        "w", prefix="harness-", suffix=".txt", delete=False, encoding="utf-8"
    ) as file:
        file.write("".join(traceback.format_exception(error)))
    return f"a defect of harness ({type(error).__name__}: {error}); please report it with {file.name}"


def detect(reached: Reached) -> Reached:
    """The same device with the engines it has now. Raises LinkLost, Refused, DeviceError."""
    wanted = [ENGINES[name] for name in reached.device.engines or ENGINES]
    here = [engine for engine in wanted if made_here(engine, reached.device)]
    probes, absent = _probes(here, reached)
    asked = [engine for engine in wanted if engine.name not in absent]
    contents: dict[str, Callable[[], bytes]] = {
        digest: partial(bytes, data) for engine in asked for digest, data in engine.contents.items()
    }
    contents |= {made.sha256: made.path.read_bytes for made in probes.values()}
    reached.session.push(contents)
    found = reached.session.detect(
        {
            engine.name: engine.spec(probe=probes[engine.name].sha256 if engine.name in probes else None)
            for engine in asked
        }
    )
    versions: dict[str, str] = {}
    for engine in asked:
        answer = found.get(engine.name, {})
        made = engine.name in probes
        if "version" in answer:
            versions[engine.name] = version_of(engine, answer["version"]) if made else answer["version"]
        else:
            why = answer.get("absent", "no answer")
            by = f"; it was given what {version_of(engine, '')} on the controller compiled" if made else ""
            absent[engine.name] = why + by
    return replace(reached, versions=versions, absent=absent)


def _probes(engines: Sequence[Engine], reached: Reached) -> tuple[dict[str, Artefact], dict[str, str]]:
    """An empty module compiled here for each of these engines, and why it could not be.

    A compiler's first use may take a minute; meanwhile the agent is asked something, or it would think us gone.
    """
    machine = str(reached.facts.get("machine", ""))
    made: dict[str, Artefact] = {}
    absent: dict[str, str] = {}
    with ThreadPoolExecutor(1) as pool:
        for engine in engines:
            making = pool.submit(probe, engine, machine)
            while not wait([making], timeout=PING_EVERY_S).done:
                reached.session.state()
            try:
                made[engine.name] = making.result()
            except NotMade as reason:
                absent[engine.name] = str(reason)
    return made, absent


def reach_all(devices: Sequence[Device], console: Console) -> tuple[list[Reached], list[DeviceError]]:
    """Every device at once: those that answered, and why the others did not.

    Of two that are one, neither is taken: which came first is chance, and a dataset would have either name.
    """

    def attempt(device: Device) -> Reached | DeviceError:
        try:
            return reach(device, console.print)
        except DeviceError as error:
            return error
        finally:
            progress.advance(device.name)

    allow_open_files(len(devices))
    with (
        bar(console, "asking devices for their engines", len(devices)) as progress,
        ThreadPoolExecutor(max(1, min(64, len(devices)))) as pool,
    ):
        answers = list(pool.map(attempt, devices))
    twins = {a.other: a.device for a in answers if isinstance(a, OneDevice)}
    for number, answer in enumerate(answers):
        if isinstance(answer, Reached) and answer.device.name in twins:
            answer.session.close()
            answers[number] = OneDevice(answer.device.name, twins[answer.device.name])
    for told in same_machine([a for a in answers if isinstance(a, Reached)]):
        console.print(told)
    return [a for a in answers if isinstance(a, Reached)], [a for a in answers if isinstance(a, DeviceError)]


def same_machine(reached: Sequence[Reached]) -> list[str]:
    """A sentence for each machine that several devices are, unless each has processors of its own."""
    machines: dict[str, list[Reached]] = {}
    for one in reached:
        if one.session.boot:
            machines.setdefault(one.session.boot, []).append(one)
    told = []
    for many in machines.values():
        pinned = [cpu for one in many for cpu in one.device.cpus or ()]
        if len(many) < 2 or (all(one.device.cpus for one in many) and len(set(pinned)) == len(pinned)):
            continue
        names = [one.device.name for one in many]
        for one in many:
            one.shares = [name for name in names if name != one.device.name]
        told.append(
            f"{', '.join(names[:-1])} and {names[-1]} are one machine: what runs as one disturbs what is measured as "
            "another; leave out all but one, or give each `cpus:` of its own"
        )
    return told


def allow_open_files(devices: int) -> None:
    """Let this process keep enough files open for so many devices, as far as the machine allows it."""
    wanted = FILES + FILES_EACH * devices
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return
    enough = hard == resource.RLIM_INFINITY or hard >= wanted
    for limits in ((wanted, hard if enough else wanted), (hard, hard)):  # only root may raise the hard limit
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
            return


def has_processor(told: str, number: int) -> bool:
    """Whether a list of processors, such as 0-3,8, has one; any has where the device tells none."""
    spans = re.findall(r"(\d{1,6})(?:-(\d{1,6}))?", told)
    return not spans or any(int(first) <= number <= int(last or first) for first, last in spans)


def check_engines(names: Sequence[str]) -> None:
    """Raises UnknownName for what is no engine on any device."""
    for name in names:
        if name not in ENGINES:
            raise UnknownName("engine", name, ENGINES)


def choose_engines(reached: Sequence[Reached], names: Sequence[str]) -> list[Engine]:
    """The engines asked for, or all that some device has. Raises UsageError."""
    check_engines(names)
    for name in names:
        if not any(name in device.versions for device in reached):
            why = {d.device.name: d.absent[name] for d in reached if name in d.absent}
            told = "".join(f" {device} says: {reason}." for device, reason in [*why.items()][:3])
            to_do = " or ".join({ENGINES[name].what_to_do(reason): None for reason in why.values() or [""]})
            raise UsageError(f"no device has the engine {name!r}.{told} To use it there: {to_do}.")
    return [
        e
        for e in ENGINES.values()
        if e.name in names or (not names and any(e.name in d.versions for d in reached))
    ]


def platform_rows(reached: Sequence[Reached], engines: Sequence[Engine]) -> list[dict[str, Any]]:
    """Rows for platforms.parquet."""
    return [
        {
            "platform": f"{engine.name}:{device.device.name}",
            "engine": engine.name,
            "device": device.device.name,
            "engine_version": device.versions[engine.name],
            "family": engine.family,
            "kind": engine.kind,
            "ahead_of_time": engine.ahead_of_time,
            "wall_contains": engine.wall_contains,
            "facts": [
                *((key, str(value)) for key, value in device.facts.items()),
                *([("compiled_on", "controller")] if made_here(engine, device.device) else []),
            ],
        }
        for device in reached
        for engine in engines
        if engine.name in device.versions
    ]
