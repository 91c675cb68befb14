"""devices.yaml: the machines of the cluster."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_type_hints

import msgspec
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from harness.engines import ENGINES
from harness.engines.custom import CustomEngine, WrongEngine, custom_engines
from harness.errors import DevicesError, UnknownName, why
from harness.files import contents
from harness.fleet.local import LocalTransport
from harness.fleet.transport import Transport, Unreachable

BUILT_IN = dict(ENGINES)
DEFAULT_PATH = Path("devices.yaml")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")


class Device(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A machine that runs modules, and how to reach it."""

    transport: Literal["local", "ssh", "command"]
    name: str = ""
    host: str | None = None
    port: Annotated[int, msgspec.Meta(ge=1, le=65535)] | None = None
    user: str | None = None
    key: str | None = None
    known_hosts: str | None = None
    jump: str | None = None
    client: Literal["openssh", "paramiko"] | None = None  # of ssh; openssh where this machine has it
    command: Annotated[list[str], msgspec.Meta(min_length=1)] | None = None  # of transport: command
    python: str | None = None
    engines: Annotated[list[str], msgspec.Meta(min_length=1)] | None = None
    cpus: Annotated[list[Annotated[int, msgspec.Meta(ge=0)]], msgspec.Meta(min_length=1)] | None = None
    cache: str = "~/.cache/harness"
    compile: Literal["device", "controller"] = "device"  # where engines that compile ahead of time do

    def looked_for(self, engines: Sequence[str]) -> Device:
        """The same with those of its engines that are asked for: looking for each of the others costs seconds."""
        both = [name for name in self.engines or ENGINES if name in engines]
        return msgspec.structs.replace(self, engines=both) if both else self

    def connect(self, controller: str) -> Transport:
        """Start an agent there. Raises LinkLost, and Unreachable where trying again will not help."""
        if self.transport == "local":
            root = os.path.expanduser(os.path.expandvars(self.cache))
            if root.startswith(("~", "$")):
                lacks = "no home directory for that user" if root[0] == "~" else "no such variable"
                raise Unreachable(f"{self.cache} is no place ({lacks}); set `cache:` or the variable HOME")
            return LocalTransport(Path(root), controller, self.python or sys.executable)
        python = self.python or "python3"
        if self.transport == "command":
            from harness.fleet.behind import CommandTransport

            return CommandTransport(self.command or [], self.cache, python, controller)
        from harness.fleet.address import Address
        from harness.fleet.openssh import OpenSshTransport, available
        from harness.fleet.ssh import SshTransport

        key = os.path.expanduser(self.key or "")
        if "%" not in key and not any(
            map(os.path.exists, (key or "/", f"{key}.pub"))
        ):  # an agent may hold the other
            raise Unreachable(f"there is no key {self.key} here; correct `key:`")
        address = Address(self.host or self.name, self.port, self.user, self.key, self.known_hosts, self.jump)
        ssh = None if self.client == "paramiko" else available()
        if ssh:
            return OpenSshTransport(ssh, address, self.cache, python, controller)
        if self.client == "openssh":
            raise Unreachable(
                "there is no `ssh` on this machine; install OpenSSH's client, or leave out `client:`"
            )
        return SshTransport(address, self.cache, python, controller)


IN_YAML = {
    "object": "a mapping of names to values", "array": "a list", "null": "nothing", "str": "text",
    "int": "a whole number", "float": "a number", "bool": "true or false",
}  # fmt: skip


class _DevicesFile(msgspec.Struct, forbid_unknown_fields=True):
    devices: dict[str, Device]
    engines: dict[str, CustomEngine] = {}


