"""An agent on another machine by the user's own ``ssh``: whatever that reaches is reached, in the same way.

OpenSSH reads its configuration (Include, Match, ProxyCommand, any number of jump hosts, canonical names), keys, agents,
certificates of users and hosts, and revoked keys; nothing of it is read a second time here. Two things are held
whatever the configuration says: an unknown host key is refused, and nothing is ever asked at a terminal. The device
needs neither SFTP nor a second session. Where there is no ``ssh`` on this machine, `ssh.py` connects by paramiko.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import itertools
import os
import pwd
import re
import shlex
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from harness.fleet.boot import command, not_started, start
from harness.fleet.channel import Pipe
from harness.fleet.ssh import Address
from harness.fleet.transport import LinkLost, Unreachable, gate
from harness.processes import run_to_end

CONNECT_S = 15
KEEPALIVE_S = 5
# What every connection is held to: refuse unknown hosts, ask nobody, share no connection, forward nothing.
HELD = (
    "BatchMode=yes", "StrictHostKeyChecking=yes", f"ConnectTimeout={CONNECT_S}", f"ServerAliveInterval={KEEPALIVE_S}",
    "ServerAliveCountMax=3", "ControlMaster=no", "ControlPath=none", "ClearAllForwardings=yes", "ForwardAgent=no",
    "ForwardX11=no", "PermitLocalCommand=no", "RemoteCommand=none", "RequestTTY=no", "UpdateHostKeys=no",
)  # fmt: skip
FAILED = 255  # what ssh ends with where the connection itself failed


def available() -> str | None:
    """The path of ``ssh`` on this machine."""
    return shutil.which("ssh")


def options(ssh: str, address: Address, home: str | None) -> list[str]:
    """The words for ssh that say what an entry of devices.yaml says; what it leaves open the configuration decides.

    ssh takes the home directory of the passwd entry; ``home`` is another, from the variable HOME, that stands for it.
    """
    words = [word for one in HELD for word in ("-o", one)]
    if home:
        words += _at_home(ssh, address.host, home, bool(address.known_hosts), bool(address.key))
    if address.port:
        words += ["-p", str(address.port)]
    if address.user:
        words += ["-l", address.user]
    if address.key:
        words += ["-i", os.path.expanduser(address.key), "-o", "IdentitiesOnly=yes"]
    if address.known_hosts:
        words += ["-o", f"UserKnownHostsFile={_word(os.path.expanduser(address.known_hosts))}"]
        words += ["-o", "GlobalKnownHostsFile=/dev/null"]
    return words


def other_home() -> str | None:
    """The home directory that the variable HOME names, where it is not that of the passwd entry."""
    named = os.environ.get("HOME")
    with contextlib.suppress(KeyError):
        if named and os.path.realpath(named) != os.path.realpath(pwd.getpwuid(os.getuid()).pw_dir):
            return named
    return None


def _at_home(ssh: str, host: str, home: str, known_hosts: bool, key: bool) -> list[str]:
    """Words that put what ssh would take from its own idea of the home directory into another."""
    config = Path(home, ".ssh", "config")
    words = ["-F", str(config) if config.exists() else "none"]
    found = _asked(ssh, [*words, "--", host])
    if not known_hosts and found.get("userknownhostsfile", [""])[0].split(" ")[0].endswith(
        "/.ssh/known_hosts"
    ):
        words += ["-o", f"UserKnownHostsFile={_word(str(Path(home, '.ssh', 'known_hosts')))}"]
    if not key:
        names = [name[2:] for name in found.get("identityfile", []) if name.startswith("~/")]
        words += [
            word for name in names if Path(home, name).is_file() for word in ("-i", str(Path(home, name)))
        ]
    return words


def settings(ssh: str, address: Address, home: str | None = None) -> dict[str, list[str]]:
    """What ssh would do, by keyword in small letters. Raises Unreachable for a broken configuration."""
    return _asked(ssh, [*options(ssh, address, home), "--", address.host])


def _asked(ssh: str, words: Sequence[str]) -> dict[str, list[str]]:
    """What ``ssh -G`` says. Raises Unreachable, LinkLost."""
    asked = [ssh, "-G", *words]
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


def through(ssh: str, jumps: Sequence[str], address: Address, home: str | None) -> str:
    """A ProxyCommand that leads through jump hosts, each held to what the device itself is held to.

    ssh's own ProxyJump would check the host keys of jump hosts as the configuration says, which may be not at all.
    """
    *before, last = jumps
    target = last.removeprefix("ssh://")
    user, _, place = target.rpartition("@")
    found = re.fullmatch(r"\[([^\]]+)\](?::(\d+))?|([^:]+)(?::(\d+))?", place)
    if not found or place.startswith("-"):
        raise Unreachable(f"{last!r} is not a jump host; write [USER@]HOST[:PORT]")
    hop = Address(
        found[1] or found[3],
        int(found[2] or found[4] or 0) or None,
        user or None,
        address.key,
        address.known_hosts,
    )
    words = [ssh, *options(ssh, hop, home)]
    if before:
        inner = through(ssh, before, address, home)
        words += ["-o", "ProxyCommand=" + inner.replace("%", "%%")]
    return shlex.join([*words, "-W", "[%h]:%p", "--", hop.host]).replace("'[%h]:%p'", "[%h]:%p")


class OpenSshTransport(Pipe):
    """Raises Unreachable where the device refuses us or we refuse it, LinkLost where the network fails."""

    def __init__(self, ssh: str, address: Address, cache: str, python: str, controller: str) -> None:
        if address.host.startswith("-"):
            raise Unreachable(f"{address.host!r} is not the name of a host; correct `host:`")
        self._address = address
        home = other_home()
        self._settings = settings(ssh, address, home)
        jump = address.jump or self._setting("proxyjump")
        proxied, first = [], f"{self._setting('hostname')}:{self._setting('port')}"
        if jump and jump != "none":
            first = jump.split(",")[0]
            proxied = ["-o", "ProxyCommand=" + through(ssh, jump.split(","), address, home)]
        words = [ssh, "-T", *proxied, *options(ssh, address, home), "--", address.host]
        quiet = {k: v for k, v in os.environ.items() if k not in ("SSH_ASKPASS", "DISPLAY")}
        words.append(shlex.join(command(python, cache, controller)))
        try:
            with gate(first):
                super().__init__(words, quiet)
                start(self)
        except LinkLost as error:
            code = self.exit_code()
            self.kill()
            raise self._explained(code, python, error) from error
        except BaseException:
            self.kill()
            raise

    def ended(self) -> str:
        """What became of the agent; where ssh itself failed, the link was lost."""
        if self.exit_code() != FAILED:
            return super().ended()
        last = self.said().rpartition("\n")[2][:300]
        return f"the link was lost{f' ({last})' if last else ''}"

    def _setting(self, key: str) -> str:
        return self._settings.get(key, [""])[0]

    def _explained(self, code: int | None, python: str, error: LinkLost) -> Exception:
        """The same in words: what can be mended by the user is Unreachable, the rest LinkLost."""
        said, host, port = self.said(), self._setting("hostname"), self._setting("port")
        place = f"[{host}]:{port}" if port != "22" else host
        last = said.rpartition("\n")[2][:300]
        who = f"{self._setting('user')}@{host}"
        known = self._setting("userknownhostsfile").split(" ")[0] or "~/.ssh/known_hosts"
        if code != FAILED:
            return LinkLost(str(error)) if code is None or code < 0 else not_started(code, python, last)
        if re.search(r"revoked", said, re.I) and "key" in said:
            return Unreachable(
                f"{place} shows a host key that is marked as revoked; it is not trusted: {last}"
            )
        if "HOST IDENTIFICATION HAS CHANGED" in said:
            return Unreachable(_changed(said, place, known))
        if "host key is known for" in said or "Host key verification failed" in said:
            if self._setting("proxycommand") or self._setting("proxyjump") or self._address.jump:
                return Unreachable(
                    f"the host key of {place}, or of a host on the way there, is not in {known}; connect once by "
                    f"hand with: ssh {shlex.quote(self._address.host)}"
                )
            shown = _fingerprint_of(host, port)
            return Unreachable(
                f"{place} is not in {known}{f'; it shows {shown}' if shown else ''}; compare its fingerprint, then "
                f"add it with: ssh-keyscan -p {port} {host} >> {known}"
            )
        if "Permission denied" in said or "Too many authentication failures" in said:
            if locked := _locked_keys(self._settings.get("identityfile", [])):
                return Unreachable(
                    f"it refuses to let in {who}, and the key {locked[0]} has a passphrase that no agent holds; "
                    f"add it with: ssh-add {locked[0]}"
                )
            return Unreachable(
                f"it refuses to let in {who} ({last}); add your key there with: ssh-copy-id -p {port} {who}"
            )
        if "Could not resolve hostname" in said:
            return Unreachable(f"no address for {host}; correct `host:` or ~/.ssh/config")
        if "Connection refused" in said:
            return LinkLost(f"nothing answers at {host} port {port}")
        if "timed out" in said:
            return LinkLost(f"{place} did not answer within {CONNECT_S} s")
        return LinkLost(f"no SSH connection to {place}: {last or 'ssh gave no reason'}")


def _changed(said: str, place: str, known: str) -> str:
    """The sentence about another host key than the one that is known, with both fingerprints."""
    shown = re.search(r"SHA256:[\w+/=]+", said)
    where = re.search(r"Offending \S+ key in (.+):(\d+)", said)
    kept = _fingerprint_in(where[1], int(where[2])) if where else ""
    file = where[1] if where else known
    return (
        f"{place} shows another host key ({shown[0] if shown else 'which it does not tell'}) than {file} has for it"
        f"{f' ({kept})' if kept else ''}: somebody may be in between. If the machine was really set up anew, forget "
        f"the old key with: ssh-keygen -R '{place}' -f {file}"
    )


def _word(text: str) -> str:
    """As one word of an option of ssh, which splits at spaces."""
    return f'"{text}"' if " " in text else text


def _fingerprint(line: str) -> str:
    """Of a line of known_hosts or of ssh-keyscan: its key's type and SHA-256; empty where it has none."""
    words = line.split()
    for kind, key in itertools.pairwise(words):
        if kind.startswith(("ssh-", "ecdsa-", "sk-")):
            with contextlib.suppress(ValueError):
                digest = hashlib.sha256(base64.b64decode(key)).digest()
                return f"{kind} SHA256:{base64.b64encode(digest).decode().rstrip('=')}"
    return ""


