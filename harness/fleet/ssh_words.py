"""The words that ``ssh`` is started with to reach a device, and what ``ssh -G`` says that it will do then.

Whatever the configuration says, some things are held (`HELD`, `HELD_WHERE_KNOWN`): an unknown host key is refused,
nothing is asked at a terminal, nothing is shared or forwarded, and what is started there speaks over this one channel.
Each jump host is asked for and held in the same way.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shlex
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.fleet.address import CONNECT_S, KEEPALIVE_S, MOST_HOPS, Address, hops
from harness.fleet.transport import LinkLost, Unreachable
from harness.processes import run_to_end

# Refuse unknown hosts, ask nobody, share no connection, forward nothing, and say why where it fails.
HELD = (
    "BatchMode=yes", "StrictHostKeyChecking=yes", f"ConnectTimeout={CONNECT_S}", f"ServerAliveInterval={KEEPALIVE_S}",
    "ServerAliveCountMax=3", "ControlMaster=no", "ControlPath=none", "ClearAllForwardings=yes", "ForwardAgent=no",
    "ForwardX11=no", "PermitLocalCommand=no", "RemoteCommand=none", "RequestTTY=no", "UpdateHostKeys=no", "Tunnel=no",
    "LogLevel=INFO", "VisualHostKey=no",
)  # fmt: skip
# The same of what older ssh do not know, and would stumble over: they are held where ``ssh -G`` tells them.
HELD_WHERE_KNOWN = {"forkafterauthentication": "no", "stdinnull": "no", "sessiontype": "default"}


@dataclass(frozen=True)
class Way:
    """How ssh reaches an address: the words that lead there, and what it says of them by keyword in small letters."""

    words: list[str]
    found: dict[str, list[str]]

    def first(self, keyword: str) -> str:
        """What it says of a keyword; empty where it says nothing, or ``none``."""
        said = self.found.get(keyword, [""])[0]
        return "" if said == "none" else said

    @property
    def place(self) -> str:
        return f"{self.first('hostname')}:{self.first('port')}"

    @property
    def known_hosts(self) -> str:
        """The file that host keys are looked up in."""
        return self.first("userknownhostsfile").split(" ")[0] or "~/.ssh/known_hosts"


def way(ssh: str, address: Address) -> Way:
    """How ssh would reach an address. Raises Unreachable for a configuration it does not accept, LinkLost.

    ssh takes the home directory of the passwd entry; where the variable HOME names another, with a ``.ssh`` in it,
    that one stands for it.
    """
    home, words = other_home(), []
    if home:
        config = Path(home, ".ssh", "config")
        words += ["-F", str(config) if config.exists() else "none"]
    if address.port:
        words += ["-p", str(address.port)]
    if address.user:
        words += ["-l", address.user]
    if address.key:
        words += ["-i", os.path.expanduser(address.key), "-o", "IdentitiesOnly=yes"]
    if address.known_hosts:
        words += ["-o", f"UserKnownHostsFile={_word(os.path.expanduser(address.known_hosts))}"]
        words += ["-o", "GlobalKnownHostsFile=/dev/null"]
    found = _asked(ssh, [*words, "--", address.host])
    if home:
        words += _at_home(home, found, address)
    held = [*HELD, *(f"{key}={value}" for key, value in HELD_WHERE_KNOWN.items() if key in found)]
    return Way([*(word for one in held for word in ("-o", one)), *words], found)


def other_home() -> str | None:
    """What the variable HOME names, where it has a ``.ssh`` and is not the home directory of the passwd entry."""
    named = os.environ.get("HOME")
    with contextlib.suppress(KeyError):
        own = pwd.getpwuid(os.getuid()).pw_dir
        if named and os.path.realpath(named) != os.path.realpath(own) and Path(named, ".ssh").is_dir():
            return named
    return None


def _at_home(home: str, found: dict[str, list[str]], address: Address) -> list[str]:
    """Words that put what ssh would take from its own idea of the home directory into another; ``found`` follows."""
    words = []
    if not address.known_hosts and found.get("userknownhostsfile", [""])[0].split(" ")[0].endswith(
        "/.ssh/known_hosts"
    ):
        file = str(Path(home, ".ssh", "known_hosts"))
        found["userknownhostsfile"] = [file]
        words += ["-o", f"UserKnownHostsFile={_word(file)}"]
    if not address.key:
        names = found.get("identityfile", [])
        own = [str(Path(home, name[2:])) for name in names if name.startswith("~/")]
        found["identityfile"] = [*own, *(name for name in names if not name.startswith("~/"))]
        words += [word for name in own if Path(name).is_file() for word in ("-i", name)]
    return words


def _asked(ssh: str, words: Sequence[str]) -> dict[str, list[str]]:
    """What ``ssh -G`` says, as if a command were to be run there."""
    asked = [ssh, "-G", "-o", "RemoteCommand=none", *words, "true"]
    try:
        done = run_to_end(asked, within_s=CONNECT_S)
    except subprocess.TimeoutExpired:
        raise LinkLost(f"`ssh -G {words[-1]}` did not answer within {CONNECT_S} s") from None
    if done.returncode != 0:
        last = done.stderr.strip().splitlines() or ["no reason given"]
        wrong = next((line for line in last if "onfiguration" in line or "line " in line), last[-1])
        raise Unreachable(f"ssh does not accept its configuration: {wrong[:300]}; correct it")
    found: dict[str, list[str]] = {}
    for line in done.stdout.splitlines():
        key, _, value = line.partition(" ")
        found.setdefault(key, []).append(value)
    return found


def through(ssh: str, jumps: Sequence[Address], most: int = MOST_HOPS) -> tuple[str, str]:
    """A ProxyCommand that leads through jump hosts, and the place of the first of them. Raises Unreachable.

    ssh's own ProxyJump would check the host keys of jump hosts as the configuration says, which may be not at all.
    """
    *before, hop = jumps
    if len(jumps) > most:
        raise Unreachable(
            f"the way through {hop.host} has more than {MOST_HOPS} jump hosts, or leads in a circle; correct `jump:` "
            "or ProxyJump in ~/.ssh/config"
        )
    to = way(ssh, hop)
    before = before or hops(to.first("proxyjump"), hop)
    words, first = [ssh, *to.words], to.first("proxycommand") or to.place
    if before:
        command, first = through(ssh, before, most - 1)
        words += by(command.replace("%", "%%"))
    return shlex.join([*words, "-W", "[%h]:%p", "--", hop.host]).replace("'[%h]:%p'", "[%h]:%p"), first


def by(command: str) -> list[str]:
    """Words for a ProxyCommand of ours; it passes on bytes and never an open file, as a configuration may expect."""
    return ["-o", "ProxyUseFdpass=no", "-o", "ProxyCommand=" + command]


def _word(text: str) -> str:
    """As one word of an option of ssh, which splits at spaces."""
    return f'"{text}"' if " " in text else text
