"""What an engine's runner is made of on a device: these files are sent there by hash and lie in one directory.

``runner.py`` is the loop that every Python runner shares, ``*_run.py`` and ``js_run.mjs`` are the programs that the
agent starts, ``fence.py`` and ``memory_end.py`` hold a module to its directory and its memory, and the C files are
hosts that a module is compiled together with. They import nothing of the project but each other: Python 3.8+,
standard library only.
"""

from pathlib import Path

HERE = Path(__file__).parent
