"""A look at devices over a session each: load, round trips, one push, and what of a workload they already have."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.decide.inequality import Transfer
from harness.errors import DeviceError, UsageError, why
from harness.fleet.devices import Device
from harness.fleet.links import Sample
from harness.fleet.payload import Payload
from harness.fleet.reach import CONTROLLER
from harness.fleet.session import Refused, Session
from harness.fleet.transport import LinkLost, Unreachable
from harness.suites import load_workloads

PINGS = 5
PUSH_BYTES = 256 << 10
WAIT_S = 5.0  # for a device that another controller holds
RESULT_BYTES = 4096  # of what a workload prints, unless told otherwise


@dataclass(frozen=True)
class Looked:
    """What one device showed; ``has`` are the contents it has, of those asked for."""

    samples: list[Sample]
    has: frozenset[str]


def look(device: Device, contents: Sequence[str], *, link: bool) -> Looked:
    """Open a session, and with ``link`` time PINGS round trips and one push of random bytes. Raises DeviceError."""
    session: Session | None = None
    try:
        session = Session(device.connect(CONTROLLER), device.name, wait_s=WAIT_S)
        session.facts()
        for _ in range(PINGS if link else 0):
            session.ping()
        if link:
            session.trial_push(os.urandom(PUSH_BYTES))
        has = frozenset(contents) - frozenset(session.missing(list(contents)))
        return Looked(session.notes.take(), has)
    except (LinkLost, Refused, Unreachable, OSError) as error:
        raise DeviceError(device.name, why(error)) from error
    finally:
        if session:
            session.close()


def look_at(
    devices: Sequence[Device], here: str, contents: Sequence[str], advance: Callable[[str], None]
) -> tuple[dict[str, Looked], dict[str, str]]:
    """One after the other, so that they do not share the way; those that could not be reached with the reason."""
    seen: dict[str, Looked] = {}
    unreachable: dict[str, str] = {}
    for device in devices:
        advance(device.name)
        try:
            seen[device.name] = look(device, contents, link=device.name != here)
        except DeviceError as error:
            unreachable[device.name] = error.reason
    return seen, unreachable


@dataclass(frozen=True)
class Freight:
    """What a workload needs: the bytes of its module, of stdin and files, and the module's hash."""

    module_bytes: int
    input_bytes: int
    module: str

    @classmethod
    def of(cls, workload: str, benchmarks: Path | None) -> Freight:
        """Of a workload of the suites. Raises UsageError for one that no suite has."""
        known = load_workloads(benchmarks)
        if workload not in known:
            raise UsageError(
                f"no suite here has {workload}, so its bytes are not known; give them with --in."
            )
        payload = Payload(known[workload])
        module = payload.spec["module"]
        sizes = {digest: len(content()) for digest, content in payload.contents.items()}
        return cls(sizes[module], sum(size for digest, size in sizes.items() if digest != module), module)


def transfers(
    devices: Sequence[str],
    freight: Freight | None,
    seen: Mapping[str, Looked],
    bytes_in: float | None,
    bytes_out: float | None,
    handshakes: float,
) -> dict[str, Transfer]:
    """By device: ``bytes_in`` if given, else the inputs, and the module where the device is not known to have it."""
    out = RESULT_BYTES if bytes_out is None else bytes_out
    found = {}
    for device in devices:
        sent = bytes_in
        if sent is None:
            assert freight
            has = device in seen and freight.module in seen[device].has
            sent = freight.input_bytes + (0 if has else freight.module_bytes)
        found[device] = Transfer(float(sent), float(out), handshakes)
    return found
