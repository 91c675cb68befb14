"""An agent on another machine, over one SSH connection with one long-lived channel."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import shlex
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import paramiko
from paramiko.hostkeys import HostKeyEntry, InvalidHostKey

from harness.fleet.boot import command, not_started, start
from harness.fleet.channel import Lines
from harness.fleet.transport import LinkLost, Unreachable, gate, user

CONNECT_S = 15.0
WRITE_S = 30.0
KEEPALIVE_S = 5
CHUNK = 1 << 16
LAST_WORDS_BYTES = 4096
# Keywords of ssh_config that `Address.resolved` does not follow, and that decide whether a device is reached.
IGNORED = {word.lower(): word for word in (
    "Include", "ProxyCommand", "UserKnownHostsFile", "GlobalKnownHostsFile", "HostKeyAlias", "IdentityAgent",
    "CertificateFile", "CanonicalizeHostname", "HostKeyAlgorithms", "KexAlgorithms", "Ciphers",
)}  # fmt: skip
logging.getLogger("paramiko").addHandler(logging.NullHandler())  # what it has to say is in its exceptions


@dataclass(frozen=True)
class Address:
    """Where a device is and how to get in; what is None is looked up in ~/.ssh/config as `ssh` does."""

    host: str
    port: int | None = None
    user: str | None = None
    key: str | None = None
    known_hosts: str | None = None
    jump: str | None = None

    def resolved(self) -> dict[str, Any]:
        """hostname, port, user, keys and jump host after ssh_config."""
        found = self._configured()
        jump = self.jump or found.get("proxyjump")
        return {
            "hostname": found.get("hostname", self.host),
            "port": self.port or int(found.get("port", 22)),
            "user": self.user or found.get("user") or user(),
            "keys": [self.key] if self.key else found.get("identityfile", []),
            "jump": None if jump in (None, "none") else jump,
        }

    def _configured(self) -> dict[str, Any]:
        """What ssh_config says of the host, as far as paramiko reads it. Raises Unreachable."""
        path = Path("~/.ssh/config").expanduser()
        if not path.exists():
            return {}
        try:
            return dict(paramiko.SSHConfig.from_path(str(path)).lookup(self.host))
        except (paramiko.SSHException, KeyError, ValueError, OSError) as error:
            raise Unreachable(
                f"paramiko does not read ~/.ssh/config ({type(error).__name__}: {error}); install OpenSSH's client, or "
                "give host, port, user and key in devices.yaml"
            ) from error

    def ignored(self) -> list[str]:
        """The keywords in ssh_config that decide how the host is reached and are not followed here."""
        path = Path("~/.ssh/config").expanduser()
        words = {key for key in self._configured() if key in IGNORED}
        if path.exists() and re.search(r"^\s*Include\b", path.read_text(errors="replace"), re.I | re.M):
            words.add("include")
        return sorted(IGNORED[word] for word in words)


class SshTransport(Lines):
    """Raises Unreachable where the device refuses us or we refuse it, LinkLost where the network fails."""

    def __init__(self, address: Address, cache: str, python: str, controller: str) -> None:
        super().__init__()
        self._clients: list[paramiko.SSHClient] = []
        self._last_words = bytearray()
        self._channel: paramiko.Channel | None = None
        try:
            with gate(address.jump or f"{address.host}:{address.port}"):
                transport = self._connect(address, hops=3).get_transport()
                if transport is None:
                    raise LinkLost("the connection ended while it was made")
                self._channel = transport.open_session(timeout=CONNECT_S)
                self._channel.exec_command(shlex.join(command(python, cache, controller)))
                start(self)
        except (OSError, EOFError, paramiko.SSHException) as error:
            self.close()
            raise _explained(error, address) from error
        except LinkLost as error:
            code = self._exit_code()
            self.close()
            if code is None:
                raise
            raise not_started(code, python, self._last_line()) from error
        except Unreachable:
            self.close()
            raise

    def send_bytes(self, content: bytes) -> None:
        channel = self._open()
        channel.settimeout(WRITE_S)
        try:
            channel.sendall(content)
        except (OSError, EOFError, paramiko.SSHException) as error:
            raise LinkLost(self._why(error)) from error

    def _piece(self, within_s: float) -> bytes | None:
        channel = self._open()
        channel.settimeout(max(0.001, within_s))
        try:
            data = channel.recv(CHUNK)
        except TimeoutError:
            return None
        except (OSError, EOFError, paramiko.SSHException) as error:
            raise LinkLost(self._why(error)) from error
        if not data:
            raise LinkLost(self._why(None))
        return data

    def _open(self) -> paramiko.Channel:
        if self._channel is None:
            raise LinkLost("the connection ended while it was made")
        return self._channel

    def _exit_code(self) -> int | None:
        """How what was started there ended; None where that is not known."""
        channel = self._channel
        return (
            channel.exit_status
            if channel and channel.exit_status_ready() and channel.exit_status >= 0
            else None
        )

    def close(self) -> None:
        for client in reversed(self._clients):
            with contextlib.suppress(Exception):
                client.close()

    def _connect(self, address: Address, hops: int) -> paramiko.SSHClient:
        """A client for the address, through its jump host where it has one."""
        where = address.resolved()
        sock = None
        if where["jump"]:
            if not hops:
                raise Unreachable(f"{address.host} is behind more than three jump hosts")
            user, _, host = where["jump"].rpartition("@")
            name, _, port = host.partition(":")
            hop = Address(name, int(port) if port else None, user or None, address.key, address.known_hosts)
            outer = self._connect(hop, hops - 1).get_transport()
            if outer is None:
                raise LinkLost(f"the connection to {where['jump']} ended")
            target = (where["hostname"], where["port"])
            sock = outer.open_channel("direct-tcpip", target, ("127.0.0.1", 0), timeout=CONNECT_S)
        client = paramiko.SSHClient()
        self._clients.append(client)
        client.set_missing_host_key_policy(paramiko.RejectPolicy())
        files = [Path(address.known_hosts or "~/.ssh/known_hosts").expanduser()]
        keys = _known_hosts(files if address.known_hosts else [*files, Path("/etc/ssh/ssh_known_hosts")])
        client.get_host_keys().update(keys)
        client.connect(
            where["hostname"],
            where["port"],
            where["user"],
            key_filename=[os.path.expanduser(key) for key in where["keys"]] or None,  # type: ignore[arg-type]
            look_for_keys=not address.key,
            allow_agent=not address.key,
            timeout=CONNECT_S,
            banner_timeout=CONNECT_S,
            auth_timeout=CONNECT_S,
            channel_timeout=CONNECT_S,
            sock=sock,
        )
        transport = client.get_transport()
        if transport is not None:
            transport.set_keepalive(KEEPALIVE_S)
        return client

    def _last_line(self) -> str:
        return self._last_words.decode(errors="replace").strip().rpartition("\n")[2][:300]

    def _why(self, error: BaseException | None) -> str:
        """What became of the agent, from its exit status and its last words."""
        channel = self._open()
        if error is None:
            channel.status_event.wait(1.0)  # the exit status may come just after the end of the output
        with contextlib.suppress(Exception):
            while channel.recv_stderr_ready():
                self._last_words += channel.recv_stderr(CHUNK)
                del self._last_words[:-LAST_WORDS_BYTES]
        last = self._last_line()
        if channel.exit_status_ready() and channel.exit_status >= 0:
            return f"the agent ended with exit code {channel.exit_status}{': ' + last if last else ''}"
        if isinstance(error, TimeoutError):
            return f"the link took nothing for {WRITE_S:g} s"
        return f"the link was lost{f' ({error})' if error and str(error) else ''}"


def _known_hosts(paths: Sequence[Path]) -> paramiko.HostKeys:
    """The keys in files of known hosts; a line that cannot be read is no other line's trouble.

    A key that is marked as revoked is nobody's, wherever else it stands. Certificates of hosts are not followed.
    """
    entries, revoked, keys = [], set(), paramiko.HostKeys()
    for line in (
        line for path in paths if path.exists() for line in path.read_text(errors="replace").splitlines()
    ):
        marker, _, rest = line.strip().partition(" ")
        with contextlib.suppress(InvalidHostKey, paramiko.SSHException, ValueError):
            found = HostKeyEntry.from_line(rest if marker == "@revoked" else line)
            if found and found.key and marker == "@revoked":
                revoked.add(found.key.asbytes())
            elif found and found.key and found.hostnames and not marker.startswith("@"):
                entries.append(found)
    for one in entries:
        if one.key.asbytes() not in revoked:
            for name in one.hostnames:
                keys.add(name, one.key.get_name(), one.key)
    return keys


def _explained(error: BaseException, address: Address) -> Exception:
    """The same in words: what can be mended by the user is Unreachable, the rest LinkLost."""
    told = _told(error, address)
    if ignored := address.ignored():
        words = ", ".join(ignored)
        return type(told)(
            f"{told} (of ~/.ssh/config paramiko does not follow {words}: OpenSSH's client does)"
        )
    return told


def _told(error: BaseException, address: Address) -> Exception:
    """The same in words: what can be mended by the user is Unreachable, the rest LinkLost."""
    where = address.resolved()
    place = f"[{where['hostname']}]:{where['port']}" if where["port"] != 22 else where["hostname"]
    known = address.known_hosts or "~/.ssh/known_hosts"
    if isinstance(error, paramiko.BadHostKeyException):
        return Unreachable(
            f"{place} shows another host key than {known} has for it: somebody may be in between. If the machine was "
            f"really set up anew, forget the old key with: ssh-keygen -R '{place}' -f {known}"
        )
    if isinstance(error, paramiko.AuthenticationException):
        who = f"{where['user']}@{where['hostname']}"
        return Unreachable(
            f"it refuses to let in {who}; add your key there with: ssh-copy-id -p {where['port']} {who}"
        )
    if isinstance(error, paramiko.SSHException) and "not found in known_hosts" in str(error):
        return Unreachable(
            f"{place} is not in {known}; compare its fingerprint, then add it with: "
            f"ssh-keyscan -p {where['port']} {where['hostname']} >> {known}"
        )
    if isinstance(error, socket.gaierror):
        return Unreachable(f"no address for {where['hostname']}; correct `host:` or ~/.ssh/config")
    if isinstance(error, paramiko.ssh_exception.NoValidConnectionsError):
        return LinkLost(f"nothing answers at {where['hostname']} port {where['port']}")
    if isinstance(error, TimeoutError):
        return LinkLost(f"{place} did not answer within {CONNECT_S:g} s")
    return LinkLost(f"no SSH connection to {place}: {str(error) or type(error).__name__}")
