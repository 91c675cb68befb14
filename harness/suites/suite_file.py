"""Reading `benchmarks/<suite>/suite.toml`.

A suite is a directory of sources and this file::

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

A size may also have ``stdin`` (a file), ``exit_code`` (default 0), and ``stdout_matches``, a regular expression that a
correct output has somewhere, in place of its hash where it differs each time. Paths are relative to the suite's
directory. Each size of each ``[[workload]]`` is one workload, ``suite/size/name``, built at
``build/<size>/<name>.wasm``. Without ``sizes`` the workload itself has what a size has and is called
``suite/name``. With ``module`` and ``module_sha256`` in place of sources it was compiled elsewhere.

With ``native`` in ``[build]``, a list of flags, each workload can also be compiled for a device's own processor.

The other tables, for suites that need them: ``[inputs]`` (a script that makes files, and their hashes),
``[source]`` (a source distribution to fetch), ``build.library`` (sources linked into every module),
``[check]`` (a second program per workload that judges its results), and at the top ``optional = true`` (only where
it is named) and ``heavy = ["large"]`` (sizes or workloads measured only where they are named). See docs/suites.md.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import msgspec

from harness.dataset.records import LONGEST_NAME
from harness.errors import SuiteError
from harness.files import real
from harness.suites.suite import (
    LARGEST_EXIT_CODE,
    Check,
    Expectation,
    InputFile,
    Inputs,
    Library,
    Native,
    Recipe,
    Source,
    Suite,
    Workload,
    defined,
)
from harness.suites.wrong_entry import spelled, wrong

_SAFE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")
CANNOT = f"cannot be part of a workload's name: letters, digits and . _ + -, {LONGEST_NAME} at most in all"
_MACRO = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
ExitCode = Annotated[int, msgspec.Meta(ge=0, le=LARGEST_EXIT_CODE)]
_SHA256 = re.compile(r"[0-9a-f]{64}")


class _Size(msgspec.Struct, forbid_unknown_fields=True):
    define: dict[str, int | str] = {}
    args: list[str] = []
    stdin: str | None = None
    files: dict[str, str] = {}
    exit_code: ExitCode = 0
    stdout_sha256: str | None = None
    stdout_matches: str | None = None


class _Entry(_Size, forbid_unknown_fields=True, kw_only=True):
    name: str
    sizes: dict[str, _Size] | None = None
    title: str = ""
    sources: list[str] = []
    flags: list[str] = []
    module: str | None = None
    module_sha256: str | None = None


class _Build(msgspec.Struct, forbid_unknown_fields=True):
    flags: list[str] = []
    native: list[str] | None = None  # for a device's own processor, in place of `flags`
    library: list[str] = []


class _Inputs(msgspec.Struct, forbid_unknown_fields=True):
    script: str
    sha256: dict[str, str]


class _Source(msgspec.Struct, forbid_unknown_fields=True):
    sdist: str
    sha256: str
    path: str = "."
    copy: dict[str, str] = {}


class _Check(msgspec.Struct, forbid_unknown_fields=True):
    """`{name}` in values and files stands for the workload's name."""

    define: dict[str, int | str] = {}
    files: dict[str, str] = {}
    apart: list[str] = []  # workloads that are not checked so


class _SuiteFile(msgspec.Struct, forbid_unknown_fields=True):
    title: str
    workload: list[_Entry]
    optional: bool = False
    heavy: list[str] = []  # sizes or workloads
    build: _Build = msgspec.field(default_factory=_Build)
    inputs: _Inputs | None = None
    source: _Source | None = None
    check: _Check | None = None


def read_suite(path: Path, build_root: Path | None = None) -> Suite:
    """The suite of a suite.toml, named as its directory; what it makes goes to `build_root`, default `build/`.

    Raises SuiteError with the entry that is wrong.
    """
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as e:
        raise SuiteError(
            f"{path} cannot be read: {e.strerror}; name another directory with --benchmarks."
        ) from e
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as e:
        raise SuiteError(f"{path} is not valid TOML: {e}; correct that line.") from e
    try:
        parsed = msgspec.convert(raw, _SuiteFile)
    except msgspec.ValidationError as e:
        what, _, where = str(e).partition(" - at ")
        raise wrong(path, spelled(where.strip("`"), raw), f"{what[0].lower()}{what[1:]}") from e
    return _Reader(path, parsed, build_root or path.parent / "build").suite()


