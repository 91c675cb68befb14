"""Every error a person can see.

HarnessError
├── UsageError          the command was given something it cannot use (exit code 2)
│   ├── DevicesError    devices.yaml is missing or malformed
│   ├── UnknownName     no such device, engine, workload or platform
│   ├── SuiteError      a suite.toml or a source of a workload is wrong
│   ├── ModuleError     a file is not a WebAssembly module, or uses what is not supported
│   ├── DatasetError    a dataset is missing, damaged or of another version
│   └── ModelError      a model file is missing, damaged or cannot answer the question
├── Interrupted         Ctrl-C (exit code 130)
├── FetchError          a published file could not be downloaded, or is not the right one
└── DeviceError         a device could not be reached or broke its protocol
"""

from __future__ import annotations

import difflib
import re
import shlex
from collections.abc import Iterable

from harness.spelling import quoted


def why(error: BaseException, known: object = None) -> str:
    """What went wrong, as a part of a sentence: of what the system refused its words, without its number.

    They name the file, unless it is the ``known`` one, which the sentence names anyway.
    """
    if not isinstance(error, OSError):
        return (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
    told = str(error.strerror or error).splitlines() or [type(error).__name__]
    words = re.sub(r".*\[errno -?\d+\] ", "", told[0], flags=re.IGNORECASE).rstrip(".")
    names = [str(name) for name in (error.filename, error.filename2) if name not in (None, "", known)]
    named = [name for name in names if name != str(known) and name not in words]
    return f"{' and '.join(named)}: {words}" if named else words


def typed(name: object) -> str:
    """A file's or workload's name as it is typed in a shell, in a command that a sentence says to type."""
    text = str(name)
    return shlex.quote(f"./{text}" if text.startswith("-") else text)


class HarnessError(Exception):
    """One plain sentence for a person: what failed, where, and what to do."""

    exit_code = 1


class UsageError(HarnessError):
    exit_code = 2


class DevicesError(UsageError):
    pass


class SuiteError(UsageError):
    pass


class ModuleError(UsageError):
    pass


class DatasetError(UsageError):
    pass


class ModelError(UsageError):
    pass


class Interrupted(HarnessError):
    exit_code = 130

    def __init__(self) -> None:
        super().__init__("stopped by Ctrl-C; what was finished is kept, repeat the command to go on.")


class FetchError(HarnessError):
    pass


class UnknownName(UsageError):
    """A name that is not there, with the nearest names that are."""

    def __init__(
        self, kind: str, name: str, known: Iterable[str], *, where: str = "", hint: str = ""
    ) -> None:
        self.name = name
        known = sorted(set(known))
        near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
        place = f" in {where}" if where else ""
        if near:
            rest = f"did you mean {' or '.join(near)}?"
        elif len(known) <= 12:
            rest = f"known: {', '.join(known) or 'none'}."
        else:
            rest = f"{len(known)} are known, such as {', '.join(known[:3])}."
        super().__init__(f"no {kind} named {quoted(name)}{place}; {rest}{' ' + hint if hint else ''}")


class DeviceError(HarnessError):
    def __init__(self, device: str, reason: str) -> None:
        self.device, self.reason = device, reason
        super().__init__(f"device {device}: {reason}")
