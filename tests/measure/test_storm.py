"""Three devices under a seeded storm of faults: every job is there exactly once, and nothing is left."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from harness.dataset.store import Dataset
from tests.cluster import HAVE_SSHD, WHY_NOT, Proxy, Server, make_key, processes
from tests.conftest import ROOT
from tests.fleet.test_agent import wait_for
from tests.measure.storm import make_storm_plan

pytestmark = pytest.mark.skipif(not HAVE_SSHD, reason=WHY_NOT)

FAULTS = 55


class Cluster:
    """Three devices behind proxies, and what can go wrong with them."""

    def __init__(self, root: Path, seed: int) -> None:
        self.root, self.draw = root, random.Random(seed)
        key = make_key(root / "key")
        self.servers = [Server(root, name, key) for name in ("one", "two", "three")]
        for server in self.servers:
            server.start()
        self.proxies = [Proxy(server.port) for server in self.servers]
        self.write_known_hosts()
        lines = ["devices:"]
        for server, proxy in zip(self.servers, self.proxies, strict=True):
            python = self.chattering(server)
            lines.append(
                f"  {server.name}: {{transport: ssh, host: 127.0.0.1, port: {proxy.port}, key: {key}, "
                f"known_hosts: {root / 'known_hosts'}, cache: {server.cache}, python: {python}}}"
            )
        self.devices = root / "devices.yaml"
        self.devices.write_text("\n".join(lines) + "\n")
        self.controller: subprocess.Popen[bytes] | None = None
        self.happened: Counter[str] = Counter()

    def chattering(self, server: Server) -> Path:
        """A Python whose output gets a line of garbage whenever the file `garbage` appears."""
        path = server.root / server.name / "python"
        path.write_text(
            f"#!{sys.executable}\nimport os, subprocess, sys\n"
            f"agent = subprocess.Popen([{sys.executable!r}, *sys.argv[1:]], stdout=subprocess.PIPE)\n"
            "for line in agent.stdout:\n"
            "    try:\n"
            f"        os.unlink({str(server.root / server.name / 'garbage')!r})\n"
            "        line = b'{\"event\": [[[[[[ NaN\\n' + line\n"
            "    except FileNotFoundError:\n"
            "        pass\n"
            "    try:\n"
            "        os.write(1, line)\n"
            "    except OSError:\n"
            "        break\n"
            "agent.stdout.close()\nsys.exit(agent.wait())\n"
        )
        path.chmod(0o755)
        return path

    def write_known_hosts(self, wrong: int | None = None) -> None:
        lines = []
        for number, (server, proxy) in enumerate(zip(self.servers, self.proxies, strict=True)):
            shown = self.servers[(number + 1) % 3] if number == wrong else server
            lines.append(shown.known_host(proxy.port))
        (self.root / "known_hosts").write_text("".join(lines))

    def start(self) -> None:
        log = open(self.root / "log", "ab")  # noqa: SIM115
        command = [sys.executable, "-m", "tests.measure.storm", str(self.root / "data"), str(self.devices)]
        self.controller = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log)
        log.close()

    def fault(self) -> None:
        kinds: dict[str, Callable[[int], None]] = {
            "controller killed": self.kill_controller,
            "agent killed": self.kill_agent,
            "runner killed": self.kill_runner,
            "sshd session killed": self.kill_session,
            "sshd restarted": self.restart_server,
            "link cut": lambda n: self.proxies[n].cut(),
            "link half-open": self.half_open,
            "stream corrupted": lambda n: setattr(self.proxies[n], "mode", "corrupt"),
            "garbage on the channel": lambda n: (self.root / self.servers[n].name / "garbage").touch(),
            "wrong host key": self.wrong_host_key,
            "spool not writable": self.full_spool,
        }
        kind = self.draw.choice(sorted(kinds))
        self.happened[kind] += 1
        kinds[kind](self.draw.randrange(3))

    def kill_controller(self, _: int) -> None:
        assert self.controller is not None
        self.controller.kill()
        self.controller.wait()
        self.start()

    def kill_agent(self, number: int) -> None:
        self.kill_one(lambda command: "agent-" in command and str(self.servers[number].cache) in command)

    def kill_runner(self, number: int) -> None:
        self.kill_one(lambda command: "fake_run.py" in command and str(self.servers[number].cache) in command)

    def kill_one(self, matches: Callable[[str], bool]) -> None:
        for pid, command in processes():
            if matches(command):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                return

    def running(self, number: int) -> bool:
        """Whether the device is in the middle of a job."""
        return any(
            "fake_run.py" in command and str(self.servers[number].cache) in command
            for _, command in processes()
        )

    def kill_session(self, number: int) -> None:
        for pid in self.servers[number].sessions():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def restart_server(self, number: int) -> None:
        self.servers[number].stop()
        time.sleep(0.2)
        self.servers[number].start()

    def half_open(self, number: int) -> None:
        self.proxies[number].mode = "silent"
        time.sleep(self.draw.uniform(0.3, 2.5))
        self.proxies[number].mode = "open"

    def wrong_host_key(self, number: int) -> None:
        self.write_known_hosts(wrong=number)
        self.proxies[number].cut()
        time.sleep(0.3)
        self.write_known_hosts()

    def full_spool(self, number: int) -> None:
        """As on a full disk: nothing can be spooled for a moment."""
        spool = self.servers[number].cache / "spool"
        if spool.is_dir():
            aside = spool.with_name("spool-aside")
            with contextlib.suppress(OSError):
                spool.rename(aside)
                spool.write_text("in the way")
                time.sleep(0.5)
                spool.unlink()
                aside.rename(spool)

    def close(self) -> None:
        if self.controller and self.controller.poll() is None:
            self.controller.kill()
            self.controller.wait()
        for proxy in self.proxies:
            proxy.close()
        for server in self.servers:
            server.stop()
            for pid in server.agents():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    made = Cluster(tmp_path, seed=7)
    yield made
    made.close()


def test_a_storm_loses_nothing_doubles_nothing_and_leaves_nothing(cluster: Cluster) -> None:
    plan, _ = make_storm_plan(cluster.root / "modules", ["one", "two", "three"])
    assert len(plan.jobs) >= 300
    cluster.start()
    while cluster.happened.total() < FAULTS:
        time.sleep(cluster.draw.uniform(0.2, 0.9))
        assert cluster.controller is not None
        if (
            cluster.controller.poll() is not None
        ):  # devices were set aside: what a person does is to repeat the command
            cluster.start()
        cluster.fault()
    for _ in range(10):
        assert cluster.controller is not None
        if cluster.controller.wait(180) == 0:
            break
        cluster.start()
    log = (cluster.root / "log").read_text()
    assert cluster.controller.returncode == 0, log[-4000:]

    dataset = Dataset.open(cluster.root / "data")
    table = dataset.observations(["job", "workload", "status", "reason", "attempts"]).to_pylist()
    found = Counter((row["job"], row["workload"]) for row in table)
    assert found == Counter((job.id, name) for job in plan.jobs for name in job.workloads)

    # Only killed runners show in the data, as what they are; all other faults are the links' and are tried again.
    reasons = Counter((row["status"], row["reason"]) for row in table if row["status"] != "ok")
    killed = "the runner was killed by SIGKILL"
    assert all(
        (status, reason) == ("crash", killed) or status in ("co_runner_failed", "lost")
        for status, reason in reasons
    )
    assert (
        sum(count for (status, _), count in reasons.items() if status == "crash")
        <= cluster.happened["runner killed"]
    )

    needed = sum(job.degree for job in plan.jobs)
    loaded = sum(len((server.cache / "runs.log").read_text().split()) for server in cluster.servers)
    assert loaded - needed <= 4 * FAULTS  # at most the running job of a device was repeated per fault

    for server in cluster.servers:
        wait_for(lambda: not server.agents(), within_s=20)  # noqa: B023
        assert not list((server.cache / "spool").rglob("*.json"))


def test_the_log_names_each_cause(cluster: Cluster) -> None:
    """One fault of a kind at a time, and the words a person reads."""
    cluster.start()
    log = cluster.root / "log"
    wait_for(lambda: "planned" in log.read_text())
    wait_for(lambda: cluster.servers[0].agents())
    cluster.kill_agent(0)
    wait_for(
        lambda: "one: the agent ended with" in log.read_text() or "one: the link was lost" in log.read_text()
    )
    (cluster.root / "three" / "garbage").touch()
    wait_for(lambda: "three: sent something that is not of its protocol" in log.read_text())
    wait_for(lambda: cluster.running(1))
    cluster.proxies[1].mode = "silent"
    wait_for(lambda: "two: the agent has not been heard for 2 s" in log.read_text(), within_s=20)
    cluster.proxies[1].mode = "open"
    time.sleep(1)
    before = log.read_text().count("three: the link was lost")
    cluster.proxies[2].cut()
    wait_for(lambda: log.read_text().count("three: the link was lost") > before)
    cluster.write_known_hosts(wrong=2)
    cluster.proxies[2].cut()
    wait_for(
        lambda: "three: [127.0.0.1]" in log.read_text() and "shows another host key" in log.read_text(),
        within_s=20,
    )
