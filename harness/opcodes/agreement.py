"""Both implementations on the same program, side by side."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.opcodes.interpreter import interpret
from harness.opcodes.invocation import Counts
from harness.opcodes.native_run import count

_COMPARED = ("trap", "exit_code", "stdout_sha256", "memory_sha256")


@dataclass(frozen=True, slots=True)
class Verification:
    counted: Counts
    interpreted: Counts

    @property
    def differences(self) -> dict[str, tuple[object, object]]:
        """What differs, as (counted, interpreted): opcodes by name, then how the program ended and what it
        left.
        """
        ours, theirs = self.counted, self.interpreted
        found: dict[str, tuple[object, object]] = {}
        for name in sorted(ours.opcodes.keys() | theirs.opcodes.keys()):
            pair = ours.opcodes.get(name, 0), theirs.opcodes.get(name, 0)
            if pair[0] != pair[1]:
                found[name] = pair
        for word in _COMPARED:
            if getattr(ours, word) != getattr(theirs, word):
                found[word] = getattr(ours, word), getattr(theirs, word)
        return found

    @property
    def complete(self) -> bool:
        """Whether both came to the end: a run stopped by its time limit or by the depth of its calls cannot
        agree.
        """
        return not {self.counted.trap, self.interpreted.trap} & {"time limit", "call stack exhausted"}


def verify(
    module: bytes,
    *,
    argv: Sequence[str] = (),
    stdin: bytes = b"",
    preopens: Mapping[str, Path] | None = None,
    env: Mapping[str, str] | None = None,
    timeout_s: float | None = None,
    entry: str = "_start",
) -> Verification:
    """Count and interpret `module`, each with a fixed clock and its own copy of the directories.

    The originals of the directories are left as they are. Raises `ModuleError` as `count` does.
    """
    runs = []
    for run in (count, interpret):
        with tempfile.TemporaryDirectory(prefix="harness-verify-") as place:
            copies = {}
            for number, (guest, host) in enumerate((preopens or {}).items()):
                copies[guest] = Path(shutil.copytree(host, Path(place) / str(number), symlinks=True))
            runs.append(
                run(
                    module,
                    argv=argv,
                    stdin=stdin,
                    preopens=copies,
                    env=env,
                    timeout_s=timeout_s,
                    entry=entry,
                    fixed=True,
                )
            )
    return Verification(*runs)
