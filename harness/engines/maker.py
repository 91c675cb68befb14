"""How an engine's artefacts are made on the controller, for devices that cannot or shall not compile."""

from __future__ import annotations

import hashlib
import platform
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Protocol

from harness.engines.runners import HERE
from harness.errors import why
from harness.files import temporary
from harness.processes import killed_by, run_to_end
from harness.suites.suite import Workload

Words = tuple[str, ...]
COMPILE_LIMIT_S = 120


class NotMade(Exception):
    """No artefact: the compiler is not here, does not know the processor, or does not accept the workload."""


class NotMadeNow(NotMade):
    """No artefact this time, through no fault of the workload: somebody ended the compiler."""


class Maker(Protocol):
    def takes(self, workload: Workload) -> bool:
        """Whether it has what it needs of a workload."""

    def version(self) -> str:
        """Of what compiles, as a part of the engine's version. Raises NotMade where it is not here."""

    def recipe(self, workload: Workload, machine: str) -> Any:
        """All that an artefact depends on but the version, to be written as JSON. Raises NotMade, SuiteError."""

    def make(self, workload: Workload, machine: str, target: Path) -> int:
        """Make the artefact for a processor type (as `uname -m` tells it); compile time in ns. Raises NotMade."""


@dataclass(frozen=True)
class CommandMaker:
    """Compiles a module by command lines, in words as those of `Command`; ``{python}`` is this interpreter.

    ``versions`` are commands by what stands before what they tell. ``{target}`` becomes the words for the device's
    processor; without ``targets`` only devices of the controller's processor type can be served.
    """

    versions: tuple[tuple[str, Words], ...]
    compile: tuple[Words, ...]
    targets: Mapping[str, Words] = field(default_factory=dict)
    files: tuple[str, ...] = ()

    def takes(self, workload: Workload) -> bool:
        return True

    def version(self) -> str:
        return "+".join(label + told_version(words) for label, words in self.versions)

    def recipe(self, workload: Workload, machine: str) -> Any:
        return [workload.module_sha256, self.compile, self._target(machine), *map(file_sha256, self.files)]

    def make(self, workload: Workload, machine: str, target: Path) -> int:
        with temporary("made") as scratch:
            module = scratch / "module.wasm"
            module.write_bytes(workload.module.read_bytes())
            values = {"module": module, "artefact": target, "scratch": scratch, "here": HERE}
            start = time.perf_counter_ns()
            for words in self.compile:
                self._run(words, {name: str(value) for name, value in values.items()}, machine, str(scratch))
            return time.perf_counter_ns() - start

    def _run(self, words: Words, values: Mapping[str, str], machine: str, scratch: str) -> None:
        command: list[str] = []
        for word in words:
            if word == "{target}":
                command += self._target(machine)
            else:
                command.append(re.sub(r"\{(\w+)\}", lambda found: values.get(found[1], found[0]), word))
        done = _run(command, scratch)
        if done.returncode:
            lines = [line.strip() for line in (done.stderr + done.stdout).splitlines() if line.strip()]
            first = next(
                (line for line in lines if "error" in line.lower()), lines[-1] if lines else "no message"
            )
            raise NotMade(f"does not compile: {first[:300]}")

    def _target(self, machine: str) -> Words:
        if machine in self.targets:
            return self.targets[machine]
        if self.targets or machine != platform.machine():
            known = ", ".join(self.targets) or platform.machine()
            raise NotMade(f"{self.compile[0][0]} on this machine compiles for {known}, not for {machine!r}")
        return ()


@cache
def told_version(words: Words) -> str:
    """The version a command tells. Raises NotMade where there is no such command or it tells none."""
    done = _run(words, None)
    told = re.search(r"\d+(\.\d+)+[\w.+-]*|^\w+$", done.stdout + done.stderr, re.M)
    if done.returncode or not told:
        raise NotMade(f"{words[0]} on this machine does not tell its version")
    return told.group()


def file_sha256(name: str) -> str:
    """The hash of one of the engines' own files, by its path from this directory."""
    return hashlib.sha256((HERE / name).read_bytes()).hexdigest()


def _run(words: Sequence[str], folder: str | None) -> subprocess.CompletedProcess[str]:
    program = sys.executable if words[0] == "{python}" else shutil.which(words[0])
    if not program:
        raise NotMade(f"no {words[0]} on this machine")
    try:
        done = run_to_end([program, *words[1:]], cwd=folder, within_s=COMPILE_LIMIT_S)
    except subprocess.TimeoutExpired as error:
        raise NotMade(f"{words[0]} did not end within {COMPILE_LIMIT_S} s") from error
    except OSError as error:
        raise NotMade(f"{words[0]} does not run here: {why(error, program)}") from error
    if killer := killed_by(done):
        raise NotMadeNow(f"{Path(program).name} on this machine was killed by {killer}")
    return done
