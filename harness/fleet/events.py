"""What an agent says: one JSON object a line, checked before anything believes it."""

from __future__ import annotations

from typing import Annotated

import msgspec

from harness.dataset.records import JobResult, Name, Nanoseconds, State, Text


class Event(msgspec.Struct):
    """The fields any event may have; each answer is then checked for those it needs."""

    event: Name
    reason: Text = ""
    agent: int = 0
    pid: int = 0
    holder: Name = ""
    boot: Name = ""
    sha256: Name = ""
    job: Name = ""
    jobs: list[Name] = []
    digests: list[Name] = []
    state: State = State()
    unix_ns: Nanoseconds = 0
    facts: dict[Name, Annotated[str, msgspec.Meta(max_length=300)] | float | bool] = {}
    engines: dict[Name, dict[Name, Text]] = {}
    result: msgspec.Raw = msgspec.Raw(b"")


# Made here and not where they are used: msgspec prepares a type at its first use, and crashes where two threads of
# different devices do that at once.
EVENTS, RESULTS = msgspec.json.Decoder(Event), msgspec.json.Decoder(JobResult)
