"""Programs that are run to their end here, or ended together with all that they have started."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

_LIBC = ctypes.CDLL(None)
_PR_SET_PDEATHSIG = 1


def run_to_end(
    words: Sequence[str],
    *,
    within_s: float | None = None,
    cwd: str | Path | None = None,
    env: Mapping[str, str] | None = None,
    told: str = "",
) -> subprocess.CompletedProcess[str]:
    """The exit code, stdout and stderr of a program, whatever bytes it writes; ``told`` is its stdin.

    The program leads a session of its own, so that Ctrl-C at the terminal does not reach it: a compiler that was
    interrupted would look as if it had not accepted what it compiled. When its time is over, or this process is
    interrupted, its whole process group is killed; when this process dies, the program dies too. Raises
    subprocess.TimeoutExpired, OSError.
    """
    with subprocess.Popen(
        words, cwd=cwd, env=env, text=True, errors="replace", encoding="utf-8",
        stdin=subprocess.PIPE if told else subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        start_new_session=True, preexec_fn=_die_with_parent,
    ) as process:  # fmt: skip
        try:
            out, err = process.communicate(told or None, within_s)
        except BaseException:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            raise
    return subprocess.CompletedProcess(words, process.returncode, out, err)


def killed_by(done: subprocess.CompletedProcess[str]) -> str:
    """The name of the signal by which somebody else ended a program: a person, or the kernel for want of memory."""
    for outside in (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        if done.returncode == -outside:
            return outside.name
    return ""


def _die_with_parent() -> None:
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
