"""Commands killed by SIGKILL before their N-th call that changes files, in a process of their own.

Python tells an audit hook before it opens, renames, makes or removes a file, whoever asks for it: the project, its
packages, the standard library. `os.fsync`, which it does not tell of, is wrapped. A server process imports what
commands need once; each command is a fork of it, so that a kill costs no start.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import io
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

CHANGES = {
    "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate", "os.link", "os.symlink", "os.chmod",
    "shutil.rmtree", "shutil.copyfile", "os.fsync",
}  # fmt: skip
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


@dataclass(frozen=True)
class Ended:
    """How a command ended, and the calls it made: what each was, and a digest of all files just before it."""

    code: int
    calls: list[tuple[str, str]]
    said: str

    def states(self) -> list[int]:
        """The numbers of the first calls before which files were another way than before; not that of the start."""
        return [
            number
            for number, (_, digest) in enumerate(self.calls)
            if digest != self.calls[0][1] and digest not in [earlier for _, earlier in self.calls[:number]]
        ]


class Killer:
    """A server of forks."""

    def __init__(self) -> None:
        self._server = subprocess.Popen(
            [sys.executable, "-m", "tests.killing"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[1],
            env=os.environ | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
        )

    def run(
        self, place: Path, words: Sequence[object], kill_at: int | None = None, watch: bool = False
    ) -> Ended:
        """Run `harness` with these words in a directory, or the function ``!MODULE:NAME`` with the words after it.

        All it keeps is below the directory. With ``watch`` the calls are told; with ``kill_at`` it dies before one.
        """
        assert self._server.stdin and self._server.stdout
        asked = {
            "place": str(place),
            "words": [str(word) for word in words],
            "kill_at": kill_at,
            "watch": watch,
        }
        self._server.stdin.write(json.dumps(asked) + "\n")
        self._server.stdin.flush()
        answer = json.loads(self._server.stdout.readline())
        return Ended(answer["code"], [tuple(call) for call in answer["calls"]], answer["said"])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._server.stdin and self._server.stdout
        self._server.stdin.close()
        self._server.wait()
        self._server.stdout.close()


def digest(place: Path) -> str:
    """Of all files and directories below one, with their content."""
    found = hashlib.sha256()
    for path in sorted(place.rglob("*")):
        with contextlib.suppress(FileNotFoundError):
            found.update(str(path.relative_to(place)).encode() + b"\0")
            found.update(hashlib.sha256(path.read_bytes()).digest() if path.is_file() else b"directory")
    return found.hexdigest()


class Hook:
    """Counts calls that change what is below a place, and dies before one of them."""

    def __init__(self, place: Path, kill_at: int | None, watch: bool) -> None:
        self.place, self.kill_at, self.watch = place, kill_at, watch
        self.count, self.looking = 0, False
        self.calls: list[tuple[str, str]] = []
        self.process, fsync = os.getpid(), os.fsync

        def told(handle: int) -> None:
            self(
                "os.fsync",
                (os.readlink(f"/proc/self/fd/{handle if isinstance(handle, int) else handle.fileno()}"),),
            )
            fsync(handle)

        os.fsync = told

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self.looking or (event not in CHANGES and event != "open") or os.getpid() != self.process:
            return
        if event == "open" and not (isinstance(arguments[2], int) and arguments[2] & WRITES):
            return
        path = arguments[0]
        if not isinstance(path, (str, bytes, os.PathLike)):
            return
        path = os.path.abspath(os.fsdecode(path))
        if not path.startswith(str(self.place)):
            return
        if self.count == self.kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        self.count += 1
        if self.watch:
            self.looking = True
            self.calls.append((f"{event} {os.path.relpath(path, self.place)}", digest(self.place)))
            self.looking = False


def command(words: list[str]) -> int:
    from harness import cli

    sys.argv = ["harness", *words]
    try:
        cli.main()
    except SystemExit as leave:
        return int(leave.code or 0)
    return 0


def call(name: str, words: list[str]) -> int:
    module, _, function = name.partition(":")
    getattr(importlib.import_module(module), function)(*words)
    return 0


def in_fork(asked: dict[str, Any], answer: Path, said: Path) -> None:
    """What a fork does: run the command under the hook, note its calls, end."""
    place = Path(asked["place"])
    output = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(output, 1)
    os.dup2(output, 2)
    (place / "tmp").mkdir(exist_ok=True)
    os.chdir(place)
    os.environ |= {"HOME": str(place), "XDG_CACHE_HOME": str(place / "cache"), "TMPDIR": str(place / "tmp")}
    tempfile.tempdir = None
    code = 70
    try:
        hook = Hook(place, asked["kill_at"], asked["watch"])
        sys.addaudithook(hook)
        name, *words = asked["words"]
        code = call(name[1:], words) if name.startswith("!") else command([name, *words])
        hook.kill_at, hook.looking = None, True
        answer.write_text(json.dumps(hook.calls))
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def serve() -> None:
    with tempfile.TemporaryDirectory() as folder:
        answer, said = Path(folder, "calls"), Path(folder, "said")
        for line in sys.stdin:
            answer.unlink(missing_ok=True)
            child = os.fork()
            if not child:
                in_fork(json.loads(line), answer, said)
            _, status = os.waitpid(child, 0)
            told = {
                "code": os.waitstatus_to_exitcode(status),
                "calls": json.loads(answer.read_text()) if answer.exists() else [],
                "said": said.read_text(),
            }
            print(json.dumps(told), flush=True)


if __name__ == "__main__":
    for name in (
        "dataset.published", "dataset.store", "learn.train", "learn.export", "learn.more", "report", "suites.imported",
        "suites.build", "measure.collection", "decide.batch", "cli",
    ):  # fmt: skip
        importlib.import_module(f"harness.{name}")
    from harness.cli.app import click_command

    for name in click_command("").commands:
        click_command(name)
    with contextlib.redirect_stderr(io.StringIO()):
        command(["status", os.devnull])  # imports the rest
    serve()
