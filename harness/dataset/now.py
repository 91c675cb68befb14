"""What a collection is doing at this moment, in ``now.json`` of its dataset: for onlookers, nothing of it is a result.

It is written anew every second or two, without waiting for the disk; whoever reads it late sees by ``at`` that nobody
writes it any more.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec

from harness.files import replacing

STALE_S = 15.0  # a collection that has not written for so long is over, or its machine stands still
State = Literal["measuring", "waiting", "set aside", "ended"]


class Doing(msgspec.Struct, frozen=True):
    """One device. Times are seconds since 1970 by the controller's clock."""

    device: str
    state: State
    since: float
    heard: float | None = None  # when the device last said anything
    platform: str = ""
    workloads: tuple[str, ...] = ()
    said: str = ""  # the last trouble that was told of it
    why: str = ""  # this job and no other, in an adaptive collection


class Now(msgspec.Struct, frozen=True):
    at: float
    pid: int
    devices: tuple[Doing, ...]
    running: bool = True  # false at the end of a collection


def write_now(root: Path, now: Now) -> None:
    """Raises OSError; whoever collects goes on without it."""
    with replacing(root / "now.json", durable=False) as partial:
        partial.write_bytes(msgspec.json.encode(now))


def read_now(root: Path) -> Now | None:
    """None where no collection has written it, or what is there cannot be read."""
    try:
        return msgspec.json.decode((root / "now.json").read_bytes(), type=Now)
    except (OSError, msgspec.DecodeError):
        return None
