"""Compile suites to WebAssembly, and make their input files.

Beside each `<name>.wasm` lies a `<name>.json`, its stamp: compiler, flags, hashes of the sources and of the
module. A module is compiled again only when its stamp is no longer true; its bytes depend on nothing else.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from harness.errors import SuiteError
from harness.files import scratch
from harness.processes import run_to_end
from harness.spelling import several
from harness.suites.execute import Execution, execute, verify
from harness.suites.sources import ensure_sources
from harness.suites.suite import Inputs, Library, Recipe, Suite
from harness.suites.toolchain import archive, compile_c, compiler

__all__ = ["Built", "Execution", "build", "execute", "verify"]

T = TypeVar("T")
Say = Callable[[str], None]


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
class _Kitchen:
    """What the modules of one suite have in common."""

    suite: Suite
    compiler: str
    headers_sha256: str
    force: bool
    library_sha256: str | None = None


def build(
    suites: Iterable[Suite],
    *,
    force: bool = False,
    jobs: int | None = None,
    checks: bool = True,
    progress: Callable[[Built], None] | None = None,
    say: Say = lambda text: None,
) -> list[Built]:
    """Bring every module of `suites` up to date, `jobs` at a time, in the order of the suites' recipes.

    `checks` compiles the programs that judge results too. `progress` is called for each module as it is ready,
    from the thread that compiled it; `say` hears of fetching sources, compiling a library and making inputs.
    Raises SuiteError with the compiler's first message where a source does not compile, or where there is no
    compiler.
    """
    suites = list(suites)
    found: list[Built] = []
    with ThreadPoolExecutor(jobs or os.cpu_count() or 1) as pool:
        kitchens = [_prepare(pool, suite, force, say) for suite in suites]

        def one(kitchen: _Kitchen, recipe: Recipe) -> Built:
            built = _build_one(kitchen, recipe)
            if checks and recipe.check is not None:
                _build_one(kitchen, recipe.check.recipe)
            if progress is not None:
                progress(built)
            return built

        tasks = [(kitchen, recipe) for kitchen in kitchens for recipe in kitchen.suite.recipes]
        found = _all(pool.submit(one, *task) for task in tasks)
    for suite in suites:
        if suite.inputs is not None and suite.workloads:
            _make_inputs(suite, suite.inputs, say)
    return found


def _all(tasks: Iterable[Future[T]]) -> list[T]:
    """Every result, in order; the first failure ends what has not begun."""
    futures = list(tasks)
    try:
        wait(futures, return_when=FIRST_EXCEPTION)
    finally:
        for future in futures:
            future.cancel()
    for future in futures:
        if not future.cancelled() and (error := future.exception()) is not None:
            raise error
    return [future.result() for future in futures]


def _prepare(pool: ThreadPoolExecutor, suite: Suite, force: bool, say: Say) -> _Kitchen:
    if all(not recipe.sources for recipe in suite.recipes):
        return _Kitchen(suite, "", "", force)
    version = compiler()
    if suite.source is not None:
        ensure_sources(suite.source, suite.built / "source", lambda text: say(f"{suite.name}: {text}"))
    headers = hashlib.sha256()
    for path in sorted(_headers(suite)):
        _digest_file(headers, path, suite.source_root)
    if suite.library is None:
        return _Kitchen(suite, version, headers.hexdigest(), force)
    library_sha256 = _build_library(pool, suite, suite.library, version, headers.hexdigest(), force, say)
    return _Kitchen(suite, version, headers.hexdigest(), force, library_sha256)


def _headers(suite: Suite) -> Iterator[Path]:
    for path in suite.source_root.rglob("*.h"):
        if suite.source is not None or not path.is_relative_to(suite.root / "build"):
            yield path


def _build_one(kitchen: _Kitchen, recipe: Recipe) -> Built:
    if not recipe.sources:
        return _given(recipe)
    suite, module, stamp_path = kitchen.suite, recipe.module, recipe.module.with_suffix(".json")
    wanted: dict[str, object] = {
        "compiler": kitchen.compiler,
        "flags": list(recipe.arguments),
        "sources_sha256": _hash_sources(kitchen, recipe),
    }
    if kitchen.library_sha256 is not None:
        wanted["library_sha256"] = kitchen.library_sha256
    sha256 = hash_if_there(module)
    if not kitchen.force and sha256 is not None and _true(stamp_path, {**wanted, "module_sha256": sha256}):
        return Built(recipe.workload, module, sha256, module.stat().st_size, compiled=False, seconds=0.0)

    started = time.perf_counter()
    sources = [str(source.relative_to(suite.source_root)) for source in recipe.sources]
    if suite.library is not None:
        sources.append(str(suite.library.archive))
    with _replacing(module) as fresh:
        compile_c(recipe.workload, recipe.arguments, sources, fresh, suite.source_root)
        data = fresh.read_bytes()
        sha256 = hashlib.sha256(data).hexdigest()
        _write_stamp(fresh.with_suffix(".json"), {**wanted, "module_sha256": sha256})
    seconds = time.perf_counter() - started
    return Built(recipe.workload, module, sha256, len(data), compiled=True, seconds=seconds)


def _given(recipe: Recipe) -> Built:
    sha256 = hash_if_there(recipe.module)
    if sha256 is None:
        raise SuiteError(
            f"{recipe.workload} has no module at {recipe.module}; put it there, or import it again."
        )
    if sha256 != recipe.module_sha256:
        raise SuiteError(
            f"{recipe.workload}: {recipe.module} has the sha256 {sha256}, and its suite.toml says "
            f"{recipe.module_sha256}; correct the one that is wrong."
        )
    return Built(recipe.workload, recipe.module, sha256, recipe.module.stat().st_size, False, 0.0)


def _build_library(
    pool: ThreadPoolExecutor,
    suite: Suite,
    library: Library,
    version: str,
    headers_sha256: str,
    force: bool,
    say: Say,
) -> str:
    """Compile the library's sources into its archive where something changed. Returns what its content depends on."""
    root, stamp_path = suite.source_root, library.archive.with_suffix(".json")
    sources = sorted({path for pattern in library.sources for path in root.glob(pattern)})
    digest = hashlib.sha256(headers_sha256.encode())
    for path in sources:
        _digest_file(digest, path, root)
    wanted = {"compiler": version, "flags": list(library.flags), "sources_sha256": digest.hexdigest()}
    sha256 = hashlib.sha256(json.dumps(wanted).encode()).hexdigest()
    if not force and library.archive.exists() and _true(stamp_path, wanted):
        return sha256
    say(f"{suite.name}: compiling its library of {several(len(sources), 'source')}")
    with _replacing(library.archive) as fresh:

        def one(source: Path) -> Path:
            relative = source.relative_to(root)
            target = fresh.parent / f"{'.'.join(relative.parts)}.o"
            compile_c(f"{suite.name}: {relative}", [*library.flags, "-c"], [str(relative)], target, root)
            return target

        archive(f"{suite.name}: the library", _all(pool.submit(one, s) for s in sources), fresh, fresh.parent)
        _write_stamp(fresh.with_suffix(".json"), wanted)
    return sha256


