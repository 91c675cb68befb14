"""Both implementations on the same program, side by side."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.files import temporary
from harness.opcodes.interpreter import interpret
from harness.opcodes.invocation import Counts
from harness.opcodes.native_run import count
from harness.opcodes.traps import STACK_EXHAUSTED, TIME_LIMIT
from harness.opcodes.wasm_store import Beyond

_COMPARED = ("trap", "exit_code", "stdout_sha256", "memory_sha256")


@dataclass(frozen=True, slots=True)
class Verification:
    counted: Counts
    interpreted: Counts | None  # None where the interpreter cannot follow the program
    limit: str | None = None  # what it lacks then, in a sentence

    @property
    def differences(self) -> dict[str, tuple[object, object]]:
        """What differs, as (counted, interpreted): opcodes by name, then how the program ended and what it
        left.
        """
        ours, theirs = self.counted, self.interpreted
        if theirs is None:
            return {}
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
        return self.interpreted is not None and not self._traps() & {TIME_LIMIT, STACK_EXHAUSTED}

    @property
    def told(self) -> str:
        """Whether they agree, in a few words: "agrees", "differs: …", or why that cannot be said."""
        if self.limit is not None:
            return f"cannot follow: {self.limit}"
        if not self.complete:
            return "too long for it" if TIME_LIMIT in self._traps() else "too deep for it"
        differences = ", ".join(f"{name}: {a} ≠ {b}" for name, (a, b) in self.differences.items())
        return f"differs: {differences}" if differences else "agrees"

    def _traps(self) -> set[str | None]:
        return {self.counted.trap, self.interpreted.trap if self.interpreted else None}


def verify(
    module: bytes,
    *,
    argv: Sequence[str] = (),
    stdin: bytes | Path = b"",
    preopens: Mapping[str, Path] | None = None,
    env: Mapping[str, str] | None = None,
    timeout_s: float | None = None,
    entry: str = "_start",
) -> Verification:
    """Count and interpret `module`, each with a fixed clock and its own copy of the directories.

    The originals of the directories are left as they are. Raises `ModuleError` as `count` does.
    """

    def run(implementation: Callable[..., Counts]) -> Counts:
        with temporary("verify") as place:
            copies = {}
            for number, (guest, host) in enumerate((preopens or {}).items()):
                copies[guest] = Path(shutil.copytree(host, place / str(number), symlinks=True))
            return implementation(
                module,
                argv=argv,
                stdin=stdin,
                preopens=copies,
                env=env,
                timeout_s=timeout_s,
                entry=entry,
                fixed=True,
            )

    counted = run(count)
    try:
        return Verification(counted, run(interpret))
    except Beyond as beyond:
        return Verification(counted, None, str(beyond))
