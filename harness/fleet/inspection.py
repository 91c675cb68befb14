"""`harness devices`: what each device is, which engines it has, and what would spoil measurements there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console

from harness.dataset.records import State
from harness.engines import ENGINES
from harness.errors import DeviceError
from harness.fleet.allotment import GIB, limits
from harness.fleet.bring import bring, take_away
from harness.fleet.devices import Device
from harness.fleet.provision import provision
from harness.fleet.reach import Reached, reach_all
from harness.fleet.releases import Release
from harness.fleet.session import Refused
from harness.fleet.transport import LinkLost
from harness.output import Column, Form, show
from harness.progress import bar
from harness.spelling import several

DEVICE_COLUMNS = [
    Column("device", "device", meaning="name in devices.yaml"),
    Column("reachable", "reachable", meaning="yes, or no and why"),
    Column("cpu", "cpu", meaning="processor"),
    Column("cores", "cores", meaning="how many"),
    Column("memory", "memory", meaning="with its unit"),
    Column("clock", "clock", meaning="highest, or now where it does not tell; with its unit"),
    Column("governor", "governor", meaning="of the clock"),
    Column("temperature", "°C", meaning="now"),
    Column("load", "load", meaning="one minute"),
    Column("disk", "free disk", meaning="with its unit"),
    Column("engines", "engines", meaning="how many it has"),
]
JSON_COLUMNS = [
    Column("device", "device", meaning="name in devices.yaml"),
    Column("problem", "problem", meaning="why it could not be reached, or empty"),
    Column("engines", "engines", meaning="version of each engine that it has"),
    Column("absent", "absent", meaning="of each other engine the reason"),
    Column("facts", "facts", meaning="what the device told of itself"),
    Column("state", "state", meaning="clock, governor, temperature, throttling, load, free memory now"),
    Column("warnings", "warnings", meaning="what would spoil measurements, and what to do"),
    Column("not_brought", "not brought", meaning="what --setup could not bring, each with the reason"),
]


@dataclass
class Inspection:
    """A device that answered, or the problem that kept it from answering."""

    device: str
    problem: str = ""
    facts: dict[str, Any] = field(default_factory=dict)
    state: State = field(default_factory=State)
    engines: dict[str, str] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    not_brought: dict[str, str] = field(default_factory=dict)

    @property
    def done(self) -> bool:
        """Whether it was reached, and all was brought that was asked for."""
        return not self.problem and not self.not_brought


@dataclass(frozen=True)
class Change:
    """What is to be done to the engines of devices before they are told.

    ``given`` are programs to bring and ``without`` those to take away. Where there are neither, ``setup`` installs
    what is absent, with ``releases`` beside packages.
    """

    setup: bool = False
    given: Mapping[str, Path] = field(default_factory=dict)
    without: Sequence[str] = ()
    releases: Sequence[Release] = ()

    def made(self, reached: Reached, console: Console) -> tuple[Reached, dict[str, str]]:
        """The device as it is then, and what could not be brought. Raises LinkLost, Refused, DeviceError."""
        if self.without:
            reached = take_away(reached, self.without, console)
        if self.given:
            return bring(reached, self.given, console), {}
        return (
            provision(reached, console, self.releases) if self.setup and not self.without else (reached, {})
        )


def inspect_all(
    devices: Sequence[Device], console: Console, change: Change | None = None
) -> list[Inspection]:
    """Reach all devices at once, and change what they have first."""
    reached, failed = reach_all(devices, console)
    found = [Inspection(error.device, problem=error.reason) for error in failed]
    changing = change and (change.setup or change.given or change.without)
    with bar(
        console, "changing engines of devices" if changing else "looking at devices", len(reached)
    ) as progress:
        for device in reached:
            name = device.device.name
            try:
                changed, not_brought = change.made(device, console) if change else (device, {})
                found.append(replace(inspect(changed), not_brought=not_brought))
            except (LinkLost, Refused, DeviceError) as error:
                found.append(Inspection(name, problem=str(error)))
            finally:
                device.session.close()
                progress.advance(name)
    for one in found:
        if one.not_brought:
            told = "; ".join(f"{what} ({why})" for what, why in one.not_brought.items())
            console.print(
                f"{one.device}: could not be brought: {told}. Repeat the command when they can be had, name another "
                "place with --manifest, or let its `engines:` name those that are wanted there.",
            )
    order = [device.name for device in devices]
    return sorted(found, key=lambda one: order.index(one.device))


def inspect(reached: Reached) -> Inspection:
    state = reached.session.state()
    return Inspection(
        device=reached.device.name,
        facts=reached.facts,
        state=state,
        engines=reached.versions,
        absent={
            name: f"{why}; {ENGINES[name].what_to_do(why)}"
            for name, why in reached.absent.items()
            if name in ENGINES
        },
        warnings=[
            *(
                f"{name} is the same machine: leave one out, or give each `cpus:` of its own"
                for name in reached.shares
            ),
            *warnings(reached.facts, state, reached.device),
        ],
    )


def warnings(facts: dict[str, Any], state: State, device: Device) -> list[str]:
    """What would spoil measurements there, each with what to do."""
    told = []
    cores = int(facts.get("cpus_allowed") or facts.get("cores") or 1)
    if state.governor and state.governor != "performance":
        told.append(
            f"the clock follows the load (governor {state.governor}): as root, "
            "echo performance | tee /sys/devices/system/cpu/cpu*/cpufreq/scaling_governor"
        )
    if state.load_1m is not None and state.load_1m > 0.3 * cores:
        told.append(
            f"it is busy (load {state.load_1m:.1f} on {several(cores, 'processor')}): end what runs there, or --idle 10"
        )
    if state.temperature_c is not None and state.temperature_c > 75:
        told.append(f"it is hot ({state.temperature_c:.0f} °C): cool it, or let jobs wait with --cool 60")
    if state.throttle_count:
        told.append(f"it has throttled {several(state.throttle_count, 'time')} since it was started: cool it")
    if facts.get("smt") and not device.cpus:
        told.append("processors share cores (SMT): pin with `cpus:` to one processor of each core")
    told += limits(facts)
    if facts.get("memory_bytes", GIB) < GIB // 2:
        told.append(
            f"it has little memory ({facts['memory_bytes'] / GIB:.2f} GiB): leave out the larger suites"
        )
    if facts.get("free_disk_bytes", GIB) < GIB // 4:
        told.append(
            f"its disk is nearly full ({facts['free_disk_bytes'] / GIB:.2f} GiB free): make room, or set `cache:`"
        )
    if abs(facts.get("clock_skew_s", 0)) > 2:
        told.append(
            f"its clock is {facts['clock_skew_s']:+.1f} s off: started_at will be wrong; times are not affected"
        )
    return told


def show_inspection(found: Sequence[Inspection], form: Form) -> None:
    if form is Form.json:
        keys = [column.key for column in JSON_COLUMNS]
        rows = [{key: getattr(one, key) for key in keys} for one in found]
        show(
            [
                row | {"state": msgspec.structs.asdict(one.state)}
                for row, one in zip(rows, found, strict=True)
            ],
            JSON_COLUMNS,
            form,
        )
        return
    show([_row(one) for one in found], DEVICE_COLUMNS, form)
    if form is Form.csv:
        return
    engines = [
        {
            "device": one.device,
            "engine": name,
            "state": one.engines.get(name) or f"absent: {one.absent[name]}",
        }
        for one in found
        for name in [*one.engines, *one.absent]
        if name in one.engines or name in one.absent
    ]
    if engines:
        print()
        show(engines, [Column("device", "device"), Column("engine", "engine"), Column("state", "version")])
    told = [{"device": one.device, "warning": warning} for one in found for warning in one.warnings]
    if told:
        print()
        show(
            told,
            [Column("device", "device"), Column("warning", "what would spoil measurements, and what to do")],
        )


def _row(one: Inspection) -> dict[str, Any]:
    facts, state = one.facts, one.state
    clock = facts.get("max_mhz") or facts.get("mhz")
    return {
        "device": one.device,
        "reachable": f"no: {one.problem}" if one.problem else "yes",
        "cpu": facts.get("model_name") or facts.get("machine"),
        "cores": facts.get("cores"),
        "memory": f"{facts['memory_bytes'] / GIB:.1f} GiB" if "memory_bytes" in facts else None,
        "clock": f"{float(clock):.0f} MHz" if clock else None,
        "governor": state.governor,
        "temperature": state.temperature_c,
        "load": state.load_1m,
        "disk": f"{facts['free_disk_bytes'] / GIB:.1f} GiB" if "free_disk_bytes" in facts else None,
        "engines": len(one.engines) or None,
    }
