"""Runs a module by an engine's command line, a process per sample. Device side: Python 3.8+, beside runner.py.

How the command line goes is told by ``--command JSON``: the fields of ``Command`` in command.py. ``wall_ns`` is
from just before the process is made until it is reaped. Limits and the fence are put on this process itself once the
module is loaded, and every process it starts inherits them: they cost nothing of the time. ``max_rss_kb`` is at least
what this runner itself takes, since the kernel counts from before the exec.
"""

from __future__ import annotations

import argparse
import errno
import json
import os
import re
import resource
import shutil
import signal
import sys
import tempfile
from typing import Any

import compiled  # type: ignore[import-not-found,unused-ignore]
import fence  # type: ignore[import-not-found,unused-ignore]
import memory_end  # type: ignore[import-not-found,unused-ignore]
import runner
import spawned  # type: ignore[import-not-found,unused-ignore]

HERE = os.path.dirname(os.path.abspath(__file__))
ENGINE_BYTES = 512 << 20  # what an engine may take beside the module's memory
OF_THE_PROGRAM = (
    errno.EACCES,
    errno.ENOEXEC,
    errno.EPERM,
    errno.E2BIG,
)  # why it, and no other, cannot be started
# What a program brings on itself; by any other signal somebody else ends it, or the kernel for want of memory.
OWN_SIGNALS = (
    signal.SIGSEGV, signal.SIGBUS, signal.SIGILL, signal.SIGFPE, signal.SIGABRT, signal.SIGTRAP, signal.SIGSYS,
    signal.SIGXFSZ, signal.SIGPIPE,
)  # fmt: skip


class Died(Exception):
    """The engine was killed by a signal that is not its way to tell a trap."""