class _Reader:
    def __init__(self, path: Path, parsed: _SuiteFile, built: Path) -> None:
        self.path, self.root, self.built, self.parsed = path, path.parent, built, parsed
        source = parsed.source
        self.source = (
            None if source is None else Source(source.sdist, source.sha256, source.path, source.copy)
        )
        if self.source is not None and not _SHA256.fullmatch(self.source.sha256):
            raise wrong(path, "source", f"sha256 is {self.source.sha256!r}, not 64 hexadecimal digits")
        self.source_root = Suite("", "", self.root, (), (), source=self.source, build_root=built).source_root

    def suite(self) -> Suite:
        if not _SAFE.fullmatch(self.root.name):
            raise wrong(self.path, "its directory", f"{self.root.name!r} {CANNOT}")
        made: dict[str, tuple[Workload, Recipe]] = {}
        for entry in self.parsed.workload:
            for size_name, size in {"": entry}.items() if entry.sizes is None else entry.sizes.items():
                name = "/".join(part for part in (self.root.name, size_name, entry.name) if part)
                if name in made:
                    raise wrong(self.path, f"workload {entry.name}", "the name is used twice")
                made[name] = self._workload(name, entry, size_name, size)
        known = {part for workload in made for part in workload.split("/")[1:]}
        for name in self.parsed.heavy:
            if name not in known:
                raise wrong(self.path, "heavy", f"{name!r} is neither a size nor a workload of the suite")
        build, inputs = self.parsed.build, self.parsed.inputs
        return Suite(
            self.root.name,
            self.parsed.title,
            self.root,
            tuple(workload for workload, _ in made.values()),
            tuple(recipe for _, recipe in made.values()),
            optional=self.parsed.optional,
            inputs=None if inputs is None else self._inputs(inputs),
            source=self.source,
            library=Library(self.built / "library.a", tuple(build.library), tuple(build.flags))
            if build.library
            else None,
            build_root=self.built,
        )

    def _inputs(self, inputs: _Inputs) -> Inputs:
        for name, sha256 in inputs.sha256.items():
            if "/" in name or not _SAFE.fullmatch(name) or not _SHA256.fullmatch(sha256):
                raise wrong(self.path, "inputs", f"{name!r} is not a file name with 64 hexadecimal digits")
        return Inputs(self._inside("inputs", inputs.script), self.built / "inputs", inputs.sha256)

    def _workload(self, name: str, entry: _Entry, size_name: str, size: _Size) -> tuple[Workload, Recipe]:
        place = f"workload {entry.name}" + (f", size {size_name}" if size_name else "")
        for part in (entry.name, *([size_name] if entry.sizes is not None else [])):
            if not _SAFE.fullmatch(part) or len(name) > LONGEST_NAME:
                raise wrong(self.path, place, f"{part!r} {CANNOT}")
        for macro in size.define:
            if not _MACRO.fullmatch(macro):
                raise wrong(self.path, place, f"define has {macro!r}, which is not a C macro's name")
        if size.stdout_sha256 is not None and not _SHA256.fullmatch(size.stdout_sha256):
            raise wrong(
                self.path, place, f"stdout_sha256 is {size.stdout_sha256!r}, not 64 hexadecimal digits"
            )
        try:
            re.compile(size.stdout_matches or "")
        except re.error as error:
            raise wrong(self.path, place, f"stdout_matches is not a regular expression: {error}") from None
        workload = Workload(
            name=name,
            suite=self.root.name,
            module=self.built / size_name / f"{entry.name}.wasm",
            argv=(entry.name, *size.args),
            stdin=None if size.stdin is None else self._inside(place, size.stdin),
            files=self._files(place, size.files),
            expect=Expectation(size.exit_code, size.stdout_sha256, size.stdout_matches),
            optional=self.parsed.optional,
            heavy=not {size_name, entry.name}.isdisjoint(self.parsed.heavy),
        )
        if entry.module is not None:
            return self._given(place, entry, entry.module, workload)
        flags = (*self.parsed.build.flags, *entry.flags)
        sources = tuple(
            self._inside(place, source, self.source_root) for source in entry.sources or [f"{entry.name}.c"]
        )
        recipe = Recipe(name, workload.module, sources, flags, size.define)
        if self.parsed.build.native is not None:
            arguments = (*self.parsed.build.native, *entry.flags, *defined(size.define))
            workload = replace(workload, native=Native(self.source_root, sources, arguments))
        return workload, replace(recipe, check=self._check(place, workload, recipe))

    def _given(
        self, place: str, entry: _Entry, module_path: str, workload: Workload
    ) -> tuple[Workload, Recipe]:
        if entry.sources or entry.flags or entry.define:
            raise wrong(self.path, place, "it has a module, so sources, flags and define mean nothing")
        if entry.module_sha256 is None or not _SHA256.fullmatch(entry.module_sha256):
            raise wrong(self.path, place, "its module needs a module_sha256 of 64 hexadecimal digits")
        module = self._inside(place, module_path)
        placed = replace(workload, module=module)
        return placed, Recipe(workload.name, module, (), (), module_sha256=entry.module_sha256)

    def _check(self, place: str, workload: Workload, recipe: Recipe) -> Check | None:
        check, name = self.parsed.check, workload.argv[0]
        if check is None or name in check.apart:
            return None
        module = self.built / "check" / f"{name}.wasm"

        def named(text: str) -> str:
            return text.replace("{name}", name)

        define = {m: named(value) if isinstance(value, str) else value for m, value in check.define.items()}
        files = {named(guest): named(host) for guest, host in check.files.items()}
        return Check(
            Workload(
                workload.name,
                workload.suite,
                module,
                (name,),
                files=self._files(place, files, self.source_root),
            ),
            Recipe(workload.name, module, recipe.sources, recipe.flags, define),
        )

    def _files(self, place: str, files: Mapping[str, str], root: Path | None = None) -> tuple[InputFile, ...]:
        for guest in files:
            if (
                guest.startswith("/")
                or ".." in guest.split("/")
                or "\\" in guest
                or not 0 < len(guest.encode()) < 256
            ):
                raise wrong(
                    self.path, place, f"files has {guest!r}, too long or outside the module's directory"
                )
        found: list[InputFile] = []
        for guest, host in files.items():
            path = self._inside(place, host, root)
            if path.is_dir():  # every file in it
                inner = sorted(file for file in path.rglob("*") if file.is_file())
                found += [InputFile(f"{guest}/{file.relative_to(path).as_posix()}", file) for file in inner]
            else:
                found.append(InputFile(guest, path))
        return tuple(found)

    def _inside(self, place: str, file: str, root: Path | None = None) -> Path:
        """Where a file of the suite lies; `build/…` names what the suite makes, wherever that goes."""
        first, _, rest = file.partition("/")
        path = self.built / rest if root is None and first == "build" else (root or self.root) / file
        if not any(real(path).is_relative_to(real(one)) for one in (self.root, self.built)):
            raise wrong(self.path, place, f"the file {file!r} lies outside the suite's directory")
        return path
