"""Runs a module by an engine's command line, a process per sample. Device side: Python 3.8+, beside runner.py.

How the command line goes is told by ``--command JSON``: the fields of ``Command`` in command.py. ``wall_ns`` is
from just before exec until the process is reaped; ``max_rss_kb`` is at least what this runner itself takes, since the
kernel counts from the fork.
"""

from __future__ import annotations

import argparse
import ctypes
import hashlib
import json
import mmap
import os
import platform
import re
import resource
import shutil
import signal
import struct
import sys
import tempfile
from typing import Any

import fence  # type: ignore[import-not-found,unused-ignore]
import memory_end  # type: ignore[import-not-found,unused-ignore]
import runner

HERE = os.path.dirname(os.path.abspath(__file__))
PR_SET_PDEATHSIG = 1
ENGINE_BYTES = 512 << 20  # what an engine may take beside the module's memory
WORDS_BYTES = 16 << 10  # how much of an engine's last words is looked at
LIBC = ctypes.CDLL(None)


class Died(Exception):
    """The engine was killed by a signal that is not its way to tell a trap."""


class Process:
    def __init__(self, spec: dict[str, Any]) -> None:
        self.spec = spec
        self.scratch = os.path.abspath("engine")
        os.makedirs(os.path.join(self.scratch, "nothing"), exist_ok=True)
        self.words_path = os.path.join(self.scratch, "words")
        self.fence: fence.Fence | None = None
        self.times = mmap.mmap(-1, 32)  # shared with the child: start_ns, user_us, sys_us, errno
        self.environment = {**os.environ, "LC_ALL": "C", "NO_COLOR": "1", **spec["env"]}

    def load(self, command: dict[str, Any]) -> dict[str, Any]:
        argv, preopens = command["argv"], command["preopens"]
        named = os.path.join(self.scratch, re.sub(r"[^\w.+-]", "_", argv[0] if argv else "module") + ".wasm")
        self.data_limit = command["memory_bytes"] + ENGINE_BYTES
        if self.spec["lower_memory"]:
            with open(command["module"], "rb") as given, open(named, "wb") as lowered:
                lowered.write(memory_end.ending_at(given.read(), command["memory_bytes"] >> 16))
            self.data_limit += command["memory_bytes"]  # growing may copy
        else:
            os.symlink(command["module"], named)
        self.cwd = preopens[0][1] if preopens else os.path.join(self.scratch, "nothing")
        self.stdin = command["stdin"] or os.devnull
        self.values = {
            "module": named, "scratch": self.scratch, "here": HERE,
            "argv0": argv[0] if argv else "",
            "memory_bytes": command["memory_bytes"], "memory_pages": command["memory_bytes"] >> 16,
        }  # fmt: skip
        loaded = {"compile_ns": None, "load_ns": 0, "cached": False}
        if command.get("artefact"):
            loaded = self.given(command["artefact"])
        elif self.spec["compile"]:
            loaded = self.artefact(command)
        several: dict[str, list[str]] = {"args": argv[1:], "preopens": []}
        for guest, host in preopens:
            several["preopens"] += fill(self.spec["preopen"], {"guest": guest, "host": host})
        self.command = fill(self.spec["run"], self.values, several)
        if self.spec["confine"] and preopens:
            self.fence = self.fenced(command["module"], [host for _, host in preopens])
        return loaded

    def fenced(self, module: str, own: list[str]) -> fence.Fence:
        program = shutil.which(self.command[0]) or self.command[0]
        needed = [os.path.dirname(os.path.realpath(program)), os.path.dirname(program), self.scratch, module]
        if "artefact" in self.values:
            needed.append(self.values["artefact"])
        try:
            return fence.Fence(needed, own)
        except OSError as error:
            raise runner.Fail(
                "%s lets a module leave its directory, and only a kernel with Landlock can hold it: %s"
                % (self.command[0], error)
            ) from error

    def given(self, artefact: dict[str, Any]) -> dict[str, Any]:
        """What the controller compiled, as a file that can be executed."""
        self.values["artefact"] = os.path.join(self.scratch, "artefact.bin")
        shutil.copyfile(artefact["path"], self.values["artefact"])
        os.chmod(self.values["artefact"], 0o700)
        return {"compile_ns": artefact["compile_ns"], "load_ns": 0, "cached": artefact["cached"]}

    def artefact(self, command: dict[str, Any]) -> dict[str, Any]:
        """Compile once per module, version, target, command and what it takes from here.

        The time and a hash are kept beside the artefact.
        """
        recipe = [self.spec["compile"], ours(self.spec["compile"])]
        how = hashlib.sha256(json.dumps(recipe).encode()).hexdigest()[:8]
        name = "-".join((os.path.basename(command["module"]), command["version"], platform.machine(), how))
        path = os.path.join(command["artefacts"], re.sub(r"[^\w.+-]", "_", name) + ".bin")
        self.values["artefact"] = path
        try:
            with open(path + ".json") as file:
                known = json.load(file)
            if known["sha256"] == digest(path):
                return {"compile_ns": known["compile_ns"], "load_ns": 0, "cached": True}
        except (OSError, ValueError, KeyError):
            pass
        compile_ns = self.compile(path)
        runner.write_whole(
            path + ".json", json.dumps({"compile_ns": compile_ns, "sha256": digest(path)}).encode()
        )
        return {"compile_ns": compile_ns, "load_ns": 0, "cached": False}

    def compile(self, path: str) -> int:
        partial = os.path.join(self.scratch, "artefact.bin")
        taken_ns = 0
        for words in self.spec["compile"]:
            filled = fill(words, {**self.values, "artefact": partial}, {"target": []})
            status, taken = self.spawn(filled, self.words_path, limit=False)
            taken_ns += taken[1]
            if status:
                raise runner.Fail("does not compile: " + complaint(self.words()))
        if not os.path.exists(partial):
            raise runner.Fail("%s left no compiled module" % self.spec["compile"][-1][0])
        shutil.copy(partial, path + ".%d" % os.getpid())
        os.replace(path + ".%d" % os.getpid(), path)
        os.unlink(partial)
        return taken_ns

    def timed(self, stdout: str) -> tuple[list[int], int]:
        kept = stdout != os.devnull
        if not kept and self.spec["words_on_stdout"]:
            stdout = os.path.join(self.scratch, "stdout")
        status, taken = self.spawn(self.command, stdout)
        exit_code = self.settle(status, stdout) if status else 0
        if kept and self.spec["log_lines"]:
            without_lines(stdout, self.spec["log_lines"])
        return taken, exit_code

    def settle(self, status: int, stdout: str) -> int:
        """The module's exit code, where the engine neither trapped, refused the module nor died."""
        words = self.words()
        if self.spec["words_on_stdout"]:
            words = tail(stdout) + "\n" + words
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
            name = signal.Signals(os.WTERMSIG(status)).name
            raise Died("%s was killed by %s: %s" % (self.command[0], name, last_line(words)))
        return code

    def spawn(self, command: list[str], stdout: str, limit: bool = True) -> tuple[int, list[int]]:
        """Run to the end: (wait status, sample)."""
        program = shutil.which(command[0])
        if not program:
            raise runner.Fail("no %s on this device" % command[0])
        parent, child = os.getpid(), os.fork()
        if child == 0:
            self.become(parent, program, command, stdout, limit)
        _, status, used = os.wait4(child, 0)
        end = runner.now_ns()
        start, user_us, sys_us, errno = struct.unpack("4q", self.times)
        if errno:
            raise runner.Fail("%s cannot be started: %s" % (command[0], os.strerror(errno)))
        user, system = round(used.ru_utime * 1e6) - user_us, round(used.ru_stime * 1e6) - sys_us
        return status, [start, end - start, max(0, user) * 1000, max(0, system) * 1000, used.ru_maxrss]

    def become(self, parent: int, program: str, command: list[str], stdout: str, limit: bool) -> None:
        """In the child: take the engine's place. It stays in the runner's process group and dies with the runner."""
        try:
            LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
            if os.getppid() != parent:
                os._exit(127)
            os.chdir(self.cwd)
            os.dup2(os.open(self.stdin, os.O_RDONLY), 0)
            os.dup2(os.open(stdout, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), 1)
            if stdout == self.words_path:
                os.dup2(1, 2)
            else:
                os.dup2(os.open(self.words_path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), 2)
            if limit:
                resource.setrlimit(resource.RLIMIT_DATA, (self.data_limit, self.data_limit))
                if self.fence:
                    self.fence.enter()
            own = resource.getrusage(resource.RUSAGE_SELF)
            start = runner.now_ns()
            struct.pack_into("4q", self.times, 0, start, int(own.ru_utime * 1e6), int(own.ru_stime * 1e6), 0)
            os.execve(program, command, self.environment)
        except OSError as error:
            struct.pack_into("4q", self.times, 0, 0, 0, 0, error.errno or 1)
        finally:
            os._exit(127)

    def words(self) -> str:
        return tail(self.words_path)

    def detect(self, artefact: str | None) -> str:
        """The versions of its programs, after it ran an empty module: a mode that is not built in is absent.

        Where the controller compiled that module, only what runs it has to be there.
        """
        found = []
        for number, words in enumerate(self.spec["version"]):
            if artefact and words[0] != self.spec["run"][0]:
                continue
            self.cwd, self.stdin = self.scratch, os.devnull
            status, _ = self.spawn(words, self.words_path, limit=False)
            told = re.search(r"\d+(\.\d+)+[\w.+-]*|^\w+$", self.words(), re.M) if not status else None
            if not told:
                raise runner.Fail("%s does not tell its version: %s" % (words[0], last_line(self.words())))
            found.append(("" if number == 0 else words[0]) + told.group())
        with open("empty.wasm", "wb") as file:
            file.write(runner.EMPTY_MODULE)
        self.load({
            "module": os.path.abspath("empty.wasm"), "argv": ["empty"], "stdin": None, "preopens": [],
            "artefacts": self.scratch, "version": "0", "memory_bytes": 1 << 30,
            "artefact": artefact and {"path": artefact, "compile_ns": 0, "cached": False},
        })  # fmt: skip
        if self.timed(os.devnull)[1]:
            raise runner.Fail("an empty module fails: " + last_line(self.words()))
        return "+".join(found)


