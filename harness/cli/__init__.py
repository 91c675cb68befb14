"""The command line: one function per command that parses, calls and prints.

A module per group of commands; what a command needs is imported when it runs, so that ``--help`` is quick.
"""

from harness.cli.app import app, main

# isort: off
# Each joins the app, in the order of ``--help``.
from harness.cli import start  # noqa: F401
from harness.cli import measure  # noqa: F401
from harness.cli import observe  # noqa: F401
from harness.cli import learn  # noqa: F401
from harness.cli import decide  # noqa: F401
from harness.cli import here_or_there  # noqa: F401
from harness.cli import share  # noqa: F401
from harness.cli import track  # noqa: F401

__all__ = ["app", "main"]
