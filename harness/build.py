"""Compile suites to WebAssembly, and check that a module computes what its suite expects.

Beside each `<name>.wasm` lies a `<name>.json`, its stamp: compiler, flags, hashes of the sources and of the
module. A module is compiled again only when its stamp is no longer true; its bytes depend on nothing else.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from harness.errors import ModuleError, SuiteError
from harness.suites import Recipe, Suite, Workload, not_built


@dataclass(frozen=True)
class Built:
    """A module that is up to date; `seconds` is what compiling took, 0.0 where nothing had changed."""

    workload: str
    module: Path
    sha256: str
    bytes: int
    compiled: bool
    seconds: float


@dataclass(frozen=True)
class Execution:
    """One execution under wasmtime: how it ended, what it printed, and its linear memory afterwards."""

    exit_code: int
    trap: str | None
    stdout: bytes
    store: Any
    exports: Any


def build(
    suites: Iterable[Suite],
    *,
    force: bool = False,
    jobs: int | None = None,
    progress: Callable[[Built], None] | None = None,
) -> list[Built]:
    """Bring every module of `suites` up to date, `jobs` at a time, in the order of the suites' recipes.

    `progress` is called for each module as it is ready, from the thread that compiled it. Raises SuiteError
    with the compiler's first message where a source does not compile, or where there is no compiler.
    """
    suites = list(suites)
    compiler = _compiler()
    headers = {suite.name: _headers(suite.root) for suite in suites}

    def one(suite: Suite, recipe: Recipe) -> Built:
        built = _build_one(suite.root, recipe, headers[suite.name], compiler, force)
        if progress is not None:
            progress(built)
        return built

    with ThreadPoolExecutor(jobs or os.cpu_count() or 1) as pool:
        futures = [pool.submit(one, suite, recipe) for suite in suites for recipe in suite.recipes]
        try:
            wait(futures, return_when=FIRST_EXCEPTION)
        finally:
            for future in futures:
                future.cancel()
    return [future.result() for future in futures if not future.cancelled()]


def execute(workload: Workload, *, limit_s: float = 60.0) -> Execution:
    """Run a built module once with its argv, stdin and files. Raises SuiteError where it is not built."""
    import wasmtime

    if not workload.module.exists():
        raise not_built(workload)
    config = wasmtime.Config()
    config.epoch_interruption = True
    engine = wasmtime.Engine(config)
    try:
        module = wasmtime.Module.from_file(engine, str(workload.module))
    except wasmtime.WasmtimeError as e:
        raise ModuleError(f"{workload.module} is not a WebAssembly module: {_first_line(str(e))}.") from e

    with tempfile.TemporaryDirectory(prefix="harness-") as scratch:
        output, directory = Path(scratch, "stdout"), Path(scratch, "files")
        directory.mkdir()
        wasi = wasmtime.WasiConfig()
        wasi.argv = list(workload.argv)
        wasi.stdout_file = str(output)
        try:
            if workload.stdin is not None:
                wasi.stdin_file = str(workload.stdin)
            for file in workload.files:
                target = directory / file.guest
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(file.host, target)
        except (OSError, wasmtime.WasmtimeError) as e:
            raise SuiteError(f"{workload.name} needs an input that cannot be read: {e}.") from e
        if workload.files:
            wasi.preopen_dir(str(directory), ".")

        store = wasmtime.Store(engine)
        store.set_wasi(wasi)
        store.set_epoch_deadline(1)
        linker = wasmtime.Linker(engine)
        linker.define_wasi()
        timer = threading.Timer(limit_s, engine.increment_epoch)
        timer.start()
        exit_code, trap = 0, None
        try:
            instance = linker.instantiate(store, module)
            exports = instance.exports(store)
            start = exports["_start"]
            if not isinstance(start, wasmtime.Func):
                raise KeyError("_start")
            start(store)
        except wasmtime.ExitTrap as e:
            exit_code = e.code
        except wasmtime.Trap as e:
            timed_out = e.trap_code == wasmtime.TrapCode.INTERRUPT
            trap = f"still running after {limit_s:g} s" if timed_out else f"trapped: {_first_line(e.message)}"
        except (wasmtime.WasmtimeError, KeyError) as e:
            raise ModuleError(f"{workload.module} does not run under WASI: {_first_line(str(e))}.") from e
        finally:
            timer.cancel()
        return Execution(exit_code, trap, output.read_bytes(), store, exports)


def verify(workload: Workload, *, limit_s: float = 60.0) -> str | None:
    """None where the module gives what its suite expects, else the reason in one sentence."""
    ran, expect = execute(workload, limit_s=limit_s), workload.expect
    if ran.trap is not None:
        return f"{workload.name} {ran.trap}."
    if ran.exit_code != expect.exit_code:
        return f"{workload.name} ended with exit code {ran.exit_code}, expected {expect.exit_code}."
    found = hashlib.sha256(ran.stdout).hexdigest()
    if expect.stdout_sha256 not in (None, found):
        shown = ran.stdout[:80].decode("utf-8", "replace")
        return (
            f"{workload.name} printed {shown!r}, {len(ran.stdout)} bytes of sha256 {found[:16]}…, "
            f"expected {expect.stdout_sha256[:16]}…."
        )
    return None


def _compiler() -> str:
    try:
        return f"ziglang {metadata.version('ziglang')}"
    except metadata.PackageNotFoundError:
        raise SuiteError(
            "no C compiler to build the suites with; install it with: pip install 'harness[build]'"
        ) from None


def _headers(root: Path) -> list[Path]:
    return sorted(path for path in root.rglob("*.h") if not path.is_relative_to(root / "build"))


def _build_one(root: Path, recipe: Recipe, headers: list[Path], compiler: str, force: bool) -> Built:
    module, stamp_path = recipe.module, recipe.module.with_suffix(".json")
    wanted = {
        "compiler": compiler,
        "flags": list(recipe.arguments),
        "sources_sha256": _hash_files(root, recipe, headers),
    }
    sha256 = _hash_if_there(module)
    if not force and sha256 is not None and _read_stamp(stamp_path) == {**wanted, "module_sha256": sha256}:
        return Built(recipe.workload, module, sha256, module.stat().st_size, compiled=False, seconds=0.0)

    module.parent.mkdir(parents=True, exist_ok=True)
    started = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix=".new-", dir=module.parent) as scratch:
        fresh = Path(scratch, module.name)
        _compile(root, recipe, fresh)
        data = fresh.read_bytes()
        sha256 = hashlib.sha256(data).hexdigest()
        stamp = Path(scratch, stamp_path.name)
        stamp.write_text(json.dumps({**wanted, "module_sha256": sha256}, indent=1) + "\n")
        os.replace(fresh, module)
        os.replace(stamp, stamp_path)
    seconds = time.perf_counter() - started
    return Built(recipe.workload, module, sha256, len(data), compiled=True, seconds=seconds)


def _compile(root: Path, recipe: Recipe, target: Path) -> None:
    sources = [str(source.relative_to(root)) for source in recipe.sources]
    command = [sys.executable, "-m", "ziglang", "cc", *recipe.arguments, *sources, "-o", str(target)]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if done.returncode != 0 or not target.exists():
        lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        first = next((line for line in lines if "error:" in line), lines[0] if lines else "no message")
        raise SuiteError(f"{recipe.workload} does not compile: {first}")


def _hash_files(root: Path, recipe: Recipe, headers: list[Path]) -> str:
    digest = hashlib.sha256()
    for path in (*recipe.sources, *headers):
        try:
            data = path.read_bytes()
        except OSError as e:
            raise SuiteError(f"{recipe.workload} needs {path}, which cannot be read: {e.strerror}.") from e
        digest.update(f"{path.relative_to(root).as_posix()} {len(data)}\n".encode())
        digest.update(data)
    return digest.hexdigest()


def _hash_if_there(module: Path) -> str | None:
    try:
        return hashlib.sha256(module.read_bytes()).hexdigest()
    except FileNotFoundError:
        return None


def _read_stamp(path: Path) -> object:
    with contextlib.suppress(OSError, ValueError):
        return json.loads(path.read_text())
    return None


def _first_line(text: str) -> str:
    return text.strip().partition("\n")[0].rstrip(".:")
