"""No WebAssembly at all: the suite's own C, compiled for the device's processor, as a reference.

Nothing keeps such a program in its directory but the host layer it is linked with (native_host.c).
"""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.engines.command import Command, command_engine
from harness.engines.engine import Engine
from harness.engines.maker import NotMade, file_sha256
from harness.engines.runners import HERE
from harness.errors import SuiteError
from harness.suites.suite import Native, Workload
from harness.suites.toolchain import TARGETS, compile_c, compiler

HOST = ("native_host.c", "wasi_files.h")


@dataclass(frozen=True)
class NativeMaker:
    """ziglang, from the sources of a workload whose suite says how."""

    def takes(self, workload: Workload) -> bool:
        return workload.native is not None

    def version(self) -> str:
        try:
            return compiler().replace(" ", "")
        except SuiteError as error:
            raise NotMade(str(error)) from error

    def recipe(self, workload: Workload, machine: str) -> Any:
        sources = self._sources(workload)
        files = {*sources.sources, *sources.root.glob("*.h")}
        hashes = {
            path.relative_to(sources.root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(files)
        }
        return [hashes, self._arguments(sources, machine), *map(file_sha256, HOST)]

    def make(self, workload: Workload, machine: str, target: Path) -> int:
        native = self._sources(workload)
        sources = [*(str(path.relative_to(native.root)) for path in native.sources), str(HERE / HOST[0])]
        start = time.perf_counter_ns()
        try:
            compile_c(workload.name, self._arguments(native, machine), sources, target, native.root)
        except SuiteError as error:
            raise NotMade(str(error)) from error
        return time.perf_counter_ns() - start

    def _sources(self, workload: Workload) -> Native:
        if workload.native is None:
            raise NotMade(f"{workload.name} has no native build: its suite.toml says no `native` flags")
        return workload.native

    def _arguments(self, native: Native, machine: str) -> list[str]:
        if machine not in TARGETS:
            raise NotMade(f"native programs are compiled for {', '.join(TARGETS)}, not for {machine!r}")
        # The host layer's main calls what WebAssembly engines call as _start.
        return [f"--target={TARGETS[machine]}", "-s", "-w", "-D_start=program_start", *native.arguments]


ENGINES: tuple[Engine, ...] = (
    command_engine(
        "native",
        Command(
            version=(),
            run=("{artefact}", "{preopens}", "--", "{argv0}", "{args}"),
            preopen=("{host}",),
            trap=r"trap: (.*)",
            refused=r"cannot run: (.*)",
            trap_codes=(134,),
        ),
        family="native",
        kind="compiler",
        how_to_get="on the controller: pip install ziglang",
        maker=NativeMaker(),
    ),
)
