"""Where a device is and how to get in, and what paramiko's reader finds of that in ~/.ssh/config."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import paramiko

from harness.errors import why
from harness.fleet.transport import Unreachable, user

# Of both ways to connect.
CONNECT_S = 15
KEEPALIVE_S = 5
MOST_HOPS = 8  # jump hosts on the way; more lead in a circle
# Keywords of ssh_config that `Address.resolved` does not follow, and that decide whether a device is reached.
IGNORED = {word.lower(): word for word in (
    "Include", "ProxyCommand", "UserKnownHostsFile", "GlobalKnownHostsFile", "HostKeyAlias", "IdentityAgent",
    "CertificateFile", "CanonicalizeHostname", "HostKeyAlgorithms", "KexAlgorithms", "Ciphers",
)}  # fmt: skip


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
        """hostname, port, user, keys that are there, and jump hosts after ssh_config. Raises Unreachable."""
        said, found = self._said(), self._configured()
        keys = [os.path.expanduser(os.path.expandvars(key)) for key in found.get("identityfile", [])]
        return {
            "hostname": found.get("hostname", said.host),
            "port": self.port or said.port or int(found.get("port", 22)),
            "user": self.user or said.user or found.get("user") or user(),
            "keys": [os.path.expanduser(self.key)]
            if self.key
            else [key for key in keys if Path(key).is_file()],
            "jumps": hops(self.jump or found.get("proxyjump") or "", self),
        }

    def _said(self) -> Address:
        """What the host itself says, which may be USER@HOST or ssh://USER@HOST:PORT."""
        if self.host.startswith("ssh://"):
            return hops(self.host, self)[0]
        user, _, host = self.host.rpartition("@")
        return replace(self, host=host, user=user or None, port=None)

    def _configured(self) -> dict[str, Any]:
        """What ssh_config says of the host, as far as paramiko reads it. Raises Unreachable."""
        path = Path("~/.ssh/config").expanduser()
        if not path.exists():
            return {}
        try:
            found = dict(paramiko.SSHConfig.from_path(str(path)).lookup(self._said().host))
        except (paramiko.SSHException, KeyError, ValueError, OSError) as error:
            raise Unreachable(
                f"paramiko does not read ~/.ssh/config ({why(error, path)}); install OpenSSH's client, or "
                "give the device its `host:`, `port:`, `user:` and `key:`"
            ) from error
        if "revokedhostkeys" in found:
            raise Unreachable(
                "~/.ssh/config names RevokedHostKeys, which paramiko does not follow; install OpenSSH's client"
            )
        return found

    def ignored(self) -> list[str]:
        """The keywords in ssh_config that decide how the host is reached and are not followed here."""
        path = Path("~/.ssh/config").expanduser()
        words = {key for key in self._configured() if key in IGNORED}
        if path.exists() and re.search(
            r"^\s*Include\b", path.read_text(errors="replace", encoding="utf-8"), re.I | re.M
        ):
            words.add("include")
        return sorted(IGNORED[word] for word in words)


def hops(jump: str, behind: Address) -> list[Address]:
    """The hosts of ``[ssh://][USER@]HOST[:PORT]``, any number with commas between; none for nothing or ``none``.

    They are entered as what is ``behind`` them says of keys and known hosts. Raises Unreachable.
    """
    found = []
    for one in jump.split(",") if jump and jump != "none" else []:
        user, _, place = one.strip().removeprefix("ssh://").rstrip("/").rpartition("@")
        parts = re.fullmatch(r"\[([^\]]+)\](?::(\d+))?|([^:]+)(?::(\d+))?", place)
        if not parts or place.startswith("-"):
            raise Unreachable(f"{one!r} is not a jump host; write [USER@]HOST[:PORT]")
        port = int(parts[2] or parts[4] or 0) or None
        found.append(Address(parts[1] or parts[3], port, user or None, behind.key, behind.known_hosts))
    return found
