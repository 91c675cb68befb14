"""What is compiled on this machine for devices: once for each module, engine version and processor type."""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from harness.engines import Engine
from harness.engines.maker import NotMade
from harness.engines.runners.runner import EMPTY_MODULE
from harness.errors import SuiteError, why
from harness.files import cache_directory, scratch, temporary
from harness.fleet.devices import Device
from harness.opcodes import unknown_import
from harness.suites.suite import Native, Workload

_ONE_AT_A_TIME = threading.Lock()  # they would only compete for this machine's processors


@dataclass(frozen=True)
class Artefact:
    """A file with its SHA-256, what compiling it took, and whether that was done before."""

    path: Path
    sha256: str
    compile_ns: int
    cached: bool

    @property
    def spec(self) -> dict[str, Any]:
        """What the agent is told."""
        return {"sha256": self.sha256, "compile_ns": self.compile_ns, "cached": self.cached}


def made_here(engine: Engine, device: Device) -> bool:
    """Whether the controller compiles for this engine on this device."""
    return engine.maker is not None and (engine.only_made or device.compile == "controller")


def artefact(engine: Engine, workload: Workload, machine: str) -> Artefact:
    """The workload compiled for an engine on devices of a processor type. Raises NotMade."""
    maker = engine.maker
    if maker is None:
        raise NotMade(f"{engine.name} compiles on the device only")
    try:
        made_of = maker.recipe(workload, machine)  # first: whether it compiles for that processor at all
        recipe = [engine.name, maker.version(), machine, made_of]
    except (OSError, SuiteError) as error:
        raise NotMade(why(error)) from error
    path = cache_directory("made") / hashlib.sha256(json.dumps(recipe).encode()).hexdigest()
    note = path.with_suffix(".json")
    with _ONE_AT_A_TIME:
        try:
            known = json.loads(note.read_text(encoding="utf-8"))
            if known["sha256"] == _sha256(path):
                return Artefact(path, known["sha256"], known["compile_ns"], cached=True)
        except (OSError, ValueError, KeyError):
            pass  # never made, or damaged
        with scratch(path.parent, "artefact") as place:
            fresh, fresh_note = place / "artefact", place / "note"
            compile_ns = maker.make(workload, machine, fresh)
            if not fresh.exists():
                raise NotMade("the compiler left nothing")
            sha256 = _sha256(fresh)
            fresh_note.write_text(json.dumps({"sha256": sha256, "compile_ns": compile_ns}), encoding="utf-8")
            os.replace(fresh, path)
            os.replace(fresh_note, note)
    return Artefact(path, sha256, compile_ns, cached=False)


def given(
    engine: Engine, device: Device, workload: Workload, machine: str
) -> tuple[dict[str, Any], dict[str, Callable[[], bytes]]]:
    """What a device gets of a workload beside its module: for the agent's description, and bytes by their SHA-256.

    Nothing where it compiles itself. Raises NotMade, also for a module with an import that no engine has: some engines
    refuse it, others trap when it is called, and an import that is never called would pass unseen.
    """
    stat = workload.module.stat()
    if unknown := _unknown_import(workload.module, stat.st_mtime_ns, stat.st_size):
        raise NotMade(unknown)
    if not made_here(engine, device):
        return {}, {}
    made = artefact(engine, workload, machine)
    return {"artefact": made.spec}, {made.sha256: made.path.read_bytes}


@cache
def _unknown_import(module: Path, mtime_ns: int, size: int) -> str | None:
    return unknown_import(module.read_bytes())


def probe(engine: Engine, machine: str) -> Artefact:
    """An empty workload compiled for the engine, to see whether a device takes what is made here. Raises NotMade."""
    with temporary("probe") as folder:
        module, source = folder / "empty.wasm", folder / "empty.c"
        module.write_bytes(EMPTY_MODULE)
        source.write_text("void _start(void) {}\n", encoding="utf-8")
        native = Native(folder, (source,), ("-O1",))
        return artefact(engine, Workload("probe/empty", "probe", module, ("empty",), native=native), machine)


def version_of(engine: Engine, on_device: str) -> str:
    """The engine's version: what the device told, and what compiled here where that is another. Raises NotMade."""
    parts = [on_device, engine.maker.version() if engine.maker else ""]
    return "+".join(dict.fromkeys(filter(None, parts)))


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
