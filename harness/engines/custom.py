"""Engines of one's own: a table of `devices.yaml` for anything with a command line.

    engines:
      mytool-j:
        version: mytool --version
        run: [mytool, run, "{preopens}", "{module}", "{args}"]
        preopen: --dir {host}:{guest}
        kind: compiler                          # or baseline, interpreter
        trap: "RuntimeError: (.*)"              # how it tells a trap; group 1 is the reason
      mytool-a:
        version: mytool --version
        compile: [[mytool, compile, "{module}", -o, "{artefact}"]]
        run: mytool run --precompiled {preopens} {artefact} {args}
        kind: compiler

A command is a list of words, or a text that is split at spaces; no shell reads it. What stands in braces is described
in command.py.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated

import msgspec

from harness.engines.command import Command, command_engine
from harness.engines.engine import Engine, Kind
from harness.engines.maker import Words

NAME = re.compile(r"[a-z0-9][a-z0-9.+-]{0,62}")
KNOWN = {
    "module", "artefact", "scratch", "here", "argv0", "args", "preopens", "memory_bytes", "memory_pages",
}  # fmt: skip
Text = Annotated[str, msgspec.Meta(min_length=1)]
Line = Text | Annotated[list[Text], msgspec.Meta(min_length=1)]


class WrongEngine(ValueError):
    """A table that describes no engine; ``field`` is where, below the engine's name."""

    def __init__(self, field: str, what: str) -> None:
        super().__init__(what)
        self.field, self.what = field, what


class CustomEngine(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One entry of ``engines:`` in `devices.yaml`."""

    run: Line
    version: Line
    kind: Kind
    compile: list[Line] = []
    preopen: Line = []
    trap: str = ""
    refused: str = ""
    trap_codes: tuple[Annotated[int, msgspec.Meta(ge=0, le=255)], ...] = (1,)
    words_on_stdout: bool = False
    log_lines: str = ""
    confine: bool = False
    lower_memory: bool = False
    env: dict[str, str] = {}
    family: str = ""
    how_to_get: str = ""

    def engine(self, name: str) -> Engine:
        """Raises WrongEngine."""
        if not NAME.fullmatch(name):
            raise WrongEngine(
                "", f"an engine's name takes small letters, digits and . + -, at most 63, not {name!r}"
            )
        run, preopen = _words(self.run), _words(self.preopen)
        compile = tuple(_words(line) for line in self.compile)
        self._check(run, compile, preopen)
        command = Command(
            version=(_words(self.version),),
            run=run,
            compile=compile,
            preopen=preopen,
            trap=self.trap,
            refused=self.refused,
            trap_codes=self.trap_codes,
            words_on_stdout=self.words_on_stdout,
            log_lines=self.log_lines,
            confine=self.confine,
            lower_memory=self.lower_memory,
            env=self.env,
        )
        how = self.how_to_get or f"install it so that `{run[0]}` is on the PATH"
        return command_engine(name, command, kind=self.kind, family=self.family, how_to_get=how)

    def _check(self, run: Words, compile: tuple[Words, ...], preopen: Words) -> None:
        for field, words, known in (
            ("run", run, KNOWN),
            *(("compile", words, KNOWN - {"args", "preopens"}) for words in compile),
            ("preopen", preopen, {"host", "guest"}),
        ):
            for word in words:
                for place in re.findall(r"\{(\w+)\}", word):
                    if place not in known:
                        raise WrongEngine(
                            field, f"{{{place}}} is nothing known; known are {', '.join(sorted(known))}"
                        )
                    if place in ("args", "preopens") and word != f"{{{place}}}":
                        raise WrongEngine(field, f"{{{place}}} must be a word of its own, not in {word!r}")
        wanted = "artefact" if compile else "module"
        if not any(f"{{{wanted}}}" in word for word in run):
            raise WrongEngine("run", f"{{{wanted}}} is missing: the engine would not know what to run")
        if compile and not any("{artefact}" in word for word in compile[-1]):
            raise WrongEngine("compile", "{artefact} is missing: where the last command leaves its result")
        if preopen and "{preopens}" not in run:
            raise WrongEngine("run", "{preopens} is missing, though `preopen` says how a directory is given")
        for field in ("trap", "refused", "log_lines"):
            try:
                re.compile(getattr(self, field))
            except re.error as error:
                raise WrongEngine(field, f"not a regular expression: {error}") from error


def custom_engines(tables: Mapping[str, CustomEngine], known: Mapping[str, Engine]) -> dict[str, Engine]:
    """The engines of `devices.yaml`; a name that the harness has already is refused. Raises WrongEngine."""
    found = {}
    for name, table in tables.items():
        if name in known:
            raise WrongEngine(name, f"{name} is an engine the harness has; choose another name")
        try:
            found[name] = table.engine(name)
        except WrongEngine as error:
            raise WrongEngine(".".join(filter(None, (name, error.field))), error.what) from error
    return found


def _words(line: str | list[str]) -> Words:
    return tuple(line.split() if isinstance(line, str) else line)
