"""Ctrl-C that also ends a command while native code runs and Python handles no signals, such as a module in
an endless loop.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import threading
from collections.abc import Iterator

from harness.errors import Interrupted

PATIENCE_S = 2.0


@contextlib.contextmanager
def ended_by_interrupts() -> Iterator[None]:
    """Within this block, Ctrl-C ends the process for good if the command has not ended after a short wait,
    or at the second Ctrl-C.

    Nothing is done while a command handles SIGINT itself, as collecting does, or where it is ignored.
    """
    if threading.current_thread() is not threading.main_thread() or not _by_default():
        yield
        return
    read_end, write_end = os.pipe()
    os.set_blocking(write_end, False)
    before = signal.set_wakeup_fd(write_end, warn_on_full_buffer=False)
    watcher = threading.Thread(target=_watch, args=(read_end,), daemon=True)
    watcher.start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(before)
        os.close(write_end)
        watcher.join()
        os.close(read_end)


def _watch(read_end: int) -> None:
    """Signals come as bytes as soon as they arrive, whatever the main thread does; the end of the command as none."""
    while arrived := os.read(read_end, 1):
        if arrived[0] != signal.SIGINT or not _by_default():
            continue
        ready, _, _ = select.select([read_end], [], [], PATIENCE_S)
        if ready and not os.read(read_end, 1):
            return
        told = Interrupted()
        os.write(2, f"harness: {told}\n".encode())
        os._exit(told.exit_code)


def _by_default() -> bool:
    return signal.getsignal(signal.SIGINT) is signal.default_int_handler
