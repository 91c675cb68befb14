"""Devices are reached as `ssh` reaches them: each case is a server or a configuration that people have."""

from __future__ import annotations

import base64
import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from harness.errors import DeviceError
from harness.fleet import boot
from harness.fleet.address import Address, hops
from harness.fleet.channel import Lines
from harness.fleet.devices import Device
from harness.fleet.openssh import OpenSshTransport
from harness.fleet.reach import reach
from harness.fleet.session import Session
from harness.fleet.ssh import SshTransport
from harness.fleet.transport import LinkLost, Unreachable
from tests.cluster import HAVE_SSHD, WHY_NOT, Server, free_port, make_key

SSH = shutil.which("ssh") or ""
pytestmark = pytest.mark.skipif(not (HAVE_SSHD and SSH), reason=WHY_NOT)
ME = subprocess.run(["id", "-un"], capture_output=True, text=True).stdout.strip()


class Lab:
    """A home directory with keys, known hosts and a configuration, and servers to reach from it."""

    def __init__(self, root: Path) -> None:
        self.root, self.home = root, root / "home"
        (self.home / ".ssh").mkdir(parents=True, mode=0o700)
        self.key = make_key(self.home / ".ssh" / "id_ed25519")
        self.servers: dict[str, Server] = {}

    def server(self, name: str, extra: str = "") -> Server:
        if name not in self.servers:
            port = free_port()
            extra = extra.replace("PORT", str(port))
            self.servers[name] = Server(self.root, name, self.key, port=port, extra=extra)
            self.servers[name].start()
        return self.servers[name]

    def write(self, config: str, known: str) -> None:
        (self.home / ".ssh" / "config").write_text(config)
        (self.home / ".ssh" / "known_hosts").write_text(known)

    def reach(self, server: Server, host: str = "lab", python: str = sys.executable, **fields: object) -> str:
        """The processor type that the agent behind this address tells."""
        address = Address(host, **fields)  # type: ignore[arg-type]
        agent = Session(OpenSshTransport(SSH, address, str(server.cache), python, "tests"), host)
        try:
            return str(agent.facts()["machine"])
        finally:
            agent.close()

    def entry(self, server: Server, more: str = "") -> str:
        """A Host block for the server; the user and the key stand in it."""
        return (
            f"Host lab\n  HostName 127.0.0.1\n  Port {server.port}\n  User {ME}\n  IdentityFile {self.key}\n"
            f"  UserKnownHostsFile {self.home}/.ssh/known_hosts\n{more}"
        )


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    made = Lab(tmp_path_factory.mktemp("lab"))
    yield made
    for server in made.servers.values():
        server.stop()


@pytest.fixture
def lab(shared: Lab, monkeypatch: pytest.MonkeyPatch) -> Lab:
    monkeypatch.setenv("HOME", str(shared.home))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    return shared


RELAY = "import os,socket,sys,threading\ns=socket.create_connection(('127.0.0.1',int(sys.argv[1])))\n" + (
    "def up():\n    while d:=os.read(0,65536): s.sendall(d)\n    s.shutdown(1)\n"
    "threading.Thread(target=up,daemon=True).start()\nwhile d:=s.recv(65536): os.write(1,d)\n"
)
# What a configuration says beside the block of `Lab.entry`; {port}, {home}, {relay} and {key} are filled in.
CONFIGURATIONS = {
    "nothing more": "",
    "a proxy command": "  ProxyCommand {python} {relay} {port}\n",
    "strict checking off": "  StrictHostKeyChecking no\n",
    "canonical names": "  CanonicalizeHostname yes\n  CanonicalDomains invalid\n",
    "a missing key before the right one": "  IdentityFile {home}/.ssh/absent\n",
    "a shared connection": "  ControlMaster auto\n  ControlPath {home}/.ssh/%C\n  ControlPersist 60\n",
    "a terminal is asked for": "  RequestTTY force\n",
    "a remote command": "  RemoteCommand echo no\n",
    "ports are forwarded": "  LocalForward {free} localhost:1\n",
    "a match": "Match host 127.0.0.1\n  ServerAliveInterval 60\n",
    "what would spoil the channel": "  ForkAfterAuthentication yes\n  StdinNull yes\n  SessionType none\n"
    "  LogLevel QUIET\n  VisualHostKey yes\n  IgnoreUnknown UseKeychain\n  UseKeychain yes\n",
    "a key named by a variable": "  IdentityFile ${{HOME}}/.ssh/absent\n",
}


