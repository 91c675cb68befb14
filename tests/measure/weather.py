"""Three devices and two controllers, and everything that can go wrong with them."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

from tests.cluster import Proxy, Server, make_key, processes
from tests.conftest import ROOT

SECOND_COUNT = 4  # workloads of the second controller


class Cluster:
    """Two devices behind sshd and a proxy each, and one that is this machine; two controllers share them."""

    def __init__(self, root: Path, seed: int, count: int) -> None:
        self.root, self.draw, self.counts = root, random.Random(seed), (count, SECOND_COUNT)
        self.disks = [root / name for name in ("one", "two", "three", "first")]
        self.small = [self.mount(disk) for disk in self.disks].count(False) == 0
        self.datasets = [root / "first" / "data", root / "second" / "data"]
        self.datasets[1].parent.mkdir()
        key = make_key(root / "key")
        self.servers = [Server(root, name, key) for name in ("one", "two")]
        for server in self.servers:
            server.start()
        self.caches = [*(server.cache for server in self.servers), root / "three" / "cache"]
        self.proxies = [Proxy(server.port) for server in self.servers]
        self.write_known_hosts()
        lines = ["devices:"]
        for server, proxy in zip(self.servers, self.proxies, strict=True):
            python = self.chattering(server)
            lines.append(
                f"  {server.name}: {{transport: ssh, host: 127.0.0.1, port: {proxy.port}, key: {key}, "
                f"known_hosts: {root / 'known_hosts'}, cache: {server.cache}, python: {python}}}"
            )
        lines.append(f"  three: {{transport: local, cache: {self.caches[2]}}}")
        self.devices = root / "devices.yaml"
        self.devices.write_text("\n".join(lines) + "\n")
        self.controllers: list[subprocess.Popen[bytes] | None] = [None, None]
        self.happened: Counter[str] = Counter()

    def mount(self, disk: Path) -> bool:
        """Give a directory a small disk of its own, where that is allowed."""
        disk.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", "size=24m,nr_inodes=4000", "tmpfs", str(disk)]
        return not os.geteuid() and subprocess.run(command, capture_output=True).returncode == 0

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
            "    except OSError:\n"
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
            shown = self.servers[(number + 1) % 2] if number == wrong else server
            lines.append(shown.known_host(proxy.port))
        (self.root / "known_hosts").write_text("".join(lines))

    # ------------------------------------------------------------------------------------------ the controllers

    def start(self, which: int = 0) -> None:
        with open(self.root / f"log{which}", "ab") as log:
            command = [
                sys.executable, "-m", "tests.measure.storm", str(self.datasets[which]), str(self.devices),
                str(self.counts[which]),
            ]  # fmt: skip
            self.controllers[which] = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log)

    def log(self, which: int = 0) -> str:
        return (self.root / f"log{which}").read_text(errors="replace")

    def repeat(self) -> None:
        """What a person does: a command that ended with something left is given again."""
        for which, controller in enumerate(self.controllers):
            if controller is None or controller.poll() not in (None, 0):
                self.start(which)

    def finish(self) -> None:
        for which in (0, 1):
            for _ in range(12):
                controller = self.controllers[which]
                if controller and controller.wait(240) == 0:
                    break
                self.start(which)
            controller = self.controllers[which]
            assert controller is not None
            assert controller.returncode == 0, self.log(which)[-4000:]
        for which in (0, 1):  # what came to a spool after the last job is for the same command given again
            self.start(which)
            controller = self.controllers[which]
            assert controller is not None
            assert controller.wait(240) == 0, self.log(which)[-4000:]

    # ------------------------------------------------------------------------------------------ what goes wrong

    def kinds(self) -> dict[str, Callable[[], None]]:
        found: dict[str, Callable[[], None]] = {
            "controller killed": self.kill_controller,
            "controller paused": lambda: self.pause(self.controller_pids()),
            "agent killed": lambda: self.kill(self.agents()),
            "agent paused": lambda: self.pause(self.agents()),
            "runner killed": lambda: self.kill(self.runners()),
            "runner paused": lambda: self.pause(self.runners()),
            "device paused": lambda: self.pause(self.agents() + self.runners(), all_of_them=True),
            "guard killed": lambda: self.kill(self.guards()),
            "sshd session killed": lambda: self.kill(self.server().sessions()),
            "sshd restarted": self.restart_server,
            "link cut": lambda: self.proxy().cut(),
            "link half-open": self.half_open,
            "stream corrupted": lambda: setattr(self.proxy(), "mode", "corrupt"),
            "garbage on the channel": lambda: self.touch(self.server().cache.parent / "garbage"),
            "wrong host key": self.wrong_host_key,
            "spool not writable": self.no_spool,
            "spool entry unreadable": self.unreadable,
            "stored file emptied": self.empty_a_file,
            "cache removed": lambda: shutil.rmtree(self.draw.choice(self.caches), ignore_errors=True),
        }
        if self.small:
            found |= {
                "device's disk full": lambda: self.fill(self.draw.choice(self.disks[:3])),
                "device's inodes used up": lambda: self.fill_inodes(self.draw.choice(self.disks[:3])),
                "controller's disk full": lambda: self.fill(self.disks[3]),
            }
        return found

    def fault(self) -> None:
        kinds = self.kinds()
        kind = self.draw.choice(sorted(kinds))
        self.happened[kind] += 1
        kinds[kind]()

    def server(self) -> Server:
        return self.draw.choice(self.servers)

    def proxy(self) -> Proxy:
        return self.draw.choice(self.proxies)

    def controller_pids(self) -> list[int]:
        return [controller.pid for controller in self.controllers if controller and controller.poll() is None]

    def agents(self) -> list[int]:
        return [pid for pid, command in self.ours() if "agent" in command and "--controller" in command]

    def runners(self) -> list[int]:
        return [pid for pid, command in self.ours() if "fake_run.py" in command]

    def guards(self) -> list[int]:
        marks = [f"HARNESS_JOBS_OF={sha256(str(c.resolve()).encode()).hexdigest()[:16]}" for c in self.caches]
        return [pid for pid, command in processes() if any(mark in command for mark in marks)]

    def ours(self) -> list[tuple[int, str]]:
        return [(pid, command) for pid, command in processes() if str(self.root) in command]

    def kill(self, pids: list[int]) -> None:
        if pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.draw.choice(pids), signal.SIGKILL)

    def pause(self, pids: list[int], all_of_them: bool = False) -> None:
        chosen = pids if all_of_them else self.draw.sample(pids, min(1, len(pids)))
        for which in (signal.SIGSTOP, signal.SIGCONT):
            for pid in chosen:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, which)
            if which == signal.SIGSTOP:
                time.sleep(self.draw.choice([0.05, 0.5, 3.0]))

    def kill_controller(self) -> None:
        which = self.draw.randrange(2)
        controller = self.controllers[which]
        if controller and controller.poll() is None:
            controller.kill()
            controller.wait()
            self.start(which)

    def restart_server(self) -> None:
        server = self.server()
        server.stop()
        time.sleep(0.2)
        server.start()

    def half_open(self) -> None:
        proxy = self.proxy()
        proxy.mode = "silent"
        time.sleep(self.draw.uniform(0.3, 2.5))
        proxy.mode = "open"

    def wrong_host_key(self) -> None:
        number = self.draw.randrange(2)
        self.write_known_hosts(wrong=number)
        self.proxies[number].cut()
        time.sleep(0.3)
        self.write_known_hosts()

    def touch(self, path: Path) -> None:
        with contextlib.suppress(OSError):
            path.touch()

    def no_spool(self) -> None:
        spool = self.draw.choice(self.caches) / "spool"
        aside = spool.with_name("spool-aside")
        with contextlib.suppress(OSError):
            spool.rename(aside)
            spool.write_text("in the way")
            time.sleep(0.5)
            spool.unlink()
            aside.rename(spool)

    def unreadable(self) -> None:
        for folder in (self.draw.choice(self.caches) / "spool").glob("*"):
            with contextlib.suppress(OSError):
                (folder / f"j{self.draw.randrange(10**9)}.json").write_bytes(b'{"job": "')

    def empty_a_file(self) -> None:
        cache = self.draw.choice(self.caches)
        stored = sorted([*cache.glob("store/" + "?" * 64), *cache.glob("runners/*/*.py")])
        if stored:
            with contextlib.suppress(OSError):
                os.truncate(self.draw.choice(stored), 0)

    def fill(self, disk: Path) -> None:
        junk = disk / "junk"
        with contextlib.suppress(OSError), open(junk, "wb", buffering=0) as file:
            while file.write(b"x" * 4096):
                pass
        time.sleep(self.draw.uniform(0.1, 1.5))
        junk.unlink(missing_ok=True)

    def fill_inodes(self, disk: Path) -> None:
        junk = disk / "many"
        with contextlib.suppress(OSError):
            junk.mkdir()
            for number in range(5000):
                (junk / str(number)).touch()
        time.sleep(self.draw.uniform(0.1, 1.0))
        shutil.rmtree(junk, ignore_errors=True)

    # ------------------------------------------------------------------------------------------ the end

    def left(self) -> list[str]:
        """What there must not be when all is over: processes, and files that nobody will look at again."""
        found = [command for _, command in self.ours() if "sshd" not in command]
        found += [f"guard {pid}" for pid in self.guards()]
        for cache in self.caches:
            found += [
                str(path)
                for place in ("scratch/*", "spool/*/*", "store/*.part")
                for path in cache.glob(place)
            ]
        for data in self.datasets:
            found += [
                str(path) for place in ("journal/*", "**/*.partial", "**/.*") for path in data.glob(place)
            ]
        return found

    def close(self) -> None:
        for controller in self.controllers:
            if controller and controller.poll() is None:
                controller.kill()
                controller.wait()
        for proxy in self.proxies:
            proxy.close()
        for server in self.servers:
            server.stop()
        for pid in self.agents() + self.runners():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for disk in self.disks if self.small else ():
            subprocess.run(["umount", "-l", str(disk)], check=False)
