"""wasmtime in four modes, through its Python package on the device."""

import platform
import time
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from harness.engines.engine import Engine, Install, Kind
from harness.engines.maker import NotMade
from harness.suites.suite import Workload

# As the runner has them on (runners/wasmtime_run.py): it takes only what was compiled with the same.
PROPOSALS = ("wasm_function_references", "wasm_gc", "wasm_exceptions", "wasm_wide_arithmetic")


@dataclass(frozen=True)
class WasmtimeMaker:
    """The package on the controller, which can compile for its own processor type only.

    With no instructions but those that every processor of the type has, so that what is made runs on all of them.
    """

    def takes(self, workload: Workload) -> bool:
        return True

    def version(self) -> str:
        return metadata.version("wasmtime")

    def recipe(self, workload: Workload, machine: str) -> Any:
        return [workload.module_sha256, *PROPOSALS]

    def make(self, workload: Workload, machine: str, target: Path) -> int:
        import wasmtime  # takes a tenth of a second, which most commands do not need

        if machine != platform.machine():
            raise NotMade(f"wasmtime on this machine compiles for {platform.machine()}, not for {machine!r}")
        config = wasmtime.Config()
        config.target = f"{platform.machine()}-unknown-linux-gnu"
        for name in PROPOSALS:
            if hasattr(wasmtime.Config, name):
                setattr(config, name, True)
        start = time.perf_counter_ns()
        try:
            made = wasmtime.Module.from_file(wasmtime.Engine(config), str(workload.module)).serialize()
        except wasmtime.WasmtimeError as error:
            raise NotMade("does not compile: " + str(error).strip().splitlines()[-1]) from error
        compile_ns = time.perf_counter_ns() - start
        target.write_bytes(bytes(made))
        return compile_ns


def _engine(letter: str, mode: str, kind: Kind, ahead_of_time: bool = False) -> Engine:
    return Engine(
        name=f"wasmtime-{letter}",
        family="wasmtime",
        kind=kind,
        ahead_of_time=ahead_of_time,
        program="python",
        entry="wasmtime_run.py",
        files=("wasmtime_run.py", "runner.py"),
        args=("--mode", mode),
        how_to_get="pip install wasmtime",
        install=Install("pip", "wasmtime"),
        maker=WasmtimeMaker() if ahead_of_time else None,
    )


ENGINES = (
    _engine("j", "jit", "compiler"),
    _engine("a", "aot", "compiler", ahead_of_time=True),
    _engine("w", "winch", "baseline"),
    _engine("p", "pulley", "interpreter"),
)