@pytest.mark.parametrize("more", CONFIGURATIONS, ids=str)
def test_what_the_configuration_says_is_followed(more: str, lab: Lab) -> None:
    server = lab.server("plain")
    (lab.root / "relay.py").write_text(RELAY)
    filled = CONFIGURATIONS[more].format(
        port=server.port, home=lab.home, relay=lab.root / "relay.py", python=sys.executable, free=free_port()
    )
    lab.write(lab.entry(server, filled), server.known_host())
    assert lab.reach(server) == os.uname().machine


def test_files_that_are_included_are_read(lab: Lab) -> None:
    server = lab.server("plain")
    (lab.root / "more.conf").write_text(lab.entry(server))
    lab.write(f"Include {lab.root}/more.conf\n", server.known_host())
    assert lab.reach(server)


def test_a_host_key_is_looked_up_under_its_alias(lab: Lab) -> None:
    server = lab.server("plain")
    known = server.known_host().split(" ", 1)[1]
    lab.write(lab.entry(server, "  HostKeyAlias the-one\n"), f"the-one {known}")
    assert lab.reach(server)


@pytest.mark.parametrize(
    "jump",
    [
        "{user}@127.0.0.1:{port}", "ssh://{user}@127.0.0.1:{port}", "{user}@[::1]:{port}", "first,second", "first",
        "around",
    ],
)  # fmt: skip
@pytest.mark.parametrize("said_in", ["config", "devices.yaml"])
def test_jump_hosts_are_passed_through(jump: str, said_in: str, lab: Lab) -> None:
    behind, first = lab.server("plain"), lab.server("first", IPV6)
    filled = jump.format(user=ME, port=first.port)
    hops = "".join(
        lab.entry(first).replace("Host lab", f"Host {name}").replace("\n  Host", "\n  Host")
        for name in ("first", "second")
    )
    # `around` is behind `first`, as only its own entry says; open files are no use to our proxy commands.
    hops += lab.entry(first, "  ProxyJump first\n").replace("Host lab", "Host around")
    inside = f"  ProxyJump {filled}\n" if said_in == "config" else ""
    known = first.known_host() + first.known_host().replace("127.0.0.1", "::1")
    lab.write(lab.entry(behind, f"{inside}  ProxyUseFdpass yes\n") + hops, behind.known_host() + known)
    given = {} if said_in == "config" else {"jump": filled}
    assert lab.reach(behind, **given)


@pytest.mark.parametrize("jump", ["first", "around"])
def test_an_unknown_jump_host_is_refused_whatever_the_configuration_says(jump: str, lab: Lab) -> None:
    behind, first, second = lab.server("plain"), lab.server("first", IPV6), lab.server("no-file-transfer")
    hop = lab.entry(first, "  StrictHostKeyChecking no\n").replace("Host lab", "Host first")
    hop += lab.entry(second, "  ProxyJump first\n").replace("Host lab", "Host around")
    lab.write(lab.entry(behind, f"  ProxyJump {jump}\n") + hop, behind.known_host() + second.known_host())
    with pytest.raises(Unreachable) as told:
        lab.reach(behind)
    assert str(told.value) == (
        f"the host key of [127.0.0.1]:{first.port}, a host on the way there, is not in {lab.home}/.ssh/known_hosts; "
        "connect once by hand with: ssh lab"
    )


