"""Reading `benchmarks.json`: the list that some collections of modules keep of how each is run.

    {"benchmarks": [{"name": "crc-small", "path": "crc.wasm", "args": "{path}/assets/small.pcm",
                     "output-validator": "6DA5B639"}]}

``path`` is the module, beside the list. ``args`` is one text, split as a shell does; ``{path}/`` begins the name of a
file beside the list, ``< FILE`` is what stdin reads, and where stdout goes does not matter. ``output-validator`` is a
regular expression found in the output of a correct execution, ``entrypoint`` a function to call in place of ``_start``.
What else an entry has (how a score is read from its output) is not used: times are measured.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from harness.errors import SuiteError, why
from harness.files import real

LIST = "benchmarks.json"
_SHELL = re.compile(r"[|;&$`<>]")
_FILE = re.compile(r"\{path\}/([^\s=,:]+)")


class _Entry(msgspec.Struct, rename="kebab"):
    name: str
    path: str
    args: str = ""
    output_validator: str | None = None
    entrypoint: str | None = None


class _List(msgspec.Struct):
    benchmarks: list[_Entry]


@dataclass(frozen=True)
class Listed:
    """One entry; ``files`` are by the path at which the module sees them, which is that from the list's directory."""

    name: str
    module: Path
    args: list[str] = field(default_factory=list)
    stdin: Path | None = None
    files: dict[str, Path] = field(default_factory=dict)
    stdout_matches: str | None = None


def lists_in(directory: Path) -> list[Path]:
    """Its own list, or those of the directories in it."""
    own = directory / LIST
    return [own] if own.is_file() else sorted(directory.glob(f"*/{LIST}"))


def read_list(path: Path) -> tuple[list[Listed], dict[Path, str]]:
    """What a list names, and by module why an entry cannot be a workload. Raises SuiteError where it is no list."""
    try:
        entries = msgspec.json.decode(path.read_bytes(), type=_List).benchmarks
    except (OSError, msgspec.DecodeError) as error:
        raise SuiteError(
            f"{path} is not a list of benchmarks: {why(error, path)}; correct it or move it away."
        ) from error
    listed: list[Listed] = []
    refused: dict[Path, str] = {}
    for entry in entries:
        module = path.parent / entry.path
        try:
            listed.append(_listed(entry, module, path.parent))
        except ValueError as error:
            if not module.is_file():
                raise SuiteError(
                    f"{path}: {entry.name}: {error}; put it there or take the entry out."
                ) from None
            refused[module] = f"{entry.name}: {error}"
    return listed, refused


def _listed(entry: _Entry, module: Path, folder: Path) -> Listed:
    """Raises ValueError for what no workload can have."""
    _inside(module, folder)
    if entry.entrypoint not in (None, "_start"):
        raise ValueError(f"it is entered at the function {entry.entrypoint}, and a workload at _start")
    text = re.sub(r"\s>\s*\S+", " ", f" {entry.args}")
    stdin = None
    if found := re.search(r"\s<\s*(?:\{path\}/)?(\S+)", text):
        stdin = _inside(folder / found[1], folder)
        text = text.replace(found[0], " ")
    if _SHELL.search(text):
        raise ValueError(f"its arguments ask for a shell: {entry.args}")
    names = _FILE.findall(text)
    if entry.output_validator is not None:
        try:
            re.compile(entry.output_validator)
        except re.error as error:
            raise ValueError(f"its output-validator is not a regular expression: {error}") from None
    return Listed(
        entry.name,
        module,
        shlex.split(text.replace("{path}/", "")),
        stdin,
        {name: _inside(folder / name, folder) for name in names},
        entry.output_validator,
    )


def _inside(path: Path, folder: Path) -> Path:
    if not real(path).is_relative_to(real(folder)) or not path.is_file():
        raise ValueError(
            f"there is no file {path.relative_to(folder) if path.is_relative_to(folder) else path}"
        )
    return path
