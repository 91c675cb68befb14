"""How a running collection is asked to end."""

from __future__ import annotations

import contextlib
import threading
import time

from harness.fleet.session import Session


class Flag:
    """A threading.Event without a lock, so that a signal handler can set it, whatever it interrupted."""

    def __init__(self) -> None:
        self._set = False

    def set(self) -> None:
        self._set = True

    def is_set(self) -> bool:
        return self._set

    def wait(self, timeout_s: float) -> None:
        deadline = time.monotonic() + timeout_s
        while not self._set and (left := deadline - time.monotonic()) > 0:
            time.sleep(min(left, 0.05))


class Stop:
    """Asks a collection to end: the first time after the running jobs, the second time at once.

    With ``most_jobs`` no more than that are started.
    """

    def __init__(self, most_jobs: int | None = None) -> None:
        self.asked, self.at_once = Flag(), Flag()
        self._jobs_left = most_jobs
        self._running: set[Session] = set()
        self._lock = threading.Lock()

    def ask(self) -> None:
        """Takes no lock, waits for nothing and raises nothing: signal handlers call it, in each other too."""
        if not self.asked.is_set():
            self.asked.set()
            return
        self.at_once.set()
        for session in tuple(self._running):
            with contextlib.suppress(Exception):
                session.cancel()

    def take_job(self) -> bool:
        """Whether one more job may be run."""
        with self._lock:
            if self.asked.is_set() or self._jobs_left == 0:
                return False
            if self._jobs_left is not None:
                self._jobs_left -= 1
            return True

    def running(self, session: Session, yes: bool) -> None:
        (self._running.add if yes else self._running.discard)(session)
        if yes and self.at_once.is_set():
            session.cancel()