def test_a_way_that_leads_in_a_circle_is_refused(lab: Lab) -> None:
    server = lab.server("plain")
    circle = lab.entry(server, "  ProxyJump second\n").replace("Host lab", "Host first")
    circle += lab.entry(server, "  ProxyJump first\n").replace("Host lab", "Host second")
    lab.write(lab.entry(server, "  ProxyJump first\n") + circle, server.known_host())
    with pytest.raises(Unreachable, match="has more than 8 jump hosts, or leads in a circle"):
        lab.reach(server)


@pytest.mark.parametrize(
    ("more", "place"),
    [
        ("", "127.0.0.1:{port}"), ("  ProxyJump a,b\n", "10.0.0.1:7"), ("  ProxyJump c\n", "10.0.0.1:7"),
        ("  ProxyCommand ssh -W %h:%p a\n", "ssh -W %h:%p a"),
    ],
)  # fmt: skip
def test_connections_are_counted_at_the_server_that_is_met_first(
    more: str, place: str, lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = lab.server("plain")
    lab.write(
        lab.entry(server, more) + "Host a\n  HostName 10.0.0.1\n  Port 7\nHost c\n  ProxyJump a\n",
        server.known_host(),
    )
    places = []

    def counted(found: str) -> None:
        places.append(found)
        raise Unreachable("seen")

    monkeypatch.setattr("harness.fleet.openssh.gate", counted)
    with pytest.raises(Unreachable, match="seen"):
        lab.reach(server)
    assert places == [place.format(port=server.port)]


@pytest.mark.parametrize(
    ("jump", "found"),
    [
        ("none", []), ("", []), ("a", [("a", None, None)]), ("u@a:22,b", [("a", 22, "u"), ("b", None, None)]),
        ("ssh://u@[::1]:2311", [("::1", 2311, "u")]), ("[fe80::1]", [("fe80::1", None, None)]),
    ],
)  # fmt: skip
def test_jump_hosts_are_read_as_ssh_writes_them(
    jump: str, found: list[tuple[str, int | None, str | None]]
) -> None:
    behind = Address("x", key="k", known_hosts="f")
    assert hops(jump, behind) == [Address(host, port, user, "k", "f") for host, port, user in found]
    for wrong in ("-oProxyCommand=touch x", "a:b", "u@", "a,,b", "[::1"):
        with pytest.raises(Unreachable, match="is not a jump host"):
            hops(wrong, behind)


@pytest.mark.parametrize("host", ["{user}@127.0.0.1", "ssh://{user}@127.0.0.1:{port}"])
@pytest.mark.parametrize("client", ["openssh", "paramiko"])
def test_a_host_may_say_user_and_port_itself(host: str, client: str, lab: Lab) -> None:
    server = lab.server("plain")
    lab.write("", server.known_host())
    port = None if "port" in host else server.port
    where = Address(host.format(user=ME, port=server.port), port, key=str(lab.key))
    if client == "paramiko":
        assert where.resolved() | {"keys": 0} == {
            "hostname": "127.0.0.1", "port": server.port, "user": ME, "keys": 0, "jumps": [],
        }  # fmt: skip
    else:
        assert lab.reach(server, where.host, port=port, key=str(lab.key))


def test_paramiko_passes_through_jump_hosts_that_have_their_own(lab: Lab) -> None:
    behind, first = lab.server("plain"), lab.server("first", IPV6)
    missing = f"  IdentityFile {lab.home}/absent\n  IdentityFile ${{HOME}}/absent\n"
    hop = lab.entry(first).replace("Host lab", "Host first")
    around = lab.entry(first, "  ProxyJump first\n").replace("Host lab", "Host around")
    lab.write(
        lab.entry(behind, "  ProxyJump around\n" + missing) + hop + around,
        behind.known_host() + first.known_host(),
    )
    Session(SshTransport(Address("lab"), str(behind.cache), sys.executable, "tests"), "lab").close()
    lab.write(lab.entry(behind, "  RevokedHostKeys /dev/null\n"), behind.known_host())
    with pytest.raises(Unreachable, match="names RevokedHostKeys, which paramiko does not follow; install"):
        SshTransport(Address("lab"), str(behind.cache), sys.executable, "tests")


@pytest.mark.parametrize("how", ["agent", "public key and agent", "missing file and agent"])
def test_keys_that_an_agent_holds_are_used(how: str, lab: Lab, tmp_path: Path) -> None:
    server = lab.server("plain")
    socket = str(tmp_path / "s")
    agent = subprocess.Popen(["ssh-agent", "-D", "-a", socket], stdout=subprocess.DEVNULL)
    try:
        while not Path(socket).exists():
            assert agent.poll() is None
        env = os.environ | {"SSH_AUTH_SOCK": socket}
        subprocess.run(["ssh-add", "-q", str(lab.key)], env=env, check=True, stderr=subprocess.DEVNULL)
        entry = re.sub(r"  IdentityFile .*\n", "", lab.entry(server, f"  IdentityAgent {socket}\n"))
        if how != "agent":
            named = f"{lab.key}.pub" if "public" in how else f"{lab.home}/absent"
            entry += f"  IdentityFile {named}\n"
        hidden = lab.key.rename(lab.home / "elsewhere")
        try:
            lab.write(entry, server.known_host())
            assert lab.reach(server)
        finally:
            hidden.rename(lab.key)
    finally:
        agent.kill()
        agent.wait()


IPV6 = "ListenAddress [::1]:PORT\n"
SERVERS = {
    "no file transfer": "Subsystem nothing /bin/false\n",
    "one session": "MaxSessions 1\n",
    "a noisy shell": "ForceCommand echo welcome; printf 'prompt> '; eval \"$SSH_ORIGINAL_COMMAND\"\n",
    "a banner": "Banner /etc/passwd\n",
}


@pytest.mark.parametrize("kind", SERVERS)
def test_odd_servers_are_no_obstacle(kind: str, lab: Lab) -> None:
    server = lab.server(kind.replace(" ", "-"), SERVERS[kind])
    lab.write(lab.entry(server), server.known_host())
    assert lab.reach(server)


def test_a_certificate_of_the_host_is_enough_and_a_revoked_key_too_much(lab: Lab) -> None:
    authority = make_key(lab.root / "authority")
    server = Server(lab.root, "certified", lab.key)
    server.start()  # makes its host key
    server.stop()
    host_key = lab.root / "certified" / "host_key"
    command = [
        "ssh-keygen",
        "-q",
        "-s",
        str(authority),
        "-I",
        "x",
        "-h",
        "-n",
        "127.0.0.1",
        f"{host_key}.pub",
    ]
    subprocess.run(command, check=True)
    server = replace(server, extra=f"HostCertificate {host_key}-cert.pub\n", process=None)
    server.start()
    try:
        public = authority.with_suffix(".pub").read_text()
        certified = f"@cert-authority *,[127.0.0.1]:* {public}"
        lab.write(lab.entry(server), certified)
        assert lab.reach(server)
        lab.write(lab.entry(server), f"@revoked * {public}{certified}{server.known_host()}")
        with pytest.raises(Unreachable):
            lab.reach(server)
        plain = server.known_host()
        lab.write(lab.entry(server), "@revoked * " + plain.split(" ", 1)[1] + plain)
        with pytest.raises(Unreachable):
            lab.reach(server)
    finally:
        server.stop()


def test_a_mangled_line_of_known_hosts_spoils_nothing(lab: Lab) -> None:
    server = lab.server("plain")
    lab.write(lab.entry(server), f"other ssh-ed25519 AAAA!!\nnonsense\n{server.known_host()}")
    assert lab.reach(server)


def fingerprint(server: Server) -> str:
    key = server.known_host().split()[2]
    digest = hashlib.sha256(base64.b64decode(key)).digest()
    return f"SHA256:{base64.b64encode(digest).decode().rstrip('=')}"


def unknown(lab: Lab, server: Server) -> str:
    lab.write(lab.entry(server), "")
    return (
        f"[127.0.0.1]:{server.port} is not in {lab.home}/.ssh/known_hosts; it shows ssh-ed25519 "
        f"{fingerprint(server)}; compare its fingerprint, then add it with: "
        f"ssh-keyscan -p {server.port} 127.0.0.1 >> {lab.home}/.ssh/known_hosts"
    )


def by_another_name(lab: Lab, server: Server) -> str:
    lab.write(lab.entry(server, "  HostKeyAlias the-one\n  StrictHostKeyChecking no\n"), server.known_host())
    return (
        f"[127.0.0.1]:{server.port} (the-one) is not in {lab.home}/.ssh/known_hosts (StrictHostKeyChecking no is not "
        f"followed); it shows ssh-ed25519 {fingerprint(server)}; compare its fingerprint, then add it with: "
        f"ssh-keyscan -p {server.port} 127.0.0.1 | sed 's/^[^ ]*/the-one/' >> {lab.home}/.ssh/known_hosts"
    )


def kept_nowhere(lab: Lab, server: Server) -> str:
    lab.write(lab.entry(server).replace(f"{lab.home}/.ssh/known_hosts", "/dev/null"), server.known_host())
    return (
        f"[127.0.0.1]:{server.port} is not in /dev/null; it shows ssh-ed25519 {fingerprint(server)}; compare its "
        f"fingerprint, then add it with: ssh-keyscan -p {server.port} 127.0.0.1 >> ~/.ssh/known_hosts, and name that "
        "file with `known_hosts:`"
    )


def open_to_all(lab: Lab, server: Server) -> str:
    key = Path(shutil.copy(lab.key, lab.root / "open"))
    key.chmod(0o644)
    entry = lab.entry(server).replace(str(lab.key), str(key)) + "  IdentitiesOnly yes\n"
    lab.write(entry, server.known_host())
    return f"ssh does not use the key {key}, since others may read it; mend that with: chmod 600 {key}"


def too_many(lab: Lab, server: Server) -> str:
    few = lab.server("few-tries", "MaxAuthTries 1\n")
    keys = [lab.root / f"other{number}" for number in range(2)]
    entry = lab.entry(few).replace(
        "IdentityFile", f"IdentityFile {keys[0]}\n  IdentityFile {keys[1]}\n  IdentityFile"
    )
    lab.write(entry, few.known_host())
    for key in keys:
        make_key(key)
    return (
        f"127.0.0.1 ended the connection while keys of {ME} were tried, perhaps because it lets few be tried; name the "
        "right one with `key:`"
    )


def gateway_gone(lab: Lab, server: Server) -> str:
    port = free_port()
    lab.write(lab.entry(server, f"  ProxyJump 127.0.0.1:{port}\n"), server.known_host())
    return (
        f"no SSH connection to [127.0.0.1]:{server.port}: ssh: connect to host 127.0.0.1 port {port}: "
        "Connection refused"
    )


def changed(lab: Lab, server: Server) -> str:
    other = lab.server("first", IPV6)
    lab.write(lab.entry(server), other.known_host(server.port))
    return (
        f"[127.0.0.1]:{server.port} shows another host key ({fingerprint(server)}) than "
        f"{lab.home}/.ssh/known_hosts has for it (ssh-ed25519 {fingerprint(other)}): somebody may be in between. "
        "If the machine was really set up anew, forget the old key with: "
        f"ssh-keygen -R '[127.0.0.1]:{server.port}' -f {lab.home}/.ssh/known_hosts"
    )


def locked(lab: Lab, server: Server) -> str:
    key = lab.root / "locked"
    if not key.exists():
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "secret", "-f", str(key)], check=True)
    entry = lab.entry(server).replace(str(lab.key), str(key)) + "  IdentitiesOnly yes\n"
    lab.write(entry, server.known_host())
    return (
        f"it refuses to let in {ME}@127.0.0.1, and the key {key} has a passphrase that no agent holds; "
        f"add it with: ssh-add {key}"
    )


