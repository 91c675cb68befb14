"""Devices over real SSH: getting in, being refused, and losing the link in every way."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest

from harness.errors import DeviceError
from harness.fleet import session as session_module
from harness.fleet.devices import Device
from harness.fleet.reach import reach
from harness.fleet.session import Session
from harness.fleet.ssh import Address, SshTransport
from harness.fleet.transport import LinkLost, Unreachable
from tests.cluster import HAVE_SSHD, WHY_NOT, Proxy, Server, make_key
from tests.devices import job_spec, member, push, run
from tests.fleet.test_agent import alive, wait_for
from tests.fleet.test_openssh import SERVERS

pytestmark = pytest.mark.skipif(not HAVE_SSHD, reason=WHY_NOT)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    made = Server(tmp_path, "one", make_key(tmp_path / "key"))
    made.start()
    (tmp_path / "known_hosts").write_text(made.known_host())
    yield made
    made.stop()
    for pid in made.agents():
        os.kill(pid, signal.SIGKILL)


def address(server: Server, port: int | None = None, **changes: str) -> Address:
    known = str(server.root / "known_hosts")
    fields = {"key": str(server.key), "known_hosts": known} | changes
    return Address("127.0.0.1", port or server.port, **fields)


def connect(server: Server, port: int | None = None, controller: str = "tests", **options) -> Session:
    transport = SshTransport(address(server, port), str(server.cache), sys.executable, controller)
    return Session(transport, "one", **options)


def test_a_job_runs_over_ssh_and_leaves_nothing_behind(server: Server) -> None:
    agent = connect(server)
    [found] = run(agent, member("w", {"sleep_s": 0.02})).members
    assert (found.status, found.executions_asked) == ("ok", 5)
    agent.close()
    wait_for(lambda: not server.agents())


def test_a_device_is_reached_by_what_devices_yaml_says(server: Server) -> None:
    device = Device(
        transport="ssh", name="one", host="127.0.0.1", port=server.port, key=str(server.key), python=sys.executable,
        known_hosts=str(server.root / "known_hosts"), cache=str(server.cache), engines=["wasmtime-j"],
    )  # fmt: skip
    reached = reach(device, print)
    reached.session.close()
    assert list(reached.versions) == ["wasmtime-j"]
    assert abs(float(reached.facts["clock_skew_s"])) < 1


def test_ssh_config_gives_what_the_device_does_not(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".ssh").mkdir()
    (tmp_path / ".ssh" / "config").write_text(
        f"Host lab-one\n  HostName 127.0.0.1\n  Port {server.port}\n  IdentityFile {server.key}\n"
    )
    (tmp_path / ".ssh" / "known_hosts").write_text(server.known_host())
    agent = Session(SshTransport(Address("lab-one"), "~/there", sys.executable, "tests"), "lab-one")
    agent.close()


def test_a_jump_host_is_passed_through(server: Server, tmp_path: Path) -> None:
    behind = Server(tmp_path, "behind", server.key)
    behind.start()
    try:
        known = server.root / "known_hosts"
        known.write_text(server.known_host() + behind.known_host())
        where = address(server, behind.port, jump=f"127.0.0.1:{server.port}")
        agent = Session(SshTransport(where, str(behind.cache), sys.executable, "tests"), "behind")
        assert agent.facts()["cores"] == os.cpu_count()
        agent.close()
    finally:
        behind.stop()


def test_an_unknown_host_is_refused_with_the_command_that_adds_it(server: Server) -> None:
    (server.root / "known_hosts").write_text("")
    with pytest.raises(Unreachable, match=rf"ssh-keyscan -p {server.port} 127.0.0.1 >> "):
        connect(server)


def test_a_changed_host_key_is_refused(server: Server, tmp_path: Path) -> None:
    other = make_key(tmp_path / "other")
    kind, public, *_ = other.with_suffix(".pub").read_text().split()
    (server.root / "known_hosts").write_text(f"[127.0.0.1]:{server.port} {kind} {public}\n")
    with pytest.raises(Unreachable, match="shows another host key"):
        connect(server)


def test_a_key_that_is_not_let_in_says_how_to_add_one(server: Server, tmp_path: Path) -> None:
    stranger = make_key(tmp_path / "stranger")
    with pytest.raises(Unreachable, match="ssh-copy-id -p"):
        SshTransport(address(server, key=str(stranger)), str(server.cache), sys.executable, "tests")


def test_nobody_listening_and_no_such_host_are_told_apart(server: Server) -> None:
    server.stop()
    with pytest.raises(LinkLost, match="nothing answers at"):
        connect(server)
    with pytest.raises(Unreachable, match="no address for no-such-host"):
        SshTransport(Address("no-such-host.invalid"), "~/x", "python3", "tests")


def test_a_cache_that_cannot_be_written_is_named(server: Server) -> None:
    with pytest.raises(Unreachable, match=r"cannot write to /proc/harness there .*`cache:`"):
        SshTransport(address(server), "/proc/harness", sys.executable, "tests")


def test_a_python_that_is_not_there_is_told_by_the_shells_words(server: Server) -> None:
    with pytest.raises(
        Unreachable, match=r"no-such-python does not run there \(.*no-such-python.*\); install Python"
    ):
        Session(SshTransport(address(server), str(server.cache), "no-such-python", "tests"), "one")


@pytest.mark.parametrize("kind", ["no file transfer", "one session", "a noisy shell"])
def test_servers_without_file_transfer_or_a_second_session_are_no_obstacle(kind: str, tmp_path: Path) -> None:
    odd = Server(tmp_path, "odd", make_key(tmp_path / "key"), extra=SERVERS[kind])
    odd.start()
    try:
        (tmp_path / "known_hosts").write_text(odd.known_host())
        agent = connect(odd)
        assert agent.facts()["cores"] == os.cpu_count()
        agent.close()
    finally:
        odd.stop()


def test_lines_of_known_hosts_that_are_odd_spoil_no_other_and_a_revoked_key_is_nobodys(
    server: Server,
) -> None:
    known, line = server.root / "known_hosts", server.known_host()
    known.write_text(f"@cert-authority *.lab ssh-ed25519 AAAA\nmangled ssh-ed25519 !!\n{line}")
    connect(server).close()
    known.write_text(f"@revoked * {line.partition(' ')[2]}{line}")
    with pytest.raises(
        Unreachable, match=r"marked as revoked; it is not trusted: ssh-ed25519 SHA256:.* in "
    ) as told:
        connect(server)
    assert "ssh-keyscan" not in str(told.value)  # which would add it anew


@pytest.mark.parametrize("client", [None, "paramiko"])
def test_a_key_that_is_not_there_is_told_as_such(server: Server, client: Literal["paramiko"] | None) -> None:
    device = Device(
        transport="ssh", name="one", host="127.0.0.1", port=server.port, key=f"{server.key}-gone", client=client,
        known_hosts=str(server.root / "known_hosts"),
    )  # fmt: skip
    with pytest.raises(Unreachable, match=r"there is no key .*-gone here; correct `key:`"):
        device.connect("tests")


def test_what_is_not_followed_of_the_configuration_is_named_where_it_matters(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".ssh").mkdir()
    (tmp_path / ".ssh" / "config").write_text(
        f"Include more\nHost lab-one\n  HostName 127.0.0.1\n  Port {server.port}\n  HostKeyAlias lab\n"
    )
    (tmp_path / ".ssh" / "known_hosts").write_text("")
    with pytest.raises(
        Unreachable, match=r"paramiko does not follow HostKeyAlias, Include: OpenSSH's client does"
    ):
        SshTransport(Address("lab-one"), "~/there", sys.executable, "tests")
    (tmp_path / ".ssh" / "config").write_text("Host *\n  CanonicalizeHostname yes\n")
    with pytest.raises(
        Unreachable, match=r"paramiko does not read ~/.ssh/config .*; install OpenSSH's client"
    ):
        SshTransport(Address("lab-one"), "~/there", sys.executable, "tests")


def test_what_reaches_the_remote_shell_is_quoted(server: Server, tmp_path: Path) -> None:
    trap = f"{tmp_path}/cache; touch {tmp_path}/escaped; '$(touch {tmp_path}/escaped)"
    agent = Session(SshTransport(address(server), trap, sys.executable, "c'; touch escaped; '"), "one")
    agent.close()
    assert not (tmp_path / "escaped").exists()
    assert Path(trap).is_dir()


def test_a_cut_link_is_noticed_and_the_job_is_handed_over_once(server: Server) -> None:
    proxy = Proxy(server.port)
    (server.root / "known_hosts").write_text(server.known_host(proxy.port) + server.known_host())
    agent = connect(server, proxy.port)
    spec, module = member("w", {"sleep_s": 0.2})
    push(agent, module)
    threading.Timer(0.5, proxy.cut).start()
    with pytest.raises(LinkLost, match="link was lost"):
        agent.run("mine", job_spec(spec, least=4), 60)
    again = connect(server)
    assert [found.job for found in again.spooled("mine")] == ["job1"]
    again.ack("mine", "job1")
    assert again.spooled("mine") == []
    again.close()


def test_a_half_open_link_is_noticed_by_both_ends(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session_module, "PING_EVERY_S", 0.3)
    monkeypatch.setattr(session_module, "SILENT_S", 1.5)
    proxy = Proxy(server.port)
    (server.root / "known_hosts").write_text(server.known_host(proxy.port) + server.known_host())
    agent = connect(server, proxy.port)
    spec, module = member("w", {"sleep_s": 0.1})
    push(agent, module)
    threading.Timer(0.6, setattr, (proxy, "mode", "silent")).start()
    with pytest.raises(LinkLost, match="has not been heard for"):
        agent.run("mine", job_spec(spec, least=40, limit_ns=5 * 10**9), 60)
    again = connect(server)  # the same controller: the first agent makes room once its job is done
    assert [found.job for found in again.spooled("mine")] == ["job1"]
    again.close()


def test_another_controller_is_told_who_holds_the_device(server: Server) -> None:
    first = connect(server, controller="ada@lab/1")
    with pytest.raises(DeviceError, match=r"it is held by ada@lab/1 \(agent \d+\); waited 1 s"):
        connect(server, controller="bob@lab/2", wait_s=1)
    first.close()
    connect(server, controller="bob@lab/2", wait_s=10).close()


def test_a_killed_server_session_leaves_no_process(server: Server) -> None:
    agent = connect(server)
    spec, module = member("w", {"sleep_s": 0.2})
    push(agent, module)
    threading.Timer(0.5, lambda: [os.kill(pid, signal.SIGKILL) for pid in server.sessions()]).start()
    with pytest.raises(LinkLost):
        agent.run("mine", job_spec(spec, least=3), 60)
    wait_for(lambda: not server.agents())
    again = connect(server)
    assert len(again.spooled("mine")) == 1
    again.close()


def test_a_long_job_outlives_the_silence_limit_because_it_is_pinged(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session_module, "PING_EVERY_S", 0.3)
    monkeypatch.setattr(session_module, "SILENT_S", 1.0)
    agent = connect(server)
    [found] = run(agent, member("w", {"sleep_s": 0.5}), least=5, limit_ns=5 * 10**9).members
    assert found.executions == 5
    agent.close()


def test_what_a_login_shell_prints_first_is_passed_over(server: Server, tmp_path: Path) -> None:
    noisy = tmp_path / "noisy-python"
    noisy.write_text(
        f"#!/bin/sh\necho 'Welcome to the lab!'\necho '{{not json'\nexec {sys.executable} \"$@\"\n"
    )
    noisy.chmod(0o755)
    agent = Session(SshTransport(address(server), str(server.cache), str(noisy), "tests"), "one")
    assert agent.facts()["cores"] == os.cpu_count()
    agent.close()


def test_an_agent_whose_controller_falls_silent_ends_by_itself(tmp_path: Path) -> None:
    """Without any end of file: the silence limit alone, shortened for the test."""
    import harness.fleet.agent

    source = (
        Path(harness.fleet.agent.__file__)
        .read_text()
        .replace("SILENCE_NS = 60 * 10**9", "SILENCE_NS = 1 * 10**9")
    )
    (tmp_path / "agent.py").write_text(source)
    agent = subprocess.Popen(
        [sys.executable, str(tmp_path / "agent.py"), "--root", str(tmp_path / "r")],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    started = time.monotonic()
    agent.wait(10)
    assert time.monotonic() - started > 0.9
    assert not alive(agent.pid)


def test_setup_gives_a_device_the_engines_it_lacks(server: Server, tmp_path: Path, harness) -> None:
    """A device whose Python has nothing: no pip, no packages. The controller brings the wheels."""
    bare = tmp_path / "bare"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(bare)], check=True)
    (tmp_path / "devices.yaml").write_text(
        f"devices:\n  one: {{transport: ssh, host: 127.0.0.1, port: {server.port}, key: {server.key}, known_hosts: "
        f"{server.root / 'known_hosts'}, cache: {server.cache}, python: {bare / 'bin' / 'python'}, "
        "engines: [wasmtime-j, wasmtime-p]}\n"
    )
    [before] = json.loads(harness("devices", "--devices-file", tmp_path / "devices.yaml", "--json").out)
    assert before["engines"] == {}
    assert "pip install wasmtime" in before["absent"]["wasmtime-j"]
    ran = harness("devices", "--devices-file", tmp_path / "devices.yaml", "--setup", "--json")
    assert ran.code == 0, ran.err
    [after] = json.loads(ran.out)
    assert list(after["engines"]) == ["wasmtime-j", "wasmtime-p"]
    assert "pushing" in ran.err


def test_a_device_that_cannot_be_reached_is_a_row_with_what_to_do(
    server: Server, tmp_path: Path, harness
) -> None:
    (tmp_path / "devices.yaml").write_text(
        f"devices:\n  here: {{transport: local, cache: {tmp_path / 'here'}}}\n"
        f"  there: {{transport: ssh, host: 127.0.0.1, port: {server.port}, known_hosts: {tmp_path / 'empty'}}}\n"
    )
    ran = harness("devices", "--devices-file", tmp_path / "devices.yaml", "--json")
    here, there = json.loads(ran.out)
    assert ran.code == 1
    assert here["problem"] == ""
    assert here["facts"]["cores"] == os.cpu_count()
    assert "ssh-keyscan" in there["problem"]