def _fingerprint_in(path: str, number: int) -> str:
    with contextlib.suppress(OSError, IndexError):
        return _fingerprint(Path(path).read_text(errors="replace").splitlines()[number - 1])
    return ""


def _fingerprint_of(host: str, port: str) -> str:
    """What a host shows now, for a person to compare; empty where it cannot be asked directly."""
    scan = shutil.which("ssh-keyscan")
    if not scan:
        return ""
    with contextlib.suppress(OSError, subprocess.TimeoutExpired):
        asked = [scan, "-T", "5", "-p", port, "-t", "ed25519", "--", host]
        done = run_to_end(asked, within_s=10)
        return next((told for line in done.stdout.splitlines() if (told := _fingerprint(line))), "")
    return ""


def _locked_keys(paths: Sequence[str]) -> list[str]:
    """Those private keys that are there and need a passphrase."""
    locked = []
    for path in map(os.path.expanduser, paths):
        with contextlib.suppress(OSError, ValueError):
            text = Path(path).read_text(errors="replace")[: 1 << 16]
            body = "".join(line for line in text.splitlines() if not line.startswith("-"))
            if "ENCRYPTED" in text or (
                "OPENSSH PRIVATE KEY" in text and b"\0\0\0\x04none" not in base64.b64decode(body)[:64]
            ):
                locked.append(path)
    return locked
