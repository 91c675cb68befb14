"""An agent on another machine by the user's own ``ssh``: whatever that reaches is reached, in the same way.

OpenSSH reads its configuration (Include, Match, ProxyCommand, any number of jump hosts, canonical names), keys, agents,
certificates of users and hosts, and revoked keys; nothing of it is read a second time here. The device needs neither
SFTP nor a second session. Where there is no ``ssh`` on this machine, `ssh.py` connects by paramiko.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil

from harness.fleet.address import CONNECT_S, Address, hops
from harness.fleet.boot import command, for_shell, not_started, printed, start
from harness.fleet.channel import Pipe
from harness.fleet.ssh_refusals import (
    changed,
    fingerprint_in,
    fingerprint_of,
    no_address,
    nobody_there,
    not_let_in,
    place_of,
    revoked,
    silent,
    too_many_keys,
    unknown,
)
from harness.fleet.ssh_words import by, through, way
from harness.fleet.transport import LinkLost, Unreachable, gate

FAILED = 255  # what ssh ends with where the connection itself failed
# What ssh says after a proxy command or a jump host has said why.
ECHOES = re.compile(
    r"kex_exchange_identification|banner exchange: Connection to UNKNOWN|Connection closed by UNKNOWN"
)
UNCHECKED = {"no": "no", "off": "no", "false": "no", "accept-new": "accept-new"}  # of StrictHostKeyChecking


def available() -> str | None:
    """The path of ``ssh`` on this machine."""
    return shutil.which("ssh")


class OpenSshTransport(Pipe):
    """Raises Unreachable where the device refuses us or we refuse it, LinkLost where the network fails."""

    def __init__(self, ssh: str, address: Address, cache: str, python: str, controller: str) -> None:
        if address.host.startswith("-"):
            raise Unreachable(f"{address.host!r} is not the name of a host; correct `host:`")
        self._host, self._way = address.host, way(ssh, address)
        words, first = [ssh, "-T"], self._way.first("proxycommand") or self._way.place
        jumps = hops(address.jump or self._way.first("proxyjump"), address)
        if jumps:
            led, first = through(ssh, jumps)
            words += by(led)
        self._proxied = bool(jumps or self._way.first("proxycommand"))
        words += [*self._way.words, "--", address.host, for_shell(command(python, cache, controller))]
        quiet = {k: v for k, v in os.environ.items() if k not in ("SSH_ASKPASS", "DISPLAY")}
        with gate(first):
            super().__init__(words, quiet)
            try:
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

    def _explained(self, code: int | None, python: str, error: LinkLost) -> Exception:
        """The same in words: what can be mended by the user is Unreachable, the rest LinkLost."""
        said, to = self.said(), self._way
        host, port, known = to.first("hostname"), to.first("port"), to.known_hosts
        place, last = place_of(host, port), said.rpartition("\n")[2][:300]
        if code != FAILED:
            if code is None or code < 0:
                return LinkLost(str(error))
            return not_started(code, python, last or printed(error))
        if re.search(r"revoked", said, re.I) and "key" in said:
            return revoked(place, last)
        if "HOST IDENTIFICATION HAS CHANGED" in said:
            return _changed(said, place, known)
        if wrong := re.search(r"Certificate invalid: (.+)", said):
            return Unreachable(
                f"{place} shows a certificate that is not valid for it ({wrong[1].strip()}); have its host key signed "
                "for that name, or add the key itself to known_hosts"
            )
        if "host key is known for" in said or "Host key verification failed" in said:
            return self._unknown(said)
        if open_key := re.search(r"Permissions \d+ for '(.+)' are too open", said):
            return Unreachable(
                f"ssh does not use the key {open_key[1]}, since others may read it; mend that with: "
                f"chmod 600 {shlex.quote(open_key[1])}"
            )
        if "Too many authentication failures" in said:
            return too_many_keys(to.first("user"), host)
        if "Permission denied" in said:
            return not_let_in(to.first("user"), host, port, to.found.get("identityfile", []), last)
        if "Could not resolve hostname" in said:
            missing = re.search(r"Could not resolve hostname (\S+?):", said)
            return no_address(missing[1] if missing else host)
        if "Connection refused" in said and not self._proxied:
            return nobody_there(host, port)
        if "timed out" in said and not self._proxied:
            return silent(place, CONNECT_S)
        lines = [line.strip() for line in said.split("\n")[-6:] if not ECHOES.match(line)]
        return LinkLost(
            f"no SSH connection to {place}: {'; '.join(lines)[:300] or last or 'ssh gave no reason'}"
        )

    def _unknown(self, said: str) -> Unreachable:
        """The sentence about a host whose key is not known: the device, or one on the way to it."""
        to = self._way
        host, port, alias = to.first("hostname"), to.first("port"), to.first("hostkeyalias")
        about = re.search(r"No (\S+) host key is known for (\S+) and", said)
        name = about[2] if about else place_of(host, port)
        if self._proxied:
            which = "" if name in (alias, place_of(host, port)) else ", a host on the way there,"
            return Unreachable(
                f"the host key of {name}{which} is not in {to.known_hosts}; connect once by hand with: "
                f"ssh {shlex.quote(self._host)}"
            )
        shown = fingerprint_of(host, port, about[1] if about else "")
        loose = UNCHECKED.get(to.first("stricthostkeychecking"), "")
        return unknown(host, port, to.known_hosts, shown, alias=alias, loose=loose)


def _changed(said: str, place: str, known: str) -> Unreachable:
    """The sentence about another host key than the one that is known, from what ssh said."""
    shown = re.search(r"SHA256:[\w+/=]+", said)
    where = re.search(r"Offending \S+ key in (.+):(\d+)", said)
    name = re.search(r"Host key for (\S+) has changed", said)
    kept = fingerprint_in(where[1], int(where[2])) if where else ""
    return changed(name[1] if name else place, shown[0] if shown else "", where[1] if where else known, kept)
