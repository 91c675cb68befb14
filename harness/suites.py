"""Suites of workloads: what `benchmarks/<suite>/suite.toml` declares (harness/suitefile.py reads it)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from pathlib import Path

from harness.errors import SuiteError, UnknownName


@dataclass(frozen=True)
class InputFile:
    """A file the module opens: `guest` is its path as the module sees it, `host` where its bytes are."""

    guest: str
    host: Path


@dataclass(frozen=True)
class Expectation:
    """What a correct execution gives; `stdout_sha256` is None where the output is not fixed."""

    exit_code: int = 0
    stdout_sha256: str | None = None


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
    """The recipes are those of the workloads, in the same order."""

    name: str
    title: str
    root: Path
    workloads: tuple[Workload, ...]
    recipes: tuple[Recipe, ...]
    optional: bool = False
    inputs: Inputs | None = None
    source: Source | None = None
    library: Library | None = None

    @property
    def source_root(self) -> Path:
        return self.root if self.source is None else self.root / "build" / "source" / self.source.path

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
        f"{workload.name} has no module at {workload.module}; run `harness build {workload.suite}` first."
    )


def load_suites(root: str | Path | None = None) -> dict[str, Suite]:
    """Every suite under `root`, by name.

    Without a root: `benchmarks/` of the current directory, else that of the checkout this package comes from.
    Raises SuiteError where there is none or one is malformed.
    """
    from harness.suitefile import read_suite

    root = default_root() if root is None else Path(root)
    suites = {path.parent.name: read_suite(path) for path in sorted(root.resolve().glob("*/suite.toml"))}
    if not suites:
        raise SuiteError(
            f"no suite at {root / '*' / 'suite.toml'}; run in a checkout of harness, where benchmarks/ is."
        )
    return suites


def load_workloads(root: str | Path | None = None) -> dict[str, Workload]:
    """Every workload of every suite under `root`, by name, in the order of the suite files."""
    return {w.name: w for suite in load_suites(root).values() for w in suite.workloads}


def select(
    workloads: Mapping[str, Workload], patterns: Iterable[str], *, heavy: bool = False
) -> list[Workload]:
    """The workloads that `patterns` name, each once, in the order of `workloads`.

    A pattern is a workload's name, a suite, `suite/size`, or a glob such as ``*/small/g*`` or ``*/mini``. No
    pattern means all of them but the optional ones and, without `heavy`, the heavy ones. Raises UnknownName for a
    pattern that names nothing.
    """
    patterns = list(patterns)
    if not patterns:
        return [w for w in workloads.values() if not w.optional and (heavy or not w.heavy)]
    chosen: set[str] = set()
    for pattern in patterns:
        group = pattern.rstrip("/") + "/*"
        found = {n for n in workloads if n == pattern or fnmatchcase(n, pattern) or fnmatchcase(n, group)}
        if not found:
            groups = {n.rsplit("/", depth)[0] for n in workloads for depth in (1, 2)}
            raise UnknownName("workload", pattern, groups | set(workloads))
        chosen |= found
    return [w for name, w in workloads.items() if name in chosen]


def default_root() -> Path:
    here = Path("benchmarks")
    return here if here.is_dir() else Path(__file__).resolve().parent.parent / "benchmarks"