class Process:
    who = resource.RUSAGE_CHILDREN

    def __init__(self, spec: dict[str, Any]) -> None:
        self.spec = spec
        self.scratch = os.path.abspath("engine")
        os.makedirs(os.path.join(self.scratch, "nothing"), exist_ok=True)
        self.said = spawned.Output(os.path.join(self.scratch, "words"))
        self.environment = {**os.environ, "LC_ALL": "C", "NO_COLOR": "1", **spec["env"]}

    def load(self, command: dict[str, Any]) -> dict[str, Any]:
        argv, preopens = command["argv"], command["preopens"]
        named = os.path.join(self.scratch, re.sub(r"[^\w.+-]", "_", argv[0] if argv else "module") + ".wasm")
        data_limit = command["memory_bytes"] + ENGINE_BYTES
        if self.spec["lower_memory"]:
            with open(command["module"], "rb") as given, open(named, "wb") as lowered:
                lowered.write(memory_end.ending_at(given.read(), command["memory_bytes"] >> 16))
            data_limit += command["memory_bytes"]  # growing may copy
        else:
            os.symlink(command["module"], named)
        os.chdir(preopens[0][1] if preopens else os.path.join(self.scratch, "nothing"))
        values = {
            "module": named, "scratch": self.scratch, "here": HERE,
            "argv0": argv[0] if argv else "",
            "memory_bytes": command["memory_bytes"], "memory_pages": command["memory_bytes"] >> 16,
        }  # fmt: skip
        loaded = {"compile_ns": None, "load_ns": 0, "cached": False}
        artefact = compiled.Compiled(self.spec["compile"], self.scratch, self.compile)
        if command.get("artefact"):
            loaded = artefact.given(command["artefact"])
        elif self.spec["compile"]:
            loaded = artefact.made(command, values)
        if loaded["compile_ns"] is not None:
            values["artefact"] = artefact.path
        several: dict[str, list[str]] = {"args": argv[1:], "preopens": []}
        for guest, host in preopens:
            several["preopens"] += spawned.fill(self.spec["preopen"], {"guest": guest, "host": host})
        words = spawned.fill(self.spec["run"], values, several)
        self.engine = self.spawned(words, command["stdin"] or os.devnull)
        self.kept = spawned.Output(command["stdout"])
        self.nowhere = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
        self.output = (
            spawned.Output(os.path.join(self.scratch, "stdout")) if self.spec["words_on_stdout"] else None
        )
        self.loop_files = self.engine.files(self.output.fd if self.output else self.nowhere, self.said.fd)
        self.hold(data_limit, command["module"], [host for _, host in preopens], values.get("artefact"))
        return loaded

    def hold(self, data_limit: int, module: str, own: list[str], artefact: str | None) -> None:
        """From here on this process and all it starts have the module's limits, and its fence where it needs one."""
        resource.setrlimit(resource.RLIMIT_DATA, (data_limit, data_limit))
        if not self.spec["confine"] or not own:
            return
        program = self.engine.program
        needed = [os.path.dirname(os.path.realpath(program)), os.path.dirname(program), self.scratch, module]
        try:
            fence.Fence([*needed, artefact] if artefact else needed, own).enter()
        except OSError as error:
            raise runner.Fail(
                "%s lets a module leave its directory, and only a kernel with Landlock can hold it: %s"
                % (self.engine.command[0], error.strerror)
            ) from error

    def spawned(self, command: list[str], stdin: str) -> Any:
        program = shutil.which(command[0])
        if not program:
            raise runner.Unfit("no %s on this device" % command[0])
        return spawned.Spawned(os.path.abspath(program), command, self.environment, stdin)

    def compile(self, command: list[str]) -> tuple[bool, str, int]:
        """A step of compiling: whether it succeeded, what it said, and how long it took."""
        started = self.spawned(command, os.devnull)
        self.said.empty()
        begun_ns = runner.now_ns()
        status = self.started(started, started.files(self.said.fd, self.said.fd))
        return status == 0, self.said.tail(), runner.now_ns() - begun_ns

    def started(self, what: Any, files: list[tuple[int, int, int]]) -> int:
        try:
            return int(what.run(files))
        except OSError as error:
            kind = runner.Fail if error.errno in OF_THE_PROGRAM else runner.Unfit
            raise kind("%s cannot be started: %s" % (what.command[0], error.strerror)) from error

    def ready(self) -> None:
        """Its input from the beginning, and its output empty."""
        self.engine.rewind()
        self.said.empty()
        if self.output:
            self.output.empty()

    def execute(self, stdout: str) -> int:
        """The wait status of one process; `settle` tells what it means."""
        if stdout == os.devnull:
            self.written = self.output
            return self.started(self.engine, self.loop_files)
        self.ready()
        self.written = self.kept if self.spec["words_on_stdout"] else None
        status = self.started(self.engine, self.engine.files(self.kept.fd, self.said.fd))
        if self.spec["log_lines"]:  # what the engine itself says is not what the module wrote
            own = re.compile(b"^(?:%s)\n" % self.spec["log_lines"].encode(), re.M)
            self.kept.rewrite(own.sub(b"", self.kept.read()))
        return status

    def settle(self, status: int) -> int:
        """The module's exit code, where the engine neither trapped, refused the module nor died."""
        words = self.said.tail()
        if self.written:
            words = self.written.tail() + "\n" + words
        by_signal = os.WIFSIGNALED(status)
        code = 128 + os.WTERMSIG(status) if by_signal else os.WEXITSTATUS(status)
        if code in self.spec["trap_codes"]:
            trap = self.spec["trap"] and re.search(self.spec["trap"], words)
            if trap:
                raise runner.Trap(" ".join(trap.group(trap.re.groups and 1).split()))
            refused = self.spec["refused"] and re.search(self.spec["refused"], words)
            if refused:
                raise runner.Fail(" ".join(refused.group(refused.re.groups and 1).split()))
        if by_signal:
            number = os.WTERMSIG(status)
            told = "%s was killed by %s" % (self.engine.command[0], spawned.name_of(number))
            if number not in OWN_SIGNALS:
                raise runner.Unfit(told)
            raise Died(told + ": " + spawned.last_line(words))
        return code

    def detect(self, artefact: str | None) -> str:
        """The versions of its programs, after it ran an empty module: a mode that is not built in is absent.

        Where the controller compiled that module, only what runs it has to be there.
        """
        found = []
        for number, words in enumerate(self.spec["version"]):
            if artefact and words[0] != self.spec["run"][0]:
                continue
            succeeded, said, _ = self.compile(words)
            told = re.search(r"\d+(\.\d+)+[\w.+-]*|^\w+$", said, re.M) if succeeded else None
            if not told:
                raise runner.Fail("%s does not tell its version: %s" % (words[0], spawned.last_line(said)))
            found.append(("" if number == 0 else words[0]) + told.group())
        with open("empty.wasm", "wb") as file:
            file.write(runner.EMPTY_MODULE)
        self.load({
            "module": os.path.abspath("empty.wasm"), "argv": ["empty"], "stdin": None, "preopens": [],
            "artefacts": self.scratch, "version": "0", "memory_bytes": 1 << 30, "stdout": os.path.abspath("stdout"),
            "artefact": artefact and {"path": artefact, "compile_ns": 0, "cached": False},
        })  # fmt: skip
        status = self.execute(os.devnull)
        if status and self.settle(status):
            raise runner.Fail("an empty module fails: " + spawned.last_line(self.said.tail()))
        return "+".join(found)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--command", type=json.loads, required=True)
    parser.add_argument("--detect", action="store_true")
    parser.add_argument("--artefact", help="the empty module, as the controller compiled it")
    arguments = parser.parse_args()
    try:
        if arguments.detect:
            with tempfile.TemporaryDirectory() as folder:
                os.chdir(folder)
                json.dump({"version": Process(arguments.command).detect(arguments.artefact)}, sys.stdout)
        else:
            spawned.end_with_parent()
            runner.serve(Process(arguments.command))
    except (runner.Fail, runner.Trap, runner.Unfit, Died) as reason:
        sys.exit(str(reason))


if __name__ == "__main__":
    main()
