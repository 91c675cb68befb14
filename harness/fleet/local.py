"""The agent as a subprocess of the controller: the device ``local``."""

from __future__ import annotations

import sys
from pathlib import Path

import harness.fleet.agent
from harness.errors import why
from harness.fleet.channel import Pipe
from harness.fleet.transport import Unreachable


class LocalTransport(Pipe):
    """The agent with its files under ``root``. Raises Unreachable where the Python does not run."""

    def __init__(self, root: Path, controller: str, python: str = sys.executable) -> None:
        try:
            super().__init__(
                [python, harness.fleet.agent.__file__, "--root", str(root), "--controller", controller]
            )
        except OSError as error:
            raise Unreachable(
                f"{python} does not run here: {why(error, python)}; correct `python:`"
            ) from error
