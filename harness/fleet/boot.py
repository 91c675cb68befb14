"""The agent brought to a device and started there over one channel: no second session, no file transfer protocol.

The channel runs Python with a few lines given on its command line (`command`). They look whether this version of the
agent lies in the cache directory, ask for it where it does not, write it whole or not at all, and become it. What a
login shell printed before is passed over (`start`).
"""

from __future__ import annotations

import base64
import hashlib
import shlex
import time
from collections.abc import Sequence
from pathlib import Path

import harness.fleet.agent
from harness.fleet.channel import Lines
from harness.fleet.transport import LinkLost, Unreachable

MARK = b"harness-boot "
MOST_NOISE_BYTES = 1 << 16  # what a login shell may print first
START_S = 60.0
PROGRAM = """
import hashlib, os, sys
def line():
    data = b""
    while not data.endswith(b"\\n"):
        piece = os.read(0, 1)
        if not piece: sys.exit(1)
        data += piece
    return data.decode().strip()
def say(word, text=""): os.write(1, ("\\nharness-boot %s %s\\n" % (word, text.replace("\\n", " "))).encode())
if sys.version_info < (3, 8):
    say("old", "%d.%d" % sys.version_info[:2]); sys.exit(1)
root, digest, controller = sys.argv[1:4]
root = os.path.expanduser(os.path.expandvars(root))
for sign, reason in (("~", "no home directory for that user"), ("$", "no such variable")):
    if root.startswith(sign):
        say("place", root + "\t" + reason); sys.exit(1)
root = os.path.join(os.path.expanduser("~"), root)
path = os.path.join(root, "agent-%s.py" % digest[:16])
try:
    os.makedirs(root, 0o700, True)
    try:
        with open(path, "rb") as file: have = hashlib.sha256(file.read()).hexdigest()
    except FileNotFoundError: have = ""
    if have != digest:
        say("send")
        left, data = int(line()), b""
        while len(data) < left:
            piece = os.read(0, min(left - len(data), 65536))
            if not piece: sys.exit(1)
            data += piece
        partial = "%s.%d.part" % (path, os.getpid())
        with open(partial, "wb") as file:
            file.write(data); file.flush(); os.fsync(file.fileno())
        os.replace(partial, path)
except OSError as error:
    say("place", "%s\\t%s" % (root, error.strerror)); sys.exit(1)
say("run")
os.execv(sys.executable, [sys.executable, path, "--root", root, "--controller", controller])
"""


def agent_bytes() -> bytes:
    return Path(harness.fleet.agent.__file__).read_bytes()


def command(python: str, cache: str, controller: str) -> list[str]:
    """The words that start it on the device. Each is one line of plain letters or is for the caller to quote."""
    packed = base64.b64encode(PROGRAM.encode()).decode()
    digest = hashlib.sha256(agent_bytes()).hexdigest()
    return [
        python, "-c", f"import base64;exec(base64.b64decode('{packed}'))", cache or ".", digest, controller,
    ]  # fmt: skip


def for_shell(words: Sequence[str]) -> str:
    """The words as one line for a shell, which finds ``~/`` before the first of them."""
    line = shlex.join(words)
    return f"~/'{line[3:]}" if line.startswith("'~/") else line


def start(pipe: Lines) -> None:
    """Wait until the agent runs behind the pipe, and send it where the device lacks it.

    Raises Unreachable where the device cannot run it, LinkLost where the channel ended or stayed silent.
    """
    deadline, noise = time.monotonic() + START_S, b""
    while True:
        try:
            line = pipe.receive(max(0.0, deadline - time.monotonic()))
        except LinkLost as error:
            raise NotBegun(str(error), noise.decode(errors="replace").strip()) from error
        if line is None:
            raise Unreachable(
                f"nothing started there within {START_S:g} s{_first_words(noise)}; perhaps its login shell waits for "
                "an answer: make ~/.bashrc (or that shell's own file) ask for nothing"
            )
        if not line.startswith(MARK):
            noise += line + b"\n" if line.strip() else b""
            if len(noise) > MOST_NOISE_BYTES:
                raise Unreachable(
                    f"its login shell prints more than {MOST_NOISE_BYTES} bytes before anything can start"
                    f"{_first_words(noise)}; make ~/.bashrc (or that shell's own file) silent"
                )
            continue
        word, _, text = line[len(MARK) :].decode(errors="replace").strip().partition(" ")
        if word == "send":
            data = agent_bytes()
            pipe.send_bytes(f"{len(data)}\n".encode() + data)
        elif word == "old":
            raise Unreachable(
                f"its Python is {text}, and 3.8 or later is needed; name another with `python:`"
            )
        elif word == "place":
            root, _, reason = text.partition("\t")
            raise Unreachable(
                f"cannot write to {root} there ({reason}); name a directory that can be written with `cache:`"
            )
        else:
            return


class NotBegun(LinkLost):
    """The channel ended before the agent ran; ``printed`` is what came of it until then."""

    def __init__(self, text: str, printed: str) -> None:
        self.printed = printed
        super().__init__(text)


def printed(error: LinkLost) -> str:
    """The last line that a channel printed before it ended without an agent."""
    return error.printed.rpartition("\n")[2][:300] if isinstance(error, NotBegun) else ""


def not_started(code: int, python: str, last: str) -> Unreachable:
    """What to say where the account's shell ended with an exit code, and ``last`` on stderr, and started no agent."""
    if code in (126, 127):
        return Unreachable(
            f"{python} does not run there ({last or f'exit code {code}'}); install Python 3.8 or later, or name where "
            "it is with `python:`"
        )
    what = "look for an `exit` in ~/.bashrc there" if code == 0 else "let that account run commands"
    return Unreachable(
        f"its login shell ended with exit code {code} and started nothing{': ' + last if last else ''}; {what}"
    )


def _first_words(noise: bytes) -> str:
    words = noise.decode(errors="replace").strip().partition("\n")[0][:100]
    return f"; it said first: {words!r}" if words else ""