def fill(words: list[str], values: dict[str, Any], several: dict[str, list[str]] | None = None) -> list[str]:
    """Put values in the place of ``{name}``; a word that is one of ``several`` becomes all of its words."""
    filled = []
    for word in words:
        if several and word[1:-1] in several and word == "{%s}" % word[1:-1]:
            filled += several[word[1:-1]]
        else:
            filled.append(re.sub(r"\{(\w+)\}", lambda found: str(values.get(found[1], found[0])), word))
    return filled


def tail(path: str) -> str:
    try:
        with open(path, "rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - WORDS_BYTES))
            return file.read().decode("utf-8", "replace")
    except OSError:
        return ""


def without_lines(path: str, pattern: str) -> None:
    """Take what the engine itself says out of what the module wrote."""
    with open(path, "rb") as file:
        text = file.read()
    runner.write_whole(path, re.sub(b"^(?:%s)\n" % pattern.encode(), b"", text, flags=re.M))


def last_line(text: str) -> str:
    return (text.strip().rpartition("\n")[2] or "it says nothing")[:300]


def complaint(text: str) -> str:
    """The first line that names what is wrong, or the last line."""
    found = re.search(r"(?im)^.*?((?:undefined reference|error:|error ).*)$", text)
    return found.group(1)[:300] if found else last_line(text)


def ours(commands: list[list[str]], place: str = HERE) -> list[list[str]]:
    """Names and hashes of the files here, where a command takes any of them."""
    if not any("{here}" in word for words in commands for word in words):
        return []
    files = sorted(name for name in os.listdir(place) if os.path.isfile(os.path.join(place, name)))
    return [[name, digest(os.path.join(place, name))] for name in files]


def digest(path: str) -> str:
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


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
            runner.serve(Process(arguments.command))
    except (runner.Fail, runner.Trap, Died) as reason:
        sys.exit(str(reason))


if __name__ == "__main__":
    main()
