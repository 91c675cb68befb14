"""What an engine that compiles ahead of time runs: made here once, or by the controller. Device side, Python 3.8+."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import shutil
from typing import Any, Callable

import runner
import spawned  # type: ignore[import-not-found,unused-ignore]

HERE = os.path.dirname(os.path.abspath(__file__))


class Compiled:
    """The artefact of one module; ``run`` executes a command and returns (succeeded, what it said, ns)."""

    def __init__(
        self, steps: list[list[str]], scratch: str, run: Callable[[list[str]], tuple[bool, str, int]]
    ) -> None:
        self.steps, self.scratch, self.run = steps, scratch, run
        self.path = os.path.join(scratch, "artefact.bin")

    def given(self, artefact: dict[str, Any]) -> dict[str, Any]:
        """What the controller compiled, as a file that can be executed."""
        shutil.copyfile(artefact["path"], self.path)
        os.chmod(self.path, 0o700)
        return {"compile_ns": artefact["compile_ns"], "load_ns": 0, "cached": artefact["cached"]}

    def made(self, command: dict[str, Any], values: dict[str, Any]) -> dict[str, Any]:
        """Compile once per module, version, target, command and what it takes from here.

        The time and a hash are kept beside the artefact. ``values`` are for the words of the steps.
        """
        recipe = [self.steps, ours(self.steps)]
        how = hashlib.sha256(json.dumps(recipe).encode()).hexdigest()[:8]
        name = "-".join((os.path.basename(command["module"]), command["version"], platform.machine(), how))
        self.path = os.path.join(command["artefacts"], re.sub(r"[^\w.+-]", "_", name) + ".bin")
        try:
            with open(self.path + ".json") as file:
                known = json.load(file)
            if known["sha256"] == digest(self.path):
                return {"compile_ns": known["compile_ns"], "load_ns": 0, "cached": True}
        except (OSError, ValueError, KeyError):
            pass
        compile_ns = self.compile(values)
        told = {"compile_ns": compile_ns, "sha256": digest(self.path)}
        runner.write_whole(self.path + ".json", json.dumps(told).encode())
        return {"compile_ns": compile_ns, "load_ns": 0, "cached": False}

    def compile(self, values: dict[str, Any]) -> int:
        partial = os.path.join(self.scratch, "artefact.bin")
        taken_ns = 0
        for words in self.steps:
            filled = spawned.fill(words, {**values, "artefact": partial}, {"target": []})
            succeeded, said, wall_ns = self.run(filled)
            taken_ns += wall_ns
            if not succeeded:
                raise runner.Fail("does not compile: " + spawned.complaint(said))
        if not os.path.exists(partial):
            raise runner.Fail("%s left no compiled module" % self.steps[-1][0])
        shutil.copy(partial, self.path + ".%d" % os.getpid())
        os.replace(self.path + ".%d" % os.getpid(), self.path)
        os.unlink(partial)
        return taken_ns


def ours(commands: list[list[str]], place: str = HERE) -> list[list[str]]:
    """Names and hashes of the files here, where a command takes any of them."""
    if not any("{here}" in word for words in commands for word in words):
        return []
    files = sorted(name for name in os.listdir(place) if os.path.isfile(os.path.join(place, name)))
    return [[name, digest(os.path.join(place, name))] for name in files]


def digest(path: str) -> str:
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()