def stranger(lab: Lab, server: Server) -> str:
    key = lab.root / "stranger"
    if not key.exists():
        make_key(key)
    lab.write(
        lab.entry(server).replace(str(lab.key), str(key)) + "  IdentitiesOnly yes\n", server.known_host()
    )
    return (
        f"it refuses to let in {ME}@127.0.0.1 ({ME}@127.0.0.1: Permission denied (publickey).); add your key there "
        f"with: ssh-copy-id -p {server.port} {ME}@127.0.0.1"
    )


def nobody(lab: Lab, server: Server) -> str:
    port = free_port()
    lab.write(lab.entry(server).replace(str(server.port), str(port)), "")
    return f"nothing answers at 127.0.0.1 port {port}"


def no_address(lab: Lab, server: Server) -> str:
    lab.write(lab.entry(server).replace("127.0.0.1", "no-such-host.invalid"), "")
    return "no address for no-such-host.invalid; correct `host:` or ~/.ssh/config"


@pytest.mark.parametrize(
    "case",
    [
        unknown, by_another_name, kept_nowhere, changed, locked, stranger, open_to_all, too_many, nobody, no_address,
        gateway_gone,
    ],
    ids=lambda c: c.__name__,
)  # fmt: skip
def test_what_ssh_refuses_is_told_in_one_sentence(case: Callable[[Lab, Server], str], lab: Lab) -> None:
    server = lab.server("plain")
    sentence = case(lab, server)
    (lab.home / ".ssh" / "id_ed25519").chmod(0o600)
    with pytest.raises((Unreachable, LinkLost)) as error:
        lab.reach(server)
    assert str(error.value) == sentence


