"""An agent on another machine, over one SSH connection with one long-lived channel."""

from __future__ import annotations

import contextlib
import logging
import socket
from collections.abc import Container, Sequence
from pathlib import Path

import paramiko
from paramiko.hostkeys import HostKeyEntry, InvalidHostKey

from harness.fleet.address import CONNECT_S, KEEPALIVE_S, MOST_HOPS, Address
from harness.fleet.boot import command, for_shell, not_started, printed, start
from harness.fleet.channel import Lines
from harness.fleet.ssh_refusals import (
    changed,
    fingerprint,
    no_address,
    nobody_there,
    not_let_in,
    place_of,
    revoked,
    silent,
    too_many_keys,
    unknown,
)
from harness.fleet.transport import LinkLost, Unreachable, gate

WRITE_S = 30.0
CHUNK = 1 << 16
LAST_WORDS_BYTES = 4096
logging.getLogger("paramiko").addHandler(logging.NullHandler())  # what it has to say is in its exceptions


class SshTransport(Lines):
    """Raises Unreachable where the device refuses us or we refuse it, LinkLost where the network fails."""

    def __init__(self, address: Address, cache: str, python: str, controller: str) -> None:
        super().__init__()
        self._clients: list[paramiko.SSHClient] = []
        self._last_words = bytearray()
        self._channel: paramiko.Channel | None = None
        try:
            where = address.resolved()
            first = where["jumps"][0].resolved() if where["jumps"] else where
            with gate(f"{first['hostname']}:{first['port']}"):
                transport = self._connect(address).get_transport()
                if transport is None:
                    raise LinkLost("the connection ended while it was made")
                self._channel = transport.open_session(timeout=CONNECT_S)
                self._channel.exec_command(for_shell(command(python, cache, controller)))
                start(self)
        except (OSError, EOFError, paramiko.SSHException) as error:
            self.close()
            raise _explained(error, address) from error
        except LinkLost as error:
            code = self._exit_code()
            self.close()
            if code is None:
                raise
            raise not_started(code, python, self._last_line() or printed(error)) from error
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

    def _connect(
        self, address: Address, through: paramiko.Transport | None = None, most: int = MOST_HOPS
    ) -> paramiko.SSHClient:
        """A client for the address, through a transport where one is given, else through its own jump hosts."""
        if not most:
            raise Unreachable(
                f"{address.host} is behind more than {MOST_HOPS} jump hosts, or the way leads in a circle"
            )
        where = address.resolved()
        for hop in [] if through else where["jumps"]:
            through = self._connect(hop, through, most - 1).get_transport()
            if through is None:
                raise LinkLost(f"the connection to {hop.host} ended")
        sock = None
        if through:
            target = (where["hostname"], where["port"])
            sock = through.open_channel("direct-tcpip", target, ("127.0.0.1", 0), timeout=CONNECT_S)
        client = paramiko.SSHClient()
        self._clients.append(client)
        files = [Path(address.known_hosts or "~/.ssh/known_hosts").expanduser()]
        keys, revoked = _known_hosts(
            files if address.known_hosts else [*files, Path("/etc/ssh/ssh_known_hosts")]
        )
        client.set_missing_host_key_policy(Refuse(revoked))
        client.get_host_keys().update(keys)
        try:
            client.connect(
                where["hostname"],
                where["port"],
                where["user"],
                key_filename=where["keys"] or None,
                look_for_keys=not address.key,
                allow_agent=not address.key,
                timeout=CONNECT_S,
                banner_timeout=CONNECT_S,
                auth_timeout=CONNECT_S,
                channel_timeout=CONNECT_S,
                sock=sock,
            )
        except (OSError, EOFError, paramiko.SSHException) as error:  # of this host, which may be on the way
            raise _explained(error, address) from error
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


class UnknownHost(paramiko.SSHException):
    """A host whose key is in no file of known hosts, or is ``revoked`` there; ``shown`` is the key that it has."""

    def __init__(self, host: str, shown: str, *, revoked: bool) -> None:
        self.shown, self.revoked = shown, revoked
        super().__init__(f"{host} is not in known_hosts")


class Refuse(paramiko.MissingHostKeyPolicy):
    """Refuses a host whose key is not known, and tells what it has shown and whether that was ``revoked``."""

    def __init__(self, revoked: Container[bytes]) -> None:
        self._revoked = revoked

    def missing_host_key(self, client: paramiko.SSHClient, hostname: str, key: paramiko.PKey) -> None:
        shown = key.asbytes()
        raise UnknownHost(hostname, fingerprint(key.get_name(), shown), revoked=shown in self._revoked)


def _known_hosts(paths: Sequence[Path]) -> tuple[paramiko.HostKeys, set[bytes]]:
    """The keys in files of known hosts, and those revoked there; a line that cannot be read is no other line's trouble.

    A key that is marked as revoked is nobody's, wherever else it stands. Certificates of hosts are not followed.
    """
    entries, revoked, keys = [], set(), paramiko.HostKeys()
    for line in (
        line
        for path in paths
        if path.exists()
        for line in path.read_text(errors="replace", encoding="utf-8").splitlines()
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
    return keys, revoked


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
    host, port, known = where["hostname"], where["port"], address.known_hosts or "~/.ssh/known_hosts"
    place = place_of(host, port)
    if isinstance(error, paramiko.BadHostKeyException):
        shown, kept = (fingerprint(key.get_name(), key.asbytes()) for key in (error.key, error.expected_key))
        return changed(place, shown, known, kept)
    if isinstance(error, paramiko.AuthenticationException):
        return not_let_in(where["user"], host, port, where["keys"])
    if str(error) == "No existing session":  # paramiko's words for a server that hung up meanwhile
        return too_many_keys(where["user"], host)
    if isinstance(error, UnknownHost):
        if error.revoked:  # and is not to be added anew
            return revoked(place, f"{error.shown} in {known}")
        return unknown(host, port, known, error.shown)
    if isinstance(error, socket.gaierror):
        return no_address(host)
    if isinstance(error, paramiko.ssh_exception.NoValidConnectionsError):
        return nobody_there(host, port)
    if isinstance(error, TimeoutError):
        return silent(place, CONNECT_S)
    return LinkLost(f"no SSH connection to {place}: {str(error) or type(error).__name__}")
