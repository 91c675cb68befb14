"""An output stream of the engine's, taken in as it is written."""

from __future__ import annotations

import os
import select
import threading
from typing import Self

from harness.opcodes.invocation import Capture


class Pipe(Capture):
    """A `Capture` the engine can open by `path`; complete once the `with` block is left.

    Memory and disk stay bounded however much is written, and no Python code runs on a thread of the engine's
    (a callback there would abort the process if it came while Python shuts down).
    """

    def __enter__(self) -> Self:
        self._read_end, self._write_end = os.pipe()
        self._stop_read, self._stop_write = os.pipe()
        self.path = f"/dev/fd/{self._write_end}"
        self._thread = threading.Thread(target=self._drain, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        os.write(self._stop_write, b"x")
        self._thread.join()
        for end in (self._read_end, self._write_end, self._stop_read, self._stop_write):
            os.close(end)

    def _drain(self) -> None:
        """Read until told to stop; then what is still in the pipe."""
        stopping = False
        while True:
            timeout = 0 if stopping else None
            ready, _, _ = select.select([self._read_end, self._stop_read], [], [], timeout)
            stopping = stopping or self._stop_read in ready
            if self._read_end in ready:
                self.write(os.read(self._read_end, 1 << 16))
            elif stopping:
                return