def test_a_configuration_that_ssh_does_not_accept_is_told(lab: Lab) -> None:
    server = lab.server("plain")
    lab.write(lab.entry(server) + "  NoSuchKeyword yes\n", server.known_host())
    with pytest.raises(Unreachable, match=r"ssh does not accept its configuration: .*nosuchkeyword"):
        lab.reach(server)


def test_an_account_without_a_shell_is_told(lab: Lab) -> None:
    for shell, told in {
        "/bin/false": "exit code 1 and started nothing; let that account run commands",
        "echo Not available.; exit 3": "exit code 3 and started nothing: Not available.; let that account run commands",
        "true": "exit code 0 and started nothing; look for an `exit` in ~/.bashrc there",
    }.items():
        server = lab.server(re.sub(r"\W", "-", shell), f"ForceCommand {shell}\n")
        lab.write(lab.entry(server), server.known_host())
        with pytest.raises(Unreachable) as error:
            lab.reach(server)
        assert str(error.value) == f"its login shell ended with {told}"


class Asking(Lines):
    """A channel on which a login shell asks something, and nothing else comes."""

    def __init__(self) -> None:
        super().__init__()
        self._buffer += b"proxy password?\n"

    def send_bytes(self, content: bytes) -> None:
        raise AssertionError("nobody answers it")

    def _piece(self, within_s: float) -> bytes | None:
        return None


