"""The command line: one function per command that parses, calls and prints.

A module per group of commands; what a command needs is imported when it runs, so that ``--help`` is quick.
"""

# ruff: noqa: E402
# isort: off
# While this is imported Ctrl-C ends the process at once: nothing is begun, and a traceback would tell nobody anything.
import signal
import threading

_plain = (
    threading.current_thread() is threading.main_thread()
    and signal.getsignal(signal.SIGINT) is signal.default_int_handler
)
if _plain:
    signal.signal(signal.SIGINT, signal.SIG_DFL)

from harness.cli.app import app, main

# Each joins the app, in the order of ``--help``.
from harness.cli import start  # noqa: F401
from harness.cli import measure  # noqa: F401
from harness.cli import observe  # noqa: F401
from harness.cli import learn  # noqa: F401
from harness.cli import ask  # noqa: F401
from harness.cli import decide  # noqa: F401
from harness.cli import here_or_there  # noqa: F401
from harness.cli import share  # noqa: F401
from harness.cli import track  # noqa: F401

if _plain:
    signal.signal(signal.SIGINT, signal.default_int_handler)

__all__ = ["app", "main"]
