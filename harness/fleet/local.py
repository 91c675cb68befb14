"""The agent as a subprocess of the controller: the device ``local``."""

from __future__ import annotations

import sys
from pathlib import Path

import harness.fleet.agent
from harness.fleet.channel import Pipe


class LocalTransport(Pipe):
    """The agent with its files under ``root``."""

    def __init__(self, root: Path, controller: str, python: str = sys.executable) -> None:
        super().__init__(
            [python, harness.fleet.agent.__file__, "--root", str(root), "--controller", controller]
        )