def test_a_shell_that_waits_for_an_answer_is_told() -> None:
    with pytest.raises(Unreachable) as error:
        boot.start(Asking())
    assert str(error.value) == (
        "nothing started there within 60 s; it said first: 'proxy password?'; perhaps its login shell waits for an "
        "answer: make ~/.bashrc (or that shell's own file) ask for nothing"
    )


def test_pythons_that_do_not_do_are_told(lab: Lab) -> None:
    server = lab.server("plain")
    lab.write(lab.entry(server), server.known_host())
    with pytest.raises(
        Unreachable, match=r"no-such-python does not run there .*name where it is with `python:`"
    ):
        lab.reach(server, python="no-such-python")
    old = lab.root / "old"
    old.write_text("#!/bin/sh\nprintf '\\nharness-boot old 3.6\\n'\n")
    old.chmod(0o755)
    with pytest.raises(Unreachable, match=r"its Python is 3\.6, and 3\.8 or later is needed"):
        lab.reach(server, python=str(old))


def test_a_place_for_the_cache_is_taken_as_a_shell_there_takes_it(lab: Lab) -> None:
    server = lab.server("plain")
    lab.write(lab.entry(server), server.known_host())
    for cache in (
        "~/harness-test-cache",
        f"~{ME}/harness-test-cache",
        "harness-test-cache",
    ):
        transport = OpenSshTransport(SSH, Address("lab"), cache, sys.executable, "tests")
        Session(transport, "lab").close()
    own = Path(os.path.expanduser(f"~{ME}"))
    assert (own / "harness-test-cache" / "store").is_dir()
    shutil.rmtree(own / "harness-test-cache")
    for nowhere, why in {
        "/proc/harness": ".*",
        "$HARNESS_NOWHERE/x": "no such variable",
        "~no-such-user/x": "no home directory for that user",
    }.items():
        with pytest.raises(
            Unreachable, match=rf"cannot write to {re.escape(nowhere)} there \({why}\); name a directory"
        ):
            OpenSshTransport(SSH, Address("lab"), nowhere, sys.executable, "tests")
        if nowhere[0] != "/":
            with pytest.raises(Unreachable, match=f"is no place \\({why}\\)"):
                Device(transport="local", name="here", cache=nowhere).connect("tests")