def _make_inputs(suite: Suite, inputs: Inputs, say: Say) -> None:
    """Run the suite's script where a file is missing or is not the one of suite.toml."""

    def wrong() -> Iterator[tuple[str, str | None]]:
        for name, sha256 in inputs.sha256.items():
            found = hash_if_there(inputs.directory / name)
            if found != sha256:
                yield name, found

    if not any(wrong()):
        return
    say(f"{suite.name}: making its input files")
    here = str(Path(__file__).resolve().parents[2])
    path = os.pathsep.join(filter(None, (here, os.environ.get("PYTHONPATH"))))
    command = [sys.executable, str(inputs.script), str(inputs.directory)]
    done = run_to_end(command, env={**os.environ, "PYTHONPATH": path})
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise SuiteError(f"{inputs.script} ended with exit code {done.returncode}: {last}; correct it.")
    for name, found in wrong():
        what = "did not make it" if found is None else f"made one with the sha256 {found}"
        raise SuiteError(
            f"{suite.root / 'suite.toml'}: inputs: {name}: {inputs.script.name} {what}; correct one."
        )


@contextlib.contextmanager
def _replacing(target: Path) -> Iterator[Path]:
    """A path to write a new `target` at; on success it and the .json beside it take the old ones' place."""
    with scratch(target.parent, target.name) as place:
        fresh = place / target.name
        yield fresh
        os.replace(fresh, target)
        os.replace(fresh.with_suffix(".json"), target.with_suffix(".json"))


def _hash_sources(kitchen: _Kitchen, recipe: Recipe) -> str:
    digest = hashlib.sha256()
    for path in recipe.sources:
        try:
            _digest_file(digest, path, kitchen.suite.source_root)
        except OSError as e:
            raise SuiteError(
                f"{recipe.workload} needs {path}, which cannot be read: {e.strerror}; put it there."
            ) from e
    digest.update(kitchen.headers_sha256.encode())
    return digest.hexdigest()


def _digest_file(digest: hashlib._Hash, path: Path, root: Path) -> None:
    data = path.read_bytes()
    digest.update(f"{path.relative_to(root).as_posix()} {len(data)}\n".encode())
    digest.update(data)


def hash_if_there(path: Path) -> str | None:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except (FileNotFoundError, PermissionError):
        return None


def _write_stamp(path: Path, content: object) -> None:
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def _true(path: Path, wanted: object) -> bool:
    with contextlib.suppress(OSError, ValueError):
        return bool(json.loads(path.read_text(encoding="utf-8")) == wanted)
    return False
