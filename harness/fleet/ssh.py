"""An agent on another machine, over one SSH connection with one long-lived channel."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import posixpath
import shlex
import socket
import stat
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import paramiko

import harness.fleet.agent
from harness.fleet.transport import MAX_LINE_BYTES, LinkLost, Unreachable, user

CONNECT_S = 15.0
WRITE_S = 30.0
KEEPALIVE_S = 5
CHUNK = 1 << 16
LAST_WORDS_BYTES = 4096
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
        config = paramiko.SSHConfig()
        path = Path("~/.ssh/config").expanduser()
        if path.exists():
            config = paramiko.SSHConfig.from_path(str(path))
        found = config.lookup(self.host)
        jump = self.jump or found.get("proxyjump")
        return {
            "hostname": found.get("hostname", self.host),
            "port": self.port or int(found.get("port", 22)),
            "user": self.user or found.get("user") or user(),
            "keys": [self.key] if self.key else found.get("identityfile", []),
            "jump": None if jump in (None, "none") else jump,
        }


class SshTransport:
    """Raises Unreachable where the device refuses us or we refuse it, LinkLost where the network fails."""

    def __init__(self, address: Address, cache: str, python: str, controller: str) -> None:
        self._clients: list[paramiko.SSHClient] = []
        self._buffer = bytearray()
        self._last_words = bytearray()
        try:
            client = self._connect(address, hops=3)
            root = _install_agent(client, cache)
            agent = posixpath.join(root, f"agent-{_agent_sha256()[:16]}.py")
            command = [python, agent, "--root", root, "--controller", controller]
            transport = client.get_transport()
            if transport is None:
                raise LinkLost("the connection ended while it was made")
            self._channel = transport.open_session(timeout=CONNECT_S)
            self._channel.exec_command(shlex.join(command))
        except (OSError, EOFError, paramiko.SSHException) as error:
            self.close()
            raise _explained(error, address) from error
        except (LinkLost, Unreachable):
            self.close()
            raise

    def send(self, line: bytes) -> None:
        data = line + b"\n"
        self._channel.settimeout(WRITE_S)
        try:
            self._channel.sendall(data)
        except (OSError, EOFError, paramiko.SSHException) as error:
            raise LinkLost(self._why(error)) from error

    def receive(self, timeout_s: float) -> bytes | None:
        deadline = time.monotonic() + timeout_s
        while True:
            end = self._buffer.find(b"\n")
            if end >= 0:
                line = bytes(self._buffer[:end])
                del self._buffer[: end + 1]
                return line
            if len(self._buffer) > MAX_LINE_BYTES:
                raise LinkLost(f"the agent sent a line of more than {MAX_LINE_BYTES} bytes")
            self._channel.settimeout(max(0.001, deadline - time.monotonic()))
            try:
                data = self._channel.recv(CHUNK)
            except TimeoutError:
                return None
            except (OSError, EOFError, paramiko.SSHException) as error:
                raise LinkLost(self._why(error)) from error
            if not data:
                raise LinkLost(self._why(None))
            self._buffer += data

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
        known = Path(address.known_hosts or "~/.ssh/known_hosts").expanduser()
        if known.exists():
            client.load_host_keys(str(known))
        if not address.known_hosts and Path("/etc/ssh/ssh_known_hosts").exists():
            client.load_system_host_keys("/etc/ssh/ssh_known_hosts")
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

    def _why(self, error: BaseException | None) -> str:
        """What became of the agent, from its exit status and its last words."""
        channel = self._channel
        if error is None:
            channel.status_event.wait(1.0)  # the exit status may come just after the end of the output
        with contextlib.suppress(Exception):
            while channel.recv_stderr_ready():
                self._last_words += channel.recv_stderr(CHUNK)
                del self._last_words[:-LAST_WORDS_BYTES]
        last = self._last_words.decode(errors="replace").strip().rpartition("\n")[2][:300]
        if channel.exit_status_ready() and channel.exit_status >= 0:
            return f"the agent ended with exit code {channel.exit_status}{': ' + last if last else ''}"
        if isinstance(error, TimeoutError):
            return f"the link took nothing for {WRITE_S:g} s"
        return f"the link was lost{f' ({error})' if error and str(error) else ''}"


def _agent_sha256() -> str:
    return hashlib.sha256(Path(harness.fleet.agent.__file__).read_bytes()).hexdigest()


def _install_agent(client: paramiko.SSHClient, cache: str) -> str:
    """Put this version of the agent into the cache directory, once; the directory's absolute path."""
    data = Path(harness.fleet.agent.__file__).read_bytes()
    with client.open_sftp() as sftp:
        channel = sftp.get_channel()
        if channel is not None:
            channel.settimeout(CONNECT_S)
        home = sftp.normalize(".")
        root = posixpath.join(home, cache.removeprefix("~/")) if not cache.startswith("/") else cache
        path = posixpath.join(root, f"agent-{_agent_sha256()[:16]}.py")
        try:
            _make_directories(sftp, root)
            if _hash_of(sftp, path) != hashlib.sha256(data).hexdigest():
                partial = f"{path}.{os.getpid()}.part"
                with sftp.open(partial, "wb") as file:
                    file.write(data)
                sftp.posix_rename(partial, path)
        except OSError as error:
            raise Unreachable(
                f"cannot write to {root} there ({error}); name a directory that can be written with `cache:`"
            ) from error
        return root


def _make_directories(sftp: paramiko.SFTPClient, root: str) -> None:
    missing = []
    while root not in ("", "/"):
        try:
            if not stat.S_ISDIR(sftp.stat(root).st_mode or 0):
                raise OSError(f"{root} is not a directory")
            break
        except FileNotFoundError:
            missing.append(root)
            root = posixpath.dirname(root)
    for path in reversed(missing):
        with contextlib.suppress(FileExistsError):
            sftp.mkdir(path, 0o700)


def _hash_of(sftp: paramiko.SFTPClient, path: str) -> str | None:
    try:
        with sftp.open(path, "rb") as file:
            return hashlib.sha256(file.read()).hexdigest()
    except FileNotFoundError:
        return None


def _explained(error: BaseException, address: Address) -> Exception:
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