def test_what_reaches_the_remote_shell_is_quoted(lab: Lab, tmp_path: Path) -> None:
    server = lab.server("plain")
    lab.write(lab.entry(server), server.known_host())
    trap = f"{server.cache}/a b'; touch {tmp_path}/escaped; '"
    Session(OpenSshTransport(SSH, Address("lab"), trap, sys.executable, "c'; touch x; '"), "lab").close()
    assert not (tmp_path / "escaped").exists()
    assert boot.for_shell(["~/my env/python", "~/x"]) == "~/'my env/python' '~/x'"
    with pytest.raises(Unreachable, match="is not the name of a host"):
        OpenSshTransport(SSH, Address("-oProxyCommand=touch x"), "x", "python3", "tests")


def test_a_defect_in_one_device_is_its_reason_and_nobody_elses(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise KeyError("canonicaldomains")

    monkeypatch.setattr(Device, "connect", broken)
    with pytest.raises(
        DeviceError, match=r"a defect of harness \(KeyError: 'canonicaldomains'\); please report it with"
    ) as told:
        reach(Device(transport="local", name="one"), print)
    report = Path(str(told.value).rpartition(" ")[2].rstrip("."))
    assert "Traceback" in report.read_text()
    report.unlink()


def test_any_command_may_lead_to_a_device(tmp_path: Path) -> None:
    """As `docker exec -i NAME` does: words pass as they are, and what is printed first is passed over."""
    wrapper = tmp_path / "exec"
    wrapper.write_text('#!/bin/sh\necho "welcome [1]"\nshift\nexec "$@"\n')
    wrapper.chmod(0o755)
    device = Device(
        transport="command", name="box", command=[str(wrapper), "box"], python=sys.executable,
        cache=str(tmp_path / "cache"), engines=["wasmtime-j"],
    )  # fmt: skip
    reached = reach(device, print)
    assert reached.facts["machine"] == os.uname().machine
    reached.session.close()
    gone = replace_command(device, [str(wrapper), "box", "false"])
    with pytest.raises(
        DeviceError, match="ended with exit code 1 and started no agent; try it by hand with: "
    ):
        reach(gone, print)
    with pytest.raises(DeviceError, match="no-such-program does not run here"):
        reach(replace_command(device, ["no-such-program"]), print)


def replace_command(device: Device, command: list[str]) -> Device:
    import msgspec

    return msgspec.structs.replace(device, command=command)
