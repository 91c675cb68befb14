"""Suites of workloads, as declared in ``benchmarks/<suite>/suite.toml``.

A suite is a directory of sources and one ``suite.toml``::

    title = "PolyBench/C 4.2.1, written anew"

    [build]
    flags = ["--target=wasm32-freestanding", "-mcpu=mvp", "-O1"]    # for the C compiler, every workload

    [[workload]]
    name = "sha"
    title = "SHA-1 of a file"
    sources = ["sha.c"]                                             # default: <name>.c
    flags = ["-Icommon"]                                            # beside those of [build]
    [workload.sizes.small]
    define = { ROUNDS = 1 }
    args = ["text"]                                                 # argv after the name
    files = { text = "data/small.txt" }                             # as the module sees it = where it lies
    stdout_sha256 = "…"                                             # of a correct execution

A size may also have ``stdin`` (a file) and ``exit_code`` (default 0). Paths are relative to the suite's
directory. Each size of each ``[[workload]]`` is one workload, ``suite/size/name``, built at
``build/<size>/<name>.wasm``.
"""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path

import msgspec

from harness.errors import SuiteError, UnknownName

_SAFE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")
_CANNOT = "cannot be part of a workload's name, which takes letters, digits and . _ + -"
_MACRO = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SHA256 = re.compile(r"[0-9a-f]{64}")


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
class Workload:
    """A module with its argv (`argv[0]` included), stdin and files."""

    name: str
    suite: str
    module: Path
    argv: tuple[str, ...]
    stdin: Path | None = None
    files: tuple[InputFile, ...] = ()
    expect: Expectation = field(default_factory=Expectation)

    @property
    def module_sha256(self) -> str:
        """Raises SuiteError where the module is not built yet."""
        try:
            return hashlib.sha256(self.module.read_bytes()).hexdigest()
        except OSError as e:
            raise not_built(self) from e


@dataclass(frozen=True)
class Recipe:
    """How one workload's module is compiled; relative paths in `flags` start at the suite's directory."""

    workload: str
    module: Path
    sources: tuple[Path, ...]
    flags: tuple[str, ...]
    define: Mapping[str, int | str] = field(default_factory=dict)

    @property
    def arguments(self) -> tuple[str, ...]:
        return (*self.flags, *(f"-D{macro}={value}" for macro, value in self.define.items()))


@dataclass(frozen=True)
class Suite:
    name: str
    title: str
    root: Path
    workloads: tuple[Workload, ...]
    recipes: tuple[Recipe, ...]


def not_built(workload: Workload) -> SuiteError:
    return SuiteError(
        f"{workload.name} has no module at {workload.module}; run `harness build {workload.suite}` first."
    )


class _Size(msgspec.Struct, forbid_unknown_fields=True):
    define: dict[str, int | str] = {}
    args: list[str] = []
    stdin: str | None = None
    files: dict[str, str] = {}
    exit_code: int = 0
    stdout_sha256: str | None = None


