"""An agent behind any command that runs another: ``docker exec -i``, ``kubectl exec``, ``adb shell``, ``srun``…"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from harness.fleet.boot import command, for_shell, start
from harness.fleet.channel import Pipe
from harness.fleet.transport import LinkLost, Unreachable

# These join their words into one line for a shell at the other end; all others pass words as they are.
JOINING = {"adb", "ssh", "dbclient", "rsh"}


class CommandTransport(Pipe):
    """Raises Unreachable where the command runs no agent, LinkLost where it ended."""

    def __init__(self, words: Sequence[str], cache: str, python: str, controller: str) -> None:
        given = command(python, cache, controller)
        if Path(words[0]).name in JOINING:
            given = [for_shell(given)]
        try:
            super().__init__([*words, *given])
        except OSError as error:
            raise Unreachable(
                f"{words[0]} does not run here: {error.strerror}; correct `command:`"
            ) from error
        try:
            start(self)
        except LinkLost as error:
            code, said = self.exit_code(), self.said().rpartition("\n")[2][:300]
            self.kill()
            if code is None:
                raise
            raise Unreachable(
                f"`{shlex.join(words)}` ended with exit code {code} and started no agent{f': {said}' if said else ''}; "
                "try it by hand with: " + shlex.join([*words, python, "--version"])
            ) from error
        except BaseException:
            self.kill()
            raise
