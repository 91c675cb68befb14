"""What is said where ssh does not get in, by whichever client: the reason, and the next command to type."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import itertools
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from harness.fleet.transport import LinkLost, Unreachable
from harness.processes import run_to_end

NOWHERE = {"/dev/null", "none"}  # a file of known hosts that keeps nothing


def place_of(host: str, port: int | str) -> str:
    """A host and port as known_hosts has them."""
    return host if str(port) == "22" else f"[{host}]:{port}"


def unknown(
    host: str, port: int | str, known: str, shown: str, *, alias: str = "", loose: str = ""
) -> Unreachable:
    """A host whose key is in no file of known hosts; it has ``shown`` one.

    ``alias`` is the name its key is looked up by, ``loose`` what the configuration says of host keys that nobody
    checked, which is not followed.
    """
    scan = f"ssh-keyscan -p {port} {host}" + (f" | sed 's/^[^ ]*/{alias}/'" if alias else "")
    name = f"{place_of(host, port)}{f' ({alias})' if alias else ''}"
    elsewhere = ", and name that file with `known_hosts:`" if known in NOWHERE else ""
    where = "~/.ssh/known_hosts" if known in NOWHERE else known
    not_followed = f" (StrictHostKeyChecking {loose} is not followed)" if loose else ""
    return Unreachable(
        f"{name} is not in {known}{not_followed}{f'; it shows {shown}' if shown else ''}; compare its fingerprint, "
        f"then add it with: {scan} >> {_file(where)}{elsewhere}"
    )


def changed(name: str, shown: str, known: str, kept: str) -> Unreachable:
    """Another host key than the one that is known: both fingerprints, where they can be told."""
    return Unreachable(
        f"{name} shows another host key ({shown or 'which it does not tell'}) than {known} has for it"
        f"{f' ({kept})' if kept else ''}: somebody may be in between. If the machine was really set up anew, forget "
        f"the old key with: ssh-keygen -R '{name}' -f {_file(known)}"
    )


def revoked(place: str, told: str) -> Unreachable:
    """A host key that somebody has revoked, whatever else stands in the files of known hosts."""
    return Unreachable(f"{place} shows a host key that is marked as revoked; it is not trusted: {told}")


def not_let_in(user: str, host: str, port: int | str, keys: Sequence[str], last: str = "") -> Unreachable:
    """The device takes none of our keys, perhaps because the one it would take needs a passphrase."""
    who = f"{user}@{host}"
    if locked := locked_keys(keys):
        return Unreachable(
            f"it refuses to let in {who}, and the key {locked[0]} has a passphrase that no agent holds; add it with: "
            f"ssh-add {_file(locked[0])}"
        )
    return Unreachable(
        f"it refuses to let in {who}{f' ({last})' if last else ''}; add your key there with: "
        f"ssh-copy-id -p {port} {who}"
    )


def too_many_keys(user: str, host: str) -> Unreachable:
    return Unreachable(
        f"{host} ended the connection while keys of {user} were tried, perhaps because it lets few be tried; name the "
        "right one with `key:`"
    )


def no_address(host: str) -> Unreachable:
    return Unreachable(f"no address for {host}; correct `host:` or ~/.ssh/config")


def nobody_there(host: str, port: int | str) -> LinkLost:
    return LinkLost(f"nothing answers at {host} port {port}")


def silent(place: str, within_s: float) -> LinkLost:
    return LinkLost(f"{place} did not answer within {within_s:g} s")


def fingerprint(kind: str, key: bytes) -> str:
    """Of a public key, as ``ssh-keygen -l`` tells it, behind its type."""
    return f"{kind} SHA256:{base64.b64encode(hashlib.sha256(key).digest()).decode().rstrip('=')}"


def fingerprint_in(path: str, number: int) -> str:
    """Of the key in a line of a file of known hosts, counted from 1; empty where there is none."""
    with contextlib.suppress(OSError, IndexError):
        return _fingerprint(Path(path).read_text(errors="replace", encoding="utf-8").split("\n")[number - 1])
    return ""


def fingerprint_of(host: str, port: str, kind: str = "") -> str:
    """What a host shows now, of a type of key or of any; empty where it cannot be asked directly."""
    scan = shutil.which("ssh-keyscan")
    if not scan:
        return ""
    with contextlib.suppress(OSError, subprocess.TimeoutExpired):
        asked = [scan, "-T", "5", "-p", port, "-t", kind.lower() or "ed25519,ecdsa,rsa", "--", host]
        done = run_to_end(asked, within_s=10)
        return next((told for line in done.stdout.splitlines() if (told := _fingerprint(line))), "")
    return ""


def _fingerprint(line: str) -> str:
    """Of a line of known_hosts or of ssh-keyscan: its key's type and SHA-256; empty where it has none."""
    for kind, key in itertools.pairwise(line.split()):
        if kind.startswith(("ssh-", "ecdsa-", "sk-")):
            with contextlib.suppress(ValueError):
                return fingerprint(kind, base64.b64decode(key))
    return ""


def locked_keys(paths: Sequence[str]) -> list[str]:
    """Those private keys that are there and need a passphrase."""
    locked = []
    for path in map(os.path.expanduser, paths):
        with contextlib.suppress(OSError, ValueError):
            text = Path(path).read_text(errors="replace", encoding="utf-8")[: 1 << 16]
            body = "".join(line for line in text.splitlines() if not line.startswith("-"))
            if "ENCRYPTED" in text or (
                "OPENSSH PRIVATE KEY" in text and b"\0\0\0\x04none" not in base64.b64decode(body)[:64]
            ):
                locked.append(path)
    return locked


def _file(path: str) -> str:
    """A path as a word for a shell, in which a leading ``~`` still means the home directory."""
    return path if re.fullmatch(r"~?[\w@%+=:,./-]*", path) else shlex.quote(path)