def load_devices(
    path: str | Path = DEFAULT_PATH, say: Callable[[str], None] = lambda text: None
) -> dict[str, Device]:
    """Every device of the file, by name. Raises DevicesError naming the line and the field that is wrong.

    Without a `devices.yaml` in the working directory it is this machine alone, as ``local``, which `say` hears of.
    """
    path = Path(path)
    try:
        text = contents(path).decode()
    except FileNotFoundError:
        if path == DEFAULT_PATH:
            say(f"no {path} here, so this machine is the only device: local")
            return {"local": Device(transport="local", name="local")}
        raise DevicesError(
            f"no {path}; create one with the line `devices: {{local: {{transport: local}}}}`, or name another "
            "file with --devices-file."
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise DevicesError(
            f"{path} cannot be read: {why(error, path)}; name another with --devices-file."
        ) from error
    try:
        raw = YAML(typ="rt").load(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f", line {mark.line + 1}" if mark else ""
        problem = " ".join(str(error.problem or error.context or error).split())
        raise DevicesError(f"{path}{line}: not valid YAML: {problem}; correct that line.") from error
    except RecursionError:
        raise DevicesError(f"{path}: not valid YAML for this: it is nested too deeply; correct it.") from None
    except YAMLError as error:
        raise DevicesError(f"{path}: not valid YAML: {' '.join(str(error).split())}; correct it.") from error
    try:
        parsed = msgspec.convert(raw, _DevicesFile)
    except msgspec.ValidationError as error:
        what, _, where = str(error).partition(" - at ")
        steps = _steps(where.strip("`"), raw)
        what = _in_yaml(what, steps)
        if where.startswith("`key` in "):  # such as 12, which YAML reads as a number
            names = raw[steps[0]] if steps else raw
            steps, what = (
                [*steps, next(name for name in names if not isinstance(name, str))],
                f"{what}: quote it",
            )
        raise _wrong(path, raw, steps, what) from error
    try:
        ENGINES.update(custom_engines(parsed.engines, BUILT_IN))
    except WrongEngine as error:
        raise _wrong(path, raw, ["engines", *error.field.split(".")], error.what) from error
    for name, device in parsed.devices.items():
        if not _NAME.fullmatch(name):
            raise _wrong(
                path, raw, ["devices", name], "a device's name takes letters, digits and . _ -, at most 63"
            )
        for position, engine in enumerate(device.engines or []):
            if engine not in ENGINES:
                where = f"{path}, line {_line(raw, ['devices', name, 'engines', position])}"
                raise UnknownName("engine", engine, ENGINES, where=where)
        if (device.transport == "command") != (device.command is not None):
            raise _wrong(path, raw, ["devices", name], "`transport: command` and `command:` go together")
    if not parsed.devices:
        raise _wrong(path, raw, ["devices"], "it names no device")
    return {name: msgspec.structs.replace(device, name=name) for name, device in parsed.devices.items()}


def choose(devices: dict[str, Device], names: Iterable[str], path: Path) -> list[Device]:
    """The named devices of the file ``path``, or all of them for no name. Raises UnknownName."""
    names = list(names)
    for name in names:
        if name not in devices:
            raise UnknownName("device", name, devices, where=str(path))
    return [device for name, device in devices.items() if not names or name in names]


def _in_yaml(what: str, steps: list[str | int]) -> str:
    """What msgspec says, in the words of someone who writes YAML."""
    what = re.sub(
        r"`([a-z]+)( \| null)?`", lambda kind: IN_YAML[kind[1]] if kind[1] in IN_YAML else kind[0], what
    )
    if "length >= 1" in what:
        what = "it is an empty list, which says nothing; put something in it, or leave the field out"
    if what.startswith("Invalid enum value") and steps:
        hint = get_type_hints(Device, include_extras=True).get(str(steps[-1]))
        words = [word for one in (hint, *get_args(hint)) for word in get_args(one) if isinstance(word, str)]
        what += f" (known: {', '.join(words)})" * bool(words)
    return what


def _steps(where: str, raw: Any) -> list[str | int]:
    """msgspec's ``$.devices[...].cpus[0]`` as keys; the ``[...]`` of a mapping is the first key that fails alone."""
    steps: list[str | int] = []
    for word, index in re.findall(r"\.([^.\[\]]+)|\[([^\]]*)\]", where):
        if word:
            steps.append(word)
        elif index.isdigit():
            steps.append(int(index))
        elif steps in (["devices"], ["engines"]):
            what = Device if steps == ["devices"] else CustomEngine
            entries = raw[steps[0]].items()
            steps.append(next((name for name, entry in entries if not _converts(entry, what)), ""))
    return steps


def _converts(entry: Any, what: type) -> bool:
    try:
        msgspec.convert(entry, what)
    except msgspec.ValidationError:
        return False
    return True


def _wrong(path: Path, raw: Any, steps: list[str | int], what: str) -> DevicesError:
    unknown = re.search(r"unknown field `([^`]+)`", what)
    if unknown:
        kind = CustomEngine if steps[:1] == ["engines"] else Device
        fields = [name for name in kind.__struct_fields__ if name != "name"]
        what = f"{what}; the fields are {', '.join(fields)}" if len(steps) > 1 else what
        steps = [*steps, unknown[1]]
    field = ".".join(str(step) for step in steps if step != "") or "the file"
    return DevicesError(
        f"{path}, line {_line(raw, steps)}, {field}: {what[0].lower()}{what[1:]}; correct the entry."
    )


def _line(raw: Any, steps: list[str | int]) -> int:
    """The line (from 1) of the deepest of these keys that the document has."""
    line = 1
    for step in steps:
        if isinstance(raw, CommentedMap) and step in raw:
            line = raw.lc.key(step)[0] + 1
        elif isinstance(raw, CommentedSeq) and isinstance(step, int) and step < len(raw):
            line = raw.lc.item(step)[0] + 1
        else:
            break
        raw = raw[step]
    return line
