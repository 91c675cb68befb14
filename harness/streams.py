"""Stdout and stderr that take any text, and tell when what was printed could not be written."""

from __future__ import annotations

import codecs
import errno
import io
import os
import sys
from typing import Any, TextIO

from harness.spelling import HANDLER, HELP_HANDLER

LEAST_WIDTH = 20  # a narrower terminal (some say 0) gets lines of this width


class Stdout(io.TextIOWrapper):
    """Stdout, whose errors say that it is what was printed that could not be written."""

    def __init__(self, stream: io.TextIOWrapper) -> None:
        super().__init__(stream.buffer, stream.encoding, line_buffering=stream.line_buffering)
        self._opened = stream  # kept, as it would close the buffer in its end

    def write(self, text: str) -> int:
        try:
            return super().write(text)
        except OSError as error:
            raise _of_stdout(error) from None

    def flush(self) -> None:
        try:
            super().flush()
        except OSError as error:
            raise _of_stdout(error) from None


def _of_stdout(error: OSError) -> OSError:
    if isinstance(error, BrokenPipeError):
        return error
    why = "stdout is closed" if error.errno == errno.EBADF else error.strerror
    told = OSError(error.errno, f"what was printed could not be written: {why}")
    told.filename = ""  # nobody's file, and so not the one that is being written meanwhile
    return told


def open_streams(*, for_help: bool = False) -> None:
    """Make stdout and stderr take any text, at any width.

    What is said to a closed stderr is lost without a word; writing to a closed stdout fails as it does on a full disk.
    """
    handler = HELP_HANDLER if for_help else HANDLER
    for name, mode in (("stdout", os.O_RDONLY), ("stderr", os.O_WRONLY)):
        stream: TextIO | None = getattr(sys, name)
        if stream is None or stream.closed:
            stream = open(os.open(os.devnull, mode), "w", encoding="utf-8")  # noqa: SIM115
            setattr(sys, name, stream)
        if name == "stdout" and type(stream) is io.TextIOWrapper:
            sys.stdout = stream = Stdout(stream)
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors=handler)
    if os.environ.get("COLUMNS", "").isdigit() and int(os.environ["COLUMNS"]) < LEAST_WIDTH:
        os.environ["COLUMNS"] = str(LEAST_WIDTH)


class Utf8(io.RawIOBase):
    """Takes UTF-8 and prints it on stdout in whatever encoding that has."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")()

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        sys.stdout.write(self._decoder.decode(bytes(data)))
        return len(data)
