"""Modules that were compiled elsewhere: a directory of them becomes a suite with a suite.toml of its own."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from harness.dataset.records import LONGEST_NAME
from harness.errors import SuiteError, why
from harness.files import making, real, sweep
from harness.opcodes import refusal
from harness.spelling import is_text, several
from harness.suites.benchmark_list import lists_in, read_list
from harness.suites.catalogue import OWN, shipped
from harness.suites.reimported import merge, record
from harness.suites.suite import Suite
from harness.suites.suite_file import CANNOT, read_suite

MARK = "# Written by `harness build --import`"
HEAD = f"{MARK}; importing again keeps what you change or add.\n"


@dataclass(frozen=True)
class _Found:
    """A workload to be: where it is listed, its module, and what it is given."""

    group: str
    name: str
    module: str
    sha256: str
    args: list[str] = field(default_factory=list)
    files: dict[str, str] = field(default_factory=dict)
    stdin: str | None = None
    stdout_matches: str | None = None
    inputs: dict[str, Path] = field(default_factory=dict)  # by where they are to lie in the suite

    @property
    def source(self) -> str:
        """The file that gives it its name: the module, or the script that the module interprets."""
        return next(iter(self.files.values())) if self.args else self.module


@dataclass(frozen=True)
class Imported:
    """The suite, None where no module could be taken; and each file that was not taken, with the reason."""

    suite: Suite | None
    refused: dict[Path, str]


def import_modules(
    directory: Path,
    name: str | None = None,
    root: Path | None = None,
    say: Callable[[str], None] = lambda text: None,
) -> Imported:
    """Copy the modules of `directory` into a new suite `name` (default: the directory's name) under `root`
    (default: `benchmarks/` of the working directory).

    Modules are taken from `directory/wasm` where that exists, else from `directory`; one in a folder is named
    `suite/folder/module`. A module gets those files of `directory/data` whose path (`data/…`) is written in it. Where
    a folder has a module's name and scripts in it, the module is an interpreter: one workload per script, which is
    its argument. Where the directory, or those in it, keep a `benchmarks.json` (benchmark_list.py), what that lists
    is imported, each as it says. A module that cannot be a workload (`opcodes.refusal`) is left out. A suite that was
    imported before is brought up to date: own edits of its suite.toml and added files stay, and workloads whose
    modules are gone are named to `say`. Raises SuiteError where there is no file to import or the suite exists and
    was not imported.
    """
    directory = real(directory)
    if name is not None and _plain(name) != name:
        raise SuiteError(f"{name!r} {CANNOT}; choose another name with --as.")
    name = name or _plain(directory.name)
    target = real(OWN if root is None else root) / name
    suite_file = target / "suite.toml"
    if name in shipped() and target != shipped()[name].root:
        raise SuiteError(f"harness ships a suite {name}; choose another name with --as.")
    if target.exists() and not (
        suite_file.exists() and suite_file.read_text(encoding="utf-8").startswith(MARK)
    ):
        raise SuiteError(f"{target} exists and was not imported; choose another name for the suite.")
    if lists := lists_in(directory):
        base = directory
        found, refused = _from_lists(lists, directory)
    else:
        base = directory / "wasm" if (directory / "wasm").is_dir() else directory
        data = _listed(directory / "data")
        paths = [path for path in _listed(base) if is_module(path)]
        if not paths:
            raise SuiteError(f"there is no .wasm file in {base}; name the directory that holds them.")
        refused = {path: reason for path in paths if (reason := _refusal(path, directory)) is not None}
        found = []
        for module in paths:
            if module not in refused:
                more = _examine(module, base, data, directory)
                if like := _named_alike(more, found):
                    refused[module] = like
                else:
                    found += more
    for one in list(found):
        if long := _too_long(name, one):
            refused[base / one.source] = long
            found.remove(one)
    if not found:
        return Imported(None, refused)
    sources = {f"modules/{one.module}": base / one.module for one in found}
    sources |= {host: source for one in found for host, source in one.inputs.items()}
    toml = _toml(directory.name, found)
    if suite_file.exists():
        sweep(target.parent)
        for gone in merge(target, toml, sources):
            say(f"{name}: {gone} is no longer in {base}; it was removed from the suite")
        return Imported(read_suite(suite_file), refused)
    with making(target) as fresh:
        for path, source in sources.items():
            (fresh / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, fresh / path)
        (fresh / "suite.toml").write_text(toml, encoding="utf-8")
        record(fresh, toml, sources)
        read_suite(real(fresh / "suite.toml"))
    return Imported(read_suite(suite_file), refused)


def _too_long(suite: str, one: _Found) -> str | None:
    """Why no workload can have its name; None where one can."""
    letters = len("/".join(filter(None, (suite, one.group, one.name))))
    if letters <= LONGEST_NAME:
        return None
    return (
        f"its workload would have a name of {several(letters, 'letter')}, and {LONGEST_NAME} is the most; give the "
        "file, its folder or the suite (--as) a shorter name"
    )


def _refusal(path: Path, directory: Path) -> str | None:
    """Why a file cannot be a workload; None where it can."""
    if not is_text(str(path.relative_to(directory))):
        return f"{path}: its name is not text in UTF-8, as a suite.toml must be; rename it"
    try:
        return refusal(path.read_bytes())
    except OSError as error:
        return f"it cannot be read: {why(error, path)}; let it be read, or take it away"


def is_module(path: Path) -> bool:
    """Whether a file is one by its name: some systems write the ending in capitals."""
    return path.suffix.lower() == ".wasm"


def _named_alike(more: list[_Found], found: list[_Found]) -> str | None:
    """Why workloads cannot stand beside those that were found before; None where no two have one name."""
    names = {(one.group, one.name): one for one in found}
    for one in more:
        name = one.group, one.name
        if name in names:
            return (
                f"{names[name].source} and {one.source} would both be called {'/'.join(filter(None, name))}: of a "
                "file's name only a-z, A-Z, 0-9 and . _ + - are kept, and the rest becomes -; rename one of the two"
            )
        names[name] = one
    return None


def _examine(path: Path, base: Path, data: list[Path], directory: Path) -> list[_Found]:
    content = path.read_bytes()
    module, sha256 = path.relative_to(base), hashlib.sha256(content).hexdigest()
    folders, stem = [_plain(part) for part in module.parts[:-1]], _plain(path.stem)
    scripts = [file for file in _listed(path.with_suffix("")) if not is_module(file)]
    if scripts:
        group = "-".join([*folders, stem])
        return [
            _Found(
                group,
                _plain(script.stem),
                module.as_posix(),
                sha256,
                [script.name],
                {script.name: script.relative_to(directory).as_posix()},
                inputs={script.relative_to(directory).as_posix(): script},
            )
            for script in scripts
        ]
    guests = [file.relative_to(directory).as_posix() for file in data]
    files = {guest: guest for guest in guests if guest.encode() in content}
    inputs = {host: directory / host for host in files.values()}
    return [_Found("-".join(folders), stem, module.as_posix(), sha256, files=files, inputs=inputs)]


def _from_lists(lists: list[Path], directory: Path) -> tuple[list[_Found], dict[Path, str]]:
    found: list[_Found] = []
    refused: dict[Path, str] = {}
    for path in lists:
        group = "" if path.parent == directory else path.parent.name
        place = "/".join(filter(None, ("data", group)))
        entries, wrong = read_list(path)
        refused |= wrong
        for one in entries:
            if one.module not in refused and (reason := refusal(one.module.read_bytes())):
                refused[one.module] = reason
            if one.module in refused:
                continue
            hosts = {guest: f"{place}/{guest}" for guest in one.files}
            inputs = {hosts[guest]: source for guest, source in one.files.items()}
            stdin = None
            if one.stdin:
                stdin = f"{place}/{one.stdin.relative_to(path.parent).as_posix()}"
                inputs[stdin] = one.stdin
            sha256 = hashlib.sha256(one.module.read_bytes()).hexdigest()
            module = one.module.relative_to(directory).as_posix()
            found.append(
                _Found(
                    _plain(group) if group else "", _plain(one.name), module, sha256, one.args, hosts, stdin,
                    one.stdout_matches, inputs,
                )
            )  # fmt: skip
    return found, refused


def _listed(directory: Path) -> list[Path]:
    """The files under `directory`, sorted, without hidden ones."""
    if not directory.is_dir():
        return []
    files = (path for path in directory.rglob("*") if path.is_file())
    return sorted(
        p for p in files if not any(part.startswith(".") for part in p.relative_to(directory).parts)
    )


def _plain(text: str) -> str:
    """The text with every character that cannot be in a workload's name as a `-`."""
    return re.sub(r"[^A-Za-z0-9._+-]+", "-", text).lstrip("._+-") or "module"


def _quoted(text: str) -> str:
    """A string of TOML: JSON's, but for pairs of surrogates, which TOML has not, and DEL, which it wants escaped."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _toml(title: str, found: list[_Found]) -> str:
    lines = [HEAD, f"title = {_quoted(f'Modules imported from {title}')}", ""]
    for one in found:
        lines += ["[[workload]]", f"name = {_quoted(one.name)}"]
        lines += [
            f"module = {_quoted(f'modules/{one.module}')}",
            f"module_sha256 = {_quoted(one.sha256)}",
        ]
        if one.group:
            lines.append(f"[workload.sizes.{_quoted(one.group)}]")
        if one.args:
            lines.append(f"args = {'[' + ', '.join(map(_quoted, one.args)) + ']'}")
        if one.files:
            pairs = ", ".join(f"{_quoted(guest)} = {_quoted(host)}" for guest, host in one.files.items())
            lines.append(f"files = {{ {pairs} }}")
        if one.stdin:
            lines.append(f"stdin = {_quoted(one.stdin)}")
        if one.stdout_matches:
            lines.append(f"stdout_matches = {_quoted(one.stdout_matches)}")
        lines.append("")
    return "\n".join(lines)
