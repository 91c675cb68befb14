"""Suites of workloads: what `benchmarks/<suite>/suite.toml` declares (harness/suites/suite_file.py reads it)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from harness.errors import SuiteError, typed


@dataclass(frozen=True)
class InputFile:
    """A file the module opens: `guest` is its path as the module sees it, `host` where its bytes are."""

    guest: str
    host: Path


# Shells and engines use the exit codes above for programs that could not run or were killed.
LARGEST_EXIT_CODE = 125


@dataclass(frozen=True)
class Expectation:
    """What a correct execution gives; `stdout_sha256` is None where the output is not fixed.

    `stdout_matches` is a regular expression to be found in it, for an output that tells times for example.
    """

    exit_code: int = 0
    stdout_sha256: str | None = None
    stdout_matches: str | None = None


@dataclass(frozen=True)
class Native:
    """What a workload's program for a machine itself is compiled from: sources below `root`, and the arguments."""

    root: Path
    sources: tuple[Path, ...]
    arguments: tuple[str, ...]


@dataclass(frozen=True)
class Workload:
    """A module with its argv (`argv[0]` included), stdin and files.

    An optional one is built and measured only where it is named, a heavy one is only measured where it is named.
    `native` is there where its suite can also be compiled for machines themselves.
    """

    name: str
    suite: str
    module: Path
    argv: tuple[str, ...]
    stdin: Path | None = None
    files: tuple[InputFile, ...] = ()
    expect: Expectation = field(default_factory=Expectation)
    optional: bool = False
    heavy: bool = False
    native: Native | None = None

    @property
    def module_sha256(self) -> str:
        """Raises SuiteError where the module is not built yet."""
        try:
            return hashlib.sha256(self.module.read_bytes()).hexdigest()
        except OSError as e:
            raise not_built(self) from e


@dataclass(frozen=True)
class Recipe:
    """How one workload's module is made; relative paths in `flags` start where the sources are.

    Without sources the module is there already, and has to be the one whose hash is given. `check` is a second
    program from the same sources, which judges their results; it ends with exit code 0 where they are right.
    """

    workload: str
    module: Path
    sources: tuple[Path, ...]
    flags: tuple[str, ...]
    define: Mapping[str, int | str] = field(default_factory=dict)
    module_sha256: str | None = None
    check: Check | None = None

    @property
    def arguments(self) -> tuple[str, ...]:
        return (*self.flags, *defined(self.define))


@dataclass(frozen=True)
class Check:
    workload: Workload
    recipe: Recipe


@dataclass(frozen=True)
class Inputs:
    """A script that makes the files of `sha256` in `directory`; both are named relative to the suite."""

    script: Path
    directory: Path
    sha256: Mapping[str, str]


@dataclass(frozen=True)
class Source:
    """Sources that are not kept with the suite: a source distribution, and where in it they are.

    `copy` names files that are also wanted in another place: the new path, then the old one.
    """

    sdist: str
    sha256: str
    path: str
    copy: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Library:
    """What is compiled once and linked into every module of the suite."""

    archive: Path
    sources: tuple[str, ...]
    flags: tuple[str, ...]


@dataclass(frozen=True)
class Suite:
    """The recipes are those of the workloads, in the same order.

    `root` is where suite.toml and the sources lie, `build_root` where everything that is made goes (default:
    `build/` in the root).
    """

    name: str
    title: str
    root: Path
    workloads: tuple[Workload, ...]
    recipes: tuple[Recipe, ...]
    optional: bool = False
    inputs: Inputs | None = None
    source: Source | None = None
    library: Library | None = None
    build_root: Path | None = None

    @property
    def built(self) -> Path:
        return self.build_root or self.root / "build"

    @property
    def source_root(self) -> Path:
        return self.root if self.source is None else self.built / "source" / self.source.path

    def pairs(self) -> Iterator[tuple[Workload, Recipe]]:
        return zip(self.workloads, self.recipes, strict=True)

    def only(self, names: Iterable[str]) -> Suite:
        """The same suite with some of its workloads."""
        wanted = set(names)
        kept = [(w, r) for w, r in self.pairs() if w.name in wanted]
        return replace(self, workloads=tuple(w for w, _ in kept), recipes=tuple(r for _, r in kept))


def defined(macros: Mapping[str, int | str]) -> tuple[str, ...]:
    return tuple(f"-D{macro}={value}" for macro, value in macros.items())


def not_built(workload: Workload) -> SuiteError:
    return SuiteError(
        f"{workload.name} has no module at {workload.module}; "
        f"run `harness build {typed(workload.name.rpartition('/')[0])}` first."
    )


def identity(workload: Workload) -> str:
    """A hash of what a workload executes: module, argv, stdin and files."""
    parts = [
        workload.module_sha256,
        list(workload.argv),
        workload.stdin and _digest(workload.stdin.read_bytes()),
        [[file.guest, _digest(file.host.read_bytes())] for file in workload.files],
    ]
    return _digest(json.dumps(parts).encode())


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