class _Entry(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    sizes: dict[str, _Size]
    title: str = ""
    sources: list[str] = []
    flags: list[str] = []


class _Build(msgspec.Struct, forbid_unknown_fields=True):
    flags: list[str]


class _SuiteFile(msgspec.Struct, forbid_unknown_fields=True):
    title: str
    build: _Build
    workload: list[_Entry]


def load_suites(root: Path | None = None) -> dict[str, Suite]:
    """Every suite under `root`, by name.

    Without a root: `benchmarks/` of the current directory, else that of the checkout this package comes from.
    Raises SuiteError where there is none or one is malformed.
    """
    root = _default_root() if root is None else Path(root)
    suites = {path.parent.name: _read(path) for path in sorted(root.resolve().glob("*/suite.toml"))}
    if not suites:
        raise SuiteError(
            f"no suite at {root / '*' / 'suite.toml'}; run in a checkout of harness, where benchmarks/ is."
        )
    return suites


def load_workloads(root: Path | None = None) -> dict[str, Workload]:
    """Every workload of every suite under `root`, by name, in the order of the suite files."""
    return {w.name: w for suite in load_suites(root).values() for w in suite.workloads}


def select(workloads: Mapping[str, Workload], patterns: Iterable[str]) -> list[Workload]:
    """The workloads that `patterns` name, each once, in the order of `workloads`; all of them for no pattern.

    A pattern is a workload's name, a suite, `suite/size`, or a glob such as ``*/small/g*`` or ``*/mini``.
    Raises UnknownName for a pattern that names nothing.
    """
    patterns = list(patterns)
    if not patterns:
        return list(workloads.values())
    chosen: set[str] = set()
    for pattern in patterns:
        group = pattern.rstrip("/") + "/*"
        found = {n for n in workloads if n == pattern or fnmatchcase(n, pattern) or fnmatchcase(n, group)}
        if not found:
            groups = {n.rsplit("/", depth)[0] for n in workloads for depth in (1, 2)}
            raise UnknownName("workload", pattern, groups | set(workloads))
        chosen |= found
    return [w for name, w in workloads.items() if name in chosen]


def _default_root() -> Path:
    here = Path("benchmarks")
    return here if here.is_dir() else Path(__file__).resolve().parent.parent / "benchmarks"


def _read(path: Path) -> Suite:
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as e:
        raise SuiteError(f"{path} cannot be read: {e.strerror}.") from e
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as e:
        raise SuiteError(f"{path} is not valid TOML: {e}; correct that line.") from e
    try:
        parsed = msgspec.convert(raw, _SuiteFile)
    except msgspec.ValidationError as e:
        what, _, where = str(e).partition(" - at ")
        raise _wrong(path, _spell(where.strip("`"), raw), f"{what[0].lower()}{what[1:]}") from e

    if not _SAFE.fullmatch(path.parent.name):
        raise _wrong(path, "its directory", f"{path.parent.name!r} {_CANNOT}")
    workloads: dict[str, Workload] = {}
    recipes: list[Recipe] = []
    for entry in parsed.workload:
        for size_name, size in entry.sizes.items():
            workload, recipe = _workload(path, parsed.build, entry, size_name, size)
            if workload.name in workloads:
                raise _wrong(path, f"workload {entry.name}", "the name is used twice")
            workloads[workload.name] = workload
            recipes.append(recipe)
    return Suite(path.parent.name, parsed.title, path.parent, tuple(workloads.values()), tuple(recipes))


def _workload(
    path: Path, build: _Build, entry: _Entry, size_name: str, size: _Size
) -> tuple[Workload, Recipe]:
    root, place = path.parent, f"workload {entry.name}, size {size_name}"
    for name in (entry.name, size_name):
        if not _SAFE.fullmatch(name):
            raise _wrong(path, place, f"{name!r} {_CANNOT}")
    for macro in size.define:
        if not _MACRO.fullmatch(macro):
            raise _wrong(path, place, f"define has {macro!r}, which is not a C macro's name")
    for guest in size.files:
        if guest.startswith("/") or ".." in guest.split("/") or "\\" in guest or not guest:
            raise _wrong(path, place, f"files has {guest!r}, which leaves the module's directory")
    if size.stdout_sha256 is not None and not _SHA256.fullmatch(size.stdout_sha256):
        raise _wrong(path, place, f"stdout_sha256 is {size.stdout_sha256!r}, not 64 hexadecimal digits")

    def inside(file: str) -> Path:
        if not (root / file).resolve().is_relative_to(root):
            raise _wrong(path, place, f"the file {file!r} lies outside the suite's directory")
        return root / file

    name = f"{root.name}/{size_name}/{entry.name}"
    module = root / "build" / size_name / f"{entry.name}.wasm"
    workload = Workload(
        name=name,
        suite=root.name,
        module=module,
        argv=(entry.name, *size.args),
        stdin=None if size.stdin is None else inside(size.stdin),
        files=tuple(InputFile(guest, inside(host)) for guest, host in size.files.items()),
        expect=Expectation(size.exit_code, size.stdout_sha256),
    )
    sources = tuple(inside(source) for source in entry.sources or [f"{entry.name}.c"])
    return workload, Recipe(name, module, sources, (*build.flags, *entry.flags), size.define)


def _wrong(path: Path, place: str, what: str) -> SuiteError:
    return SuiteError(f"{path}: {place}: {what}; correct the entry.")


def _spell(where: str, raw: dict[str, object]) -> str:
    """A msgspec path such as ``$.workload[3].sizes[...].define`` in words, with the workload's name."""
    if not where:
        return "the top level"
    found = re.match(r"\$\.workload\[(\d+)\]\.?(.*)", where)
    if not found:
        return where.removeprefix("$.")
    number, rest = int(found[1]), found[2]
    entries = raw["workload"]
    entry = entries[number] if isinstance(entries, list) else None
    name = entry.get("name") if isinstance(entry, dict) else None
    label = f"workload {name}" if isinstance(name, str) else f"workload number {number + 1}"
    return f"{label}, {rest}" if rest else label
