"""What a device is sent to run a workload: bytes by their hash, and a description."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

from harness.suites.suite import Workload


class Payload:
    """What a device needs to run a workload: bytes by their SHA-256, and the agent's description of it.

    ``memory_bytes`` is what the workload is known to need of linear memory, if anything is known.
    """

    def __init__(self, workload: Workload, memory_bytes: int | None = None) -> None:
        self.workload, self.memory_bytes = workload, memory_bytes
        self._contents: dict[str, Callable[[], bytes]] = {}
        self._size_bytes = 0

    @property
    def contents(self) -> dict[str, Callable[[], bytes]]:
        """The module and its inputs."""
        _ = self.spec  # where they are read and hashed, once
        return self._contents

    @property
    def size_bytes(self) -> int:
        """Of the module and its inputs."""
        _ = self.spec
        return self._size_bytes

    def _content(self, path: Path) -> str:
        data = path.read_bytes()
        digest = hashlib.sha256(data).hexdigest()
        self._size_bytes += len(data)
        self._contents[digest] = path.read_bytes
        return digest

    @cached_property
    def spec(self) -> dict[str, Any]:
        workload = self.workload
        return {
            "workload": workload.name,
            "module": self._content(workload.module),
            "argv": list(workload.argv),
            "stdin": workload.stdin and self._content(workload.stdin),
            "files": {file.guest: self._content(file.host) for file in workload.files},
            "expect": {
                "exit_code": workload.expect.exit_code,
                "stdout_sha256": workload.expect.stdout_sha256,
                "stdout_matches": workload.expect.stdout_matches,
            },
            "memory_bytes": self.memory_bytes,
        }
