"""Programs of engines that a user has built or fetched: brought to a device, tried there, and taken away again."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console

from harness.engines import ENGINES
from harness.engines.program import pack_program
from harness.errors import DeviceError, UnknownName, UsageError
from harness.files import temporary
from harness.fleet.reach import Reached, detect
from harness.fleet.session import Refused

# As the header of an ELF file tells them, by what `uname -m` says on such a machine.
MACHINES = {3: "i686", 40: "armv7l", 62: "x86_64", 183: "aarch64", 243: "riscv64"}


def parse_brought(pairs: Sequence[str]) -> dict[str, Path]:
    """``ENGINE=PATH`` as they are given on the command line: paths by program. Raises UsageError."""
    found = {}
    for pair in pairs:
        name, equals, path = pair.partition("=")
        if not (name and equals and path):
            raise UsageError(f"--with {pair} must be ENGINE=PATH, such as iwasm=./iwasm-arm64.")
        if not Path(path).is_file():
            raise UsageError(f"--with {pair}: there is no file {path}; give the path of the program.")
        found[program_of(name)] = Path(path)
    return found


def program_of(name: str) -> str:
    """The program that is brought for an engine, or of that name. Raises UsageError."""
    programs = {program for engine in ENGINES.values() for program in engine.needs}
    if name in programs:
        return name
    if name not in ENGINES:
        raise UnknownName("engine or program", name, programs | {e.name for e in ENGINES.values() if e.needs})
    needs = ENGINES[name].needs
    if not needs:
        raise UsageError(
            f"{name} is no program that could be brought; use --setup, or: {ENGINES[name].how_to_get}."
        )
    if len(needs) > 1:
        raise UsageError(f"{name} needs {' and '.join(needs)}; give each by its own name.")
    return needs[0]


def bring(reached: Reached, programs: Mapping[str, Path], console: Console) -> Reached:
    """Put programs on a device, to be used before others of their names; the device with the engines it has then.

    One with which no engine runs there is taken away again, and what was brought before is back. Raises DeviceError
    for such, LinkLost, Refused.
    """
    name = reached.device.name
    for program, path in programs.items():
        _check_machine(reached, program, path)
    for program, path in programs.items():
        with temporary("brought") as scratch, path.open("rb") as content:
            put(reached, program, pack_program(program, content, scratch / "program.zip"))
        console.print(f"{name}: brought {program}, SHA-256 {hashlib.sha256(path.read_bytes()).hexdigest()}")
    there = detect(reached)
    failed = {program: why for program in programs if (why := why_not(there, program))}
    for program in failed:
        reached.session.bring(program, None, undo=True)
    if failed:
        told = "; ".join(f"{program}: {why}" for program, why in failed.items())
        raise DeviceError(name, f"what was brought does not run there, and was taken away again: {told}")
    return there


def put(reached: Reached, program: str, archive: Path) -> None:
    """Push a zip with ``bin/PROGRAM`` and have it used."""
    data = archive.read_bytes()
    digest = hashlib.sha256(data).hexdigest()
    reached.session.push({digest: lambda: data})
    reached.session.bring(program, digest)


def take_away(reached: Reached, programs: Sequence[str], console: Console) -> Reached:
    """Use what was brought no more. Raises DeviceError where nothing was, LinkLost."""
    for program in programs:
        try:
            reached.session.bring(program, None)
        except Refused as error:
            raise DeviceError(reached.device.name, str(error).removeprefix("ValueError: ")) from error
        console.print(f"{reached.device.name}: {program} was taken away")
    return detect(reached)


def why_not(reached: Reached, program: str) -> str:
    """Empty where some engine runs with the program."""
    using = [name for name, engine in ENGINES.items() if program in engine.needs]
    if any(name in reached.versions for name in using):
        return ""
    reasons = [reached.absent[name] for name in using if name in reached.absent]
    return reasons[0] if reasons else "its `engines:` names no engine that uses it"


def _check_machine(reached: Reached, program: str, path: Path) -> None:
    """Raises DeviceError for a program of another processor type than the device's."""
    with path.open("rb") as file:
        header = file.read(20)
    there = str(reached.facts.get("machine", ""))
    if header[:4] != b"\x7fELF" or there not in MACHINES.values():
        return  # a script, or nothing we know: the device will tell
    number = int.from_bytes(header[18:20], "little" if header[5] == 1 else "big")
    if (made_for := MACHINES.get(number, f"processor type {number}")) != there:
        raise DeviceError(reached.device.name, f"{path} ({program}) is for {made_for}, and it is {there}")
