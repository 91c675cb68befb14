"""A picture of a command's terminal: ``python -m tests.record_terminal docs/demo.svg harness demo --minutes 1``.

The command runs in a pseudo-terminal, so it shows what a person would see; what it erased (progress bars) is erased.
"""

from __future__ import annotations

import io
import os
import pty
import re
import sys
from html import escape
from pathlib import Path

from rich.console import Console
from rich.text import Text

COLUMNS = 136
# As rich's own, without the fonts that it would fetch from the network.
FORMAT = """<svg viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg" role="img">
<title>TITLE</title>
<!-- Made by tests/record_terminal.py. -->
<style>
.{unique_id}-matrix {{ font: {char_height}px ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace; }}
{styles}
</style>
<defs>{lines}</defs>
<rect x="1" y="1" width="{terminal_width}" height="{terminal_height}" rx="8" fill="#1e1e1e" stroke="#888"/>
<g transform="translate({terminal_x}, 12)">{backgrounds}
<g class="{unique_id}-matrix">{matrix}</g></g>
</svg>
"""


def record(command: list[str]) -> str:
    """What the command wrote to a terminal of COLUMNS columns, colours included."""
    written = io.BytesIO()

    def read(terminal: int) -> bytes:
        data = os.read(terminal, 65536)
        written.write(data)
        return data

    os.environ |= {"COLUMNS": str(COLUMNS), "LINES": "50", "TERM": "xterm-256color"}
    code = os.waitstatus_to_exitcode(pty.spawn(command, read))
    if code:
        sys.exit(f"{' '.join(command)} ended with exit code {code}")
    return written.getvalue().decode()


def left_standing(output: str) -> list[str]:
    """The lines after every carriage return, line up and erased line: all that rich's live displays write."""
    lines, row = [""], 0
    for piece in re.split(r"(\r|\n|\x1b\[\d*A|\x1b\[2K|\x1b\[\?25[lh])", output):
        if piece == "\n":
            row += 1
            lines += [""] * (row == len(lines))
        elif piece == "\x1b[2K":
            lines[row] = ""
        elif re.fullmatch(r"\x1b\[\d*A", piece):
            row = max(0, row - int(piece[2:-1] or 1))
        elif piece != "\r" and not piece.startswith("\x1b[?25"):
            lines[row] += piece
    return lines


def draw(lines: list[str], title: str) -> str:
    """An SVG of these lines."""
    console = Console(width=COLUMNS, record=True, file=io.StringIO(), legacy_windows=False)
    for line in [*lines, ""]:
        console.print(Text.from_ansi(line.rstrip()), soft_wrap=True)
    return console.export_svg(code_format=FORMAT.replace("TITLE", escape(title)))


def main() -> None:
    target, *command = sys.argv[1:]
    told = " ".join(command)
    lines = [f"\x1b[1m$ {told}\x1b[0m", *left_standing(record(command).rstrip())]
    Path(target).write_text(draw(lines, told), encoding="utf-8")


if __name__ == "__main__":
    main()
