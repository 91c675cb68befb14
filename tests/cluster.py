"""A cluster to test against: real OpenSSH servers on loopback ports, and a proxy that spoils the links to them."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

SSHD = shutil.which("sshd") or "/usr/sbin/sshd"
HAVE_SSHD = Path(SSHD).exists() and shutil.which("ssh-keygen") is not None
WHY_NOT = "no OpenSSH server; apt-get install openssh-server openssh-client"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def make_key(path: Path) -> Path:
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "test", "-f", str(path)]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    return path


@dataclass
class Server:
    """One sshd with its own host key and cache directory: a device."""

    root: Path
    name: str
    key: Path
    port: int = field(default_factory=free_port)
    extra: str = ""  # more lines of sshd_config
    process: subprocess.Popen[bytes] | None = None

    @property
    def cache(self) -> Path:
        return self.root / self.name / "cache"

    def start(self) -> None:
        home = self.root / self.name
        home.mkdir(exist_ok=True)
        host_key = home / "host_key"
        if not host_key.exists():
            make_key(host_key)
        authorized = home / "authorized_keys"
        authorized.write_text(self.key.with_suffix(".pub").read_text())
        config = home / "sshd_config"
        config.write_text(
            f"ListenAddress 127.0.0.1:{self.port}\nHostKey {host_key}\nAuthorizedKeysFile {authorized}\n"
            "PasswordAuthentication no\nKbdInteractiveAuthentication no\nUsePAM no\nStrictModes no\nPidFile none\n"
            f"PermitRootLogin prohibit-password\nMaxStartups 100\n{self.extra}"
            + ("" if "Subsystem" in self.extra else "Subsystem sftp internal-sftp\n")
        )
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(exist_ok=True)
        with open(home / "log", "ab") as log:
            command = [SSHD, "-D", "-e", "-f", str(config)]
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=log)
        deadline = time.monotonic() + 10
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return
            assert time.monotonic() < deadline and self.process.poll() is None, (home / "log").read_text()
            time.sleep(0.05)

    def known_host(self, port: int | None = None) -> str:
        public = (self.root / self.name / "host_key.pub").read_text().split()
        return f"[127.0.0.1]:{port or self.port} {public[0]} {public[1]}\n"

    def sessions(self) -> list[int]:
        """The processes of the server that serve connections now."""
        assert self.process is not None
        serving = set(descendants(self.process.pid, depth=2))
        return [pid for pid, command in processes() if pid in serving and command.startswith("sshd")]

    def stop(self) -> None:
        if self.process and self.process.poll() is None:
            for pid in self.sessions():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self.process.kill()
            self.process.wait()

    def agents(self) -> list[int]:
        """The agents and runners on this device, found by its cache directory in their command lines."""
        return [pid for pid, command in processes() if str(self.cache) in command]


def processes() -> list[tuple[int, str]]:
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if (path / "stat").read_text().rpartition(")")[2].split()[0] != "Z":
                found.append(
                    (
                        int(path.name),
                        (path / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace"),
                    )
                )
    return found


def descendants(pid: int, depth: int) -> list[int]:
    try:
        children = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []
    return children + [deeper for child in children if depth > 1 for deeper in descendants(child, depth - 1)]


class Proxy:
    """Forwards a loopback port to another, and spoils it on request: cut, half-open, slow, corrupt."""

    def __init__(self, target: int) -> None:
        self.target = target
        self.mode = "open"  # open, refused, silent (half-open: nothing moves), corrupt (a byte is changed)
        self.delay_s = 0.0
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._server.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """Reset every connection that passes now."""
        for pair in self._pairs:
            for side in pair:
                with contextlib.suppress(OSError):
                    side.shutdown(socket.SHUT_RDWR)
        self._pairs.clear()

    def close(self) -> None:
        self._server.close()
        self.cut()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._server.accept()
            except OSError:
                return
            if self.mode == "refused":
                near.close()
                continue
            try:
                far = socket.create_connection(("127.0.0.1", self.target), 5)
            except OSError:
                near.close()
                continue
            self._pairs.append((near, far))
            for source, sink in ((near, far), (far, near)):
                threading.Thread(target=self._pump, args=(source, sink), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                if self.delay_s:
                    time.sleep(self.delay_s)
                while self.mode == "silent":
                    time.sleep(0.05)
                if self.mode == "corrupt":
                    data = data[:-1] + bytes([data[-1] ^ 0xFF])
                    self.mode = "open"
                sink.sendall(data)
        for side in (source, sink):
            with contextlib.suppress(OSError):
                side.shutdown(socket.SHUT_RDWR)
