"""Engines that are a command line: how it is used, and how it tells that something went wrong."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field

from harness.engines.engine import Engine, Install, Kind
from harness.engines.maker import CommandMaker, Maker, Words

FILES = ("process_run.py", "compiled.py", "spawned.py", "runner.py", "fence.py", "memory_end.py")


@dataclass(frozen=True)
class Command:
    """A command line, in words: no shell reads it.

    In ``run`` and ``compile`` the device puts the module's path in the place of ``{module}``, and so ``{artefact}``
    (what ``compile`` makes and ``run`` takes), ``{scratch}`` (a directory for what lies between), ``{here}`` (where the
    engine's own files are), ``{argv0}``, ``{memory_bytes}`` and ``{memory_pages}`` (how much the module may
    allocate). The word ``{args}`` becomes the module's arguments, and ``{preopens}`` the words of ``preopen`` for
    every directory that the module may use, with ``{host}`` and ``{guest}``; the command runs in that directory, so
    that ``.`` is it.

    ``trap`` and ``refused`` are regular expressions for what the engine says when the module trapped, or when it does
    not accept the module; group 1 is the reason. They count where the exit code is one of ``trap_codes``
    (128 + N for death by signal N), so that no other exit code of a module can be mistaken for a trap.
    ``log_lines`` is a regular expression for lines that the engine itself writes to stdout; they are taken out.

    ``confine`` is for a command that does not keep a module in its directory by itself: the kernel does it.
    ``lower_memory`` is for one that takes no limit of memory: the module's own maximum is lowered.
    """

    version: tuple[Words, ...]
    run: Words
    compile: tuple[Words, ...] = ()
    preopen: Words = ()
    trap: str = ""
    refused: str = ""
    trap_codes: tuple[int, ...] = (1,)
    words_on_stdout: bool = False
    log_lines: str = ""
    confine: bool = False
    lower_memory: bool = False
    env: dict[str, str] = field(default_factory=dict)


def command_engine(
    name: str,
    command: Command,
    *,
    how_to_get: str,
    kind: Kind,
    family: str = "",
    files: Sequence[str] = (),
    install: Install | None = None,
    targets: Mapping[str, Words] | None = None,
    maker: Maker | None = None,
    lacks: Mapping[str, str] | None = None,
) -> Engine:
    """An engine whose samples are processes: ahead of time where the command line has a compile step.

    ``targets`` are for compiling on the controller: the words that ``{target}`` becomes, by processor type. A ``maker``
    is for an engine that has no other way to compile.
    """
    programs = [words[0] for words in (command.run, *command.compile, *command.version)]
    return Engine(
        name=name,
        family=family or programs[0],
        kind=kind,
        ahead_of_time=bool(command.compile or maker),
        program="python",
        entry="process_run.py",
        files=(*FILES, *files),
        args=("--command", json.dumps(asdict(command))),
        how_to_get=how_to_get,
        wall_contains="process",
        install=install,
        maker=_maker(command, targets or {}, tuple(files)) if command.compile else maker,
        only_made=maker is not None,
        needs=tuple(dict.fromkeys(program for program in programs if not program.startswith("{"))),
        lacks=lacks or {},
    )


def _maker(command: Command, targets: Mapping[str, Words], files: Words) -> CommandMaker:
    """The same compile step on the controller."""
    compilers = {words[0] for words in command.compile}
    versions = tuple(
        ("" if number == 0 else words[0], words)
        for number, words in enumerate(command.version)
        if words[0] in compilers
    )
    return CommandMaker(versions, command.compile, targets, files)
