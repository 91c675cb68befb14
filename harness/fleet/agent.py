"""The one file that runs on a device. Standard library only, Python 3.8+; imports nothing of the project.

The controller starts ``python3 agent.py`` and speaks JSON lines with it. One agent holds a device at a time (a
lock file that names its controller); it knows nothing of engines: a job names the runner files and the program
that starts them.

op      what it does                                     answer
ping    tell that it is there, also during a job         alive
facts   describe the machine                             facts
have    which hashes are not stored yet                  missing
put     store bytes under their SHA-256, in chunks       stored
detect  ask runners for their engine's version           detected
run     run a job to its end, spool the result, send it  result
spool   send what was spooled for a dataset              result..., spool_end
ack     forget a spooled result                          (none)
cancel  kill the running job                             cancelled
install unpack stored wheels for the runners to import   installed

If the controller goes away (end of file, or nothing heard for a while), the running job is finished and spooled, and
the agent ends. A second agent of the same controller asks the first to do so; one of another controller waits
and tells who holds the device. If the agent dies, the kernel kills its runners.
"""

from __future__ import annotations

import argparse
import base64
import collections
import ctypes
import fcntl
import hashlib
import json
import os
import platform
import re
import resource
import select
import selectors
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path
from typing import Any, Callable, Deque, Dict, List, Optional

VERSION = 1
START_LIMIT_NS = 30 * 10**9
COMPILE_LIMIT_NS = 120 * 10**9
BARRIER_NS = 5 * 10**6  # how far ahead the common start is set
MAX_FILE_BYTES = 256 << 20  # what one runner may write to one file
MAX_LINE_BYTES = 8 << 20
SILENCE_NS = 60 * 10**9  # after this long without a word the controller counts as gone
DIGEST = re.compile(r"[0-9a-f]{64}\Z")
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,100}\Z")
_LIBC = ctypes.CDLL(None)
_PR_SET_PDEATHSIG = 1

Message = Dict[str, Any]


def now_ns() -> int:
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC)


class Failure(Exception):
    """A member cannot be measured; ``status`` is what its observation will carry."""

    def __init__(self, status: str, reason: str) -> None:
        super().__init__(reason)
        self.status, self.reason = status, reason


class Cancelled(Exception):
    """The controller asked to stop the running job at once."""


# ---------------------------------------------------------------------------------------------- what the machine is


def read(path: str) -> Optional[str]:
    try:
        with open(path) as file:
            return file.read().strip()
    except (OSError, UnicodeDecodeError):
        return None


def number(text: Optional[str]) -> Optional[int]:
    return int(text) if text and re.match(r"-?\d+\Z", text) else None


def size_bytes(text: Optional[str]) -> Optional[int]:
    found = re.match(r"(\d+)([KMG]?)", text or "")
    return int(found.group(1)) << {"": 0, "K": 10, "M": 20, "G": 30}[found.group(2)] if found else None


def facts() -> Message:
    """What identifies and limits the machine; a key that the machine does not tell is absent."""
    told: Message = {
        "machine": platform.machine(),
        "kernel": platform.release(),
        "python": platform.python_version(),
    }
    told["cores"] = os.cpu_count()
    told["cpus_allowed"] = len(os.sched_getaffinity(0))
    cpuinfo = read("/proc/cpuinfo") or ""
    for key, field in (
        ("vendor", "vendor_id"), ("family", "cpu family"), ("model", "model"), ("stepping", "stepping"),
        ("model_name", "model name"), ("mhz", "cpu MHz"), ("implementer", "CPU implementer"), ("part", "CPU part"),
    ):  # fmt: skip
        found = re.search(r"^%s\s*:\s*(.+)$" % field, cpuinfo, re.M)
        if found:
            told[key] = found.group(1).strip()
    memory = re.search(r"MemTotal:\s+(\d+)", read("/proc/meminfo") or "")
    if memory:
        told["memory_bytes"] = int(memory.group(1)) * 1024
    maximum = number(read("/sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_max_freq"))
    if maximum:
        told["max_mhz"] = maximum // 1000
    siblings = read("/sys/devices/system/cpu/cpu0/topology/thread_siblings_list")
    if siblings:
        told["smt"] = len(re.split("[,-]", siblings)) > 1
    for folder in sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")):
        level, kind = read(str(folder / "level")), read(str(folder / "type"))
        if level and kind:
            name = "l" + level + {"Data": "d", "Instruction": "i"}.get(kind, "")
            told[name + "_bytes"] = size_bytes(read(str(folder / "size")))
            told[name + "_line_bytes"] = number(read(str(folder / "coherency_line_size")))
            told[name + "_ways"] = number(read(str(folder / "ways_of_associativity")))
    return {key: value for key, value in told.items() if value is not None}


def state() -> Message:
    """What can disturb a measurement and changes: clock, governor, heat, throttling, load, free memory."""
    cpu = "/sys/devices/system/cpu/cpu0/"
    clock = number(read(cpu + "cpufreq/scaling_cur_freq"))
    heat = [number(read(str(zone / "temp"))) for zone in Path("/sys/class/thermal").glob("thermal_zone*")]
    counters = Path("/sys/devices/system/cpu").glob("cpu*/thermal_throttle/core_throttle_count")
    throttled = [number(read(str(path))) for path in counters]
    available = re.search(r"MemAvailable:\s+(\d+)", read("/proc/meminfo") or "")
    told: Message = {
        "clock_mhz": clock and clock / 1000,
        "governor": read(cpu + "cpufreq/scaling_governor"),
        "temperature_c": max((t for t in heat if t is not None), default=0) / 1000 or None,
        "throttle_count": sum(t for t in throttled if t) if any(t is not None for t in throttled) else None,
        "load_1m": os.getloadavg()[0],
        "free_memory_bytes": int(available.group(1)) * 1024 if available else None,
    }
    return {key: value for key, value in told.items() if value is not None}


def cpu_times() -> List[int]:
    """Jiffies of all processors: user, nice, system, idle, iowait, …"""
    first = (read("/proc/stat") or "cpu 0 0 0 0 0").split("\n", 1)[0]
    return [int(word) for word in first.split()[1:9]]


def busy_share(before: List[int], after: List[int]) -> float:
    spent = [after[i] - before[i] for i in range(min(len(before), len(after)))]
    return 1 - sum(spent[3:5]) / max(1, sum(spent))


# ---------------------------------------------------------------------------------------------- files on the device


class Files:
    """Everything the agent keeps, under one root: a content-addressed store, runners, artefacts, the spool."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for name in ("store", "runners", "artefacts", "spool", "scratch"):
            (root / name).mkdir(parents=True, exist_ok=True)
        self.partial: Dict[str, Any] = {}

    def stored(self, digest: str) -> Path:
        if not DIGEST.match(digest):
            raise ValueError("not a SHA-256: %r" % digest[:80])
        return self.root / "store" / digest

    def put(self, digest: str, data: bytes, more: bool) -> None:
        path = self.stored(digest)
        part = path.with_suffix(".part")
        with open(part, "ab" if digest in self.partial else "wb") as file:
            file.write(data)
        self.partial[digest] = True
        if more:
            return
        del self.partial[digest]
        found = hashlib.sha256(part.read_bytes()).hexdigest()
        if found != digest:
            part.unlink()
            raise ValueError("what arrived for %s hashes to %s" % (digest, found))
        os.replace(part, path)

    def runner(self, files: Dict[str, str]) -> Path:
        """A directory holding the named runner files, made once per set of contents."""
        folder = (
            self.root
            / "runners"
            / hashlib.sha256(json.dumps(files, sort_keys=True).encode()).hexdigest()[:16]
        )
        if not folder.exists():
            partial = Path(tempfile.mkdtemp(dir=str(self.root / "runners")))
            for name, digest in files.items():
                if not NAME.match(name):
                    raise ValueError("not a file name: %r" % name[:80])
                shutil.copyfile(str(self.stored(digest)), str(partial / name))
            os.replace(str(partial), str(folder))
        return folder

    def install(self, wheels: List[str]) -> None:
        """Unpack stored wheels where runners import from; a wheel that is there already is left alone."""
        for digest in wheels:
            target = self.root / "python" / digest[:16]
            if target.exists():
                continue
            partial = Path(tempfile.mkdtemp(dir=str(self.root)))
            with zipfile.ZipFile(str(self.stored(digest))) as wheel:
                wheel.extractall(str(partial))
            for program in (partial / "bin").glob("*"):
                program.chmod(0o755)
            target.parent.mkdir(exist_ok=True)
            os.replace(str(partial), str(target))

    def artefact(self, given: Optional[Message]) -> Optional[Message]:
        """What the controller compiled for this device, with its path here."""
        return given and dict(given, path=str(self.stored(given["sha256"])))

    def import_path(self) -> str:
        return os.pathsep.join(str(path) for path in sorted((self.root / "python").glob("*")))

    def spool(self, dataset: str, job: str) -> Path:
        if not NAME.match(dataset) or not NAME.match(job):
            raise ValueError("not a dataset or job id: %r, %r" % (dataset[:80], job[:80]))
        return self.root / "spool" / dataset / (job + ".json")


def write_synced(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".part")
    with open(partial, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(partial, path)


# ---------------------------------------------------------------------------------------------- one workload of a job


class Member:
    """A workload of the running job and the runner process that executes it."""

    def __init__(self, spec: Message, job: Message, files: Files, folder: Path) -> None:
        self.spec, self.folder = spec, folder
        self.result: Message = {"workload": spec["workload"], "status": "ok", "reason": "", "samples": []}
        self.events: Deque[Message] = collections.deque()
        self.more: List[Message] = []  # sums over executions after the reported samples
        self.failure: Optional[Failure] = None
        self.loop_start_ns: Optional[int] = None
        self.exit_code = 0
        self.finished = False  # reported all the samples it was asked for
        self.partial_line = b""
        self.own = folder / "own"
        self.own.mkdir(parents=True)
        for guest, digest in spec["files"].items():
            if os.path.isabs(guest) or ".." in Path(guest).parts:
                raise ValueError("input file outside the module's directory: %r" % guest[:80])
            (self.own / guest).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(str(files.stored(digest)), str(self.own / guest))
        self.stderr = open(folder / "stderr", "w+b")  # noqa: SIM115
        self.process = subprocess.Popen(
            command_line(job["engine"], files),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.stderr,
            cwd=str(folder),
            env=environment(files),
            start_new_session=True,
            preexec_fn=limiter(job.get("cpus")),
        )
        assert self.process.stdin is not None and self.process.stdout is not None
        self.to_runner, self.from_runner = self.process.stdin, self.process.stdout

    def tell(self, **command: Any) -> None:
        try:
            self.to_runner.write(json.dumps(command).encode() + b"\n")
            self.to_runner.flush()
        except OSError:
            pass  # it has died: its end of file says how

    def absorb(self) -> None:
        """Take what the runner wrote; its end, a trap or a refusal becomes ``failure``."""
        data = os.read(self.from_runner.fileno(), 1 << 16)
        *lines, self.partial_line = (self.partial_line + data).split(b"\n")
        for line in lines:
            event = json.loads(line)
            if event["event"] == "trap":
                self.failure = Failure("trap", event["reason"])
            elif event["event"] == "fail":
                self.failure = Failure("refused", event["reason"])
            else:
                self.events.append(event)
        if not data and not self.failure:
            self.failure = self.death()
        elif len(self.partial_line) > MAX_LINE_BYTES:
            self.failure = Failure("crash", "the runner sent a line without end")

    def death(self) -> Failure:
        try:
            code = self.process.wait(5)
        except subprocess.TimeoutExpired:
            return Failure("crash", "the runner closed its output and lives on")
        if code < 0:
            return Failure("crash", "the runner was killed by %s" % signal.Signals(-code).name)
        self.stderr.seek(0)
        last = self.stderr.read(1 << 16).decode("utf-8", "replace").strip().rpartition("\n")[2]
        return Failure("crash", ("the runner ended with exit code %d: %s" % (code, last))[:500])

    def verify(self, exit_code: int) -> None:
        """Compare the first execution with what the suite expects."""
        expect = self.spec["expect"]
        self.exit_code = exit_code
        if exit_code != expect["exit_code"]:
            raise Failure("wrong_output", "exit code %d instead of %d" % (exit_code, expect["exit_code"]))
        if expect["stdout_sha256"]:
            output = (self.folder / "stdout").read_bytes()
            if hashlib.sha256(output).hexdigest() != expect["stdout_sha256"]:
                raise Failure("wrong_output", "stdout differs from the expected: %r" % output[:120])

    def note_samples(self) -> None:
        """Move what the loop reported from the events into the result."""
        while self.events:
            event = self.events.popleft()
            if event["event"] == "looping":
                self.loop_start_ns = event["start_ns"]
            elif event["event"] == "done":
                self.finished = True
            elif event["exit_code"] == self.exit_code:
                if event["event"] == "sample":
                    self.result["samples"].append(event["sample"])
                else:
                    self.more.append(event)
            else:
                reason = "exit code %d after %d in the first execution" % (event["exit_code"], self.exit_code)
                self.failure = Failure("wrong_output", reason)
                return

    def loop_end_ns(self, end_ns: int) -> int:
        """Until when it certainly ran: the common end, or its last whole sample if it failed before."""
        if not self.failure:
            return end_ns
        samples = self.result["samples"]
        return samples[-1][0] + samples[-1][1] if samples else self.loop_start_ns or 0

    def kill(self) -> None:
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            pass
        self.process.wait()
        for stream in (self.to_runner, self.from_runner, self.stderr):
            try:
                stream.close()
            except OSError:
                pass


def summarise(members: List[Member], end_ns: int, limit_ns: int) -> None:
    """Mark every sample as covered or not (all co-runners ran from its start to its end) and settle each status."""
    for member in members:
        others = [other for other in members if other is not member]
        result, samples = member.result, member.result["samples"]
        all_from = max((o.loop_start_ns or end_ns for o in others), default=0)
        all_until = min((o.loop_end_ns(end_ns) for o in others), default=end_ns)
        for taken in samples:
            taken.append(all_from <= taken[0] and taken[0] + taken[1] <= all_until)
        more = [m for m in member.more if m["until_ns"] <= all_until]
        result["more_count"], result["more_wall_ns"] = (
            sum(m["count"] for m in more),
            sum(m["wall_ns"] for m in more),
        )
        result["loop_start_ns"] = member.loop_start_ns
        result["loop_end_ns"] = member.loop_end_ns(end_ns) if member.loop_start_ns else None
        failed = [other for other in others if other.failure]
        if member.failure:
            result.update(status=member.failure.status, reason=member.failure.reason)
        elif not any(taken[-1] for taken in samples):
            if failed:
                first = failed[0]
                assert first.failure is not None
                reason = "%s: %s, %s" % (first.spec["workload"], first.failure.status, first.failure.reason)
                result.update(status="co_runner_failed", reason=reason[:500])
            elif samples:
                result.update(
                    status="uncovered", reason="no execution had all co-runners beside it to its end"
                )
            else:
                reason = "no whole execution within the limit of %g s" % (limit_ns / 1e9)
                result.update(status="timeout", reason=reason)


def command_line(engine: Message, files: Files) -> List[str]:
    """Program, runner and arguments; ``python`` means the interpreter that runs this agent."""
    folder = files.runner(engine["files"])
    program = sys.executable if engine["program"] == "python" else shutil.which(engine["program"])
    if not program:
        raise Failure("refused", "no %s on this device" % engine["program"])
    return [program, *engine["program_args"], str(folder / engine["entry"]), *engine["args"]]


def search_path(root: Path) -> str:
    """Where programs are looked up: PATH, what was installed with ``install``, and where engines put themselves."""
    home = Path.home()
    usual = [
        home / ("." + name) / "bin"
        for name in ("wasmtime", "wasmer", "wasmedge", "cargo", "local", "bun", "deno")
    ]
    installed = sorted((root / "python").glob("*/bin"))
    return os.pathsep.join([os.environ.get("PATH", os.defpath), *map(str, [*installed, *usual])])


def environment(files: Files) -> Dict[str, str]:
    """A runner's environment: what finding programs needs, and the installed wheels."""
    kept = {
        name: os.environ[name] for name in ("PATH", "HOME", "LANG", "LD_LIBRARY_PATH") if name in os.environ
    }
    path = files.import_path()
    return dict(kept, PYTHONPATH=path) if path else kept


def limiter(cpus: Optional[List[int]]) -> Callable[[], None]:
    def limit() -> None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_FSIZE, (MAX_FILE_BYTES, MAX_FILE_BYTES))
        if cpus:
            os.sched_setaffinity(0, cpus)

    return limit


# ---------------------------------------------------------------------------------------------- the agent


class Agent:
    def __init__(self, root: Path) -> None:
        self.files = Files(root)
        self.selector = selectors.DefaultSelector()
        self.selector.register(0, selectors.EVENT_READ, None)
        self.inbox: List[Message] = []
        self.buffer = b""
        self.controller_gone = False
        self.heard_ns = now_ns()
        os.set_blocking(1, False)
        woken, wake = os.pipe()
        os.set_blocking(wake, False)
        self.selector.register(woken, selectors.EVENT_READ, None)
        signal.set_wakeup_fd(wake)
        signal.signal(signal.SIGTERM, self.dismiss)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    def dismiss(self, *_: Any) -> None:
        """Finish the running job, spool it and end."""
        self.controller_gone = True

    def say(self, **message: Any) -> None:
        """Send a line; a controller that does not take it for too long is gone."""
        data = json.dumps(message, separators=(",", ":")).encode() + b"\n"
        deadline = now_ns() + SILENCE_NS
        while data and not self.controller_gone:
            try:
                data = data[os.write(1, data) :]
            except BlockingIOError:
                select.select([], [1], [], 1.0)
                self.controller_gone |= now_ns() > deadline
            except OSError:
                self.controller_gone = True

    def listen(self) -> None:
        """Take what the controller sent; its end of file is noticed here."""
        data = os.read(0, 1 << 20)
        if not data:
            self.controller_gone = True
            self.selector.unregister(0)
        self.heard_ns = now_ns()
        *lines, self.buffer = (self.buffer + data).split(b"\n")
        if len(self.buffer) > MAX_LINE_BYTES:
            raise ValueError("a line of more than %d bytes" % MAX_LINE_BYTES)
        for line in lines:
            message = json.loads(line)
            if message["op"] == "ping":
                self.say(event="alive")
            else:
                self.inbox.append(message)

    def wait(self, deadline: int) -> List[Any]:
        """Members with something to read, and meanwhile the controller's words; at most until the deadline."""
        if now_ns() - self.heard_ns > SILENCE_NS:
            self.controller_gone = True
        readable = []
        for key, _ in self.selector.select(max(0, min(deadline - now_ns(), 10**9)) / 1e9):
            if key.data is not None:
                readable.append(key.data)
            elif key.fd == 0:
                self.listen()
            else:
                os.read(key.fd, 1 << 10)
        return readable

    def serve(self) -> None:
        self.say(event="hello", agent=VERSION, pid=os.getpid())
        while not self.controller_gone:
            self.wait(now_ns() + 10**9)
            while self.inbox and not self.controller_gone:
                self.answer(self.inbox.pop(0))

    def answer(self, message: Message) -> None:
        try:
            getattr(self, "on_" + message["op"])(message)
        except (OSError, ValueError, KeyError, TypeError, AttributeError, zipfile.BadZipFile) as error:
            self.say(event="error", reason=("%s: %s" % (type(error).__name__, error))[:500])

    def on_facts(self, message: Message) -> None:
        free = shutil.disk_usage(str(self.files.root)).free
        self.say(
            event="facts", facts=dict(facts(), free_disk_bytes=free), state=state(), unix_ns=time.time_ns()
        )

    def on_have(self, message: Message) -> None:
        self.say(
            event="missing", digests=[d for d in message["digests"] if not self.files.stored(d).exists()]
        )

    def on_put(self, message: Message) -> None:
        self.files.put(message["sha256"], base64.b64decode(message["data"]), message["more"])
        if not message["more"]:
            self.say(event="stored", sha256=message["sha256"])

    def on_install(self, message: Message) -> None:
        self.files.install(message["wheels"])
        os.environ["PATH"] = search_path(self.files.root)
        self.say(event="installed")

    def on_detect(self, message: Message) -> None:
        self.say(event="detected", engines={name: self.detect(e) for name, e in message["engines"].items()})

    def on_run(self, message: Message) -> None:
        self.run(message["dataset"], message["job"])

    def on_spool(self, message: Message) -> None:
        for path in sorted(self.files.spool(message["dataset"], "x").parent.glob("*.json")):
            self.say(event="result", result=json.loads(path.read_text()))
        self.say(event="spool_end")

    def on_ack(self, message: Message) -> None:
        path = self.files.spool(message["dataset"], message["job"])
        if path.exists():
            path.unlink()

    def on_cancel(self, message: Message) -> None:
        """Nothing runs: the job ended just before."""

    def detect(self, engine: Message) -> Message:
        try:
            argv = [*command_line(engine, self.files), "--detect"]
            if engine.get("probe"):
                argv += ["--artefact", str(self.files.stored(engine["probe"]))]
            done = subprocess.run(
                argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=30, env=environment(self.files)
            )
            if done.returncode == 0:
                return {"version": str(json.loads(done.stdout)["version"])}
            reason = done.stderr.decode("utf-8", "replace").strip().rpartition("\n")[2][:300]
        except Failure as failure:
            reason = failure.reason
        except (OSError, ValueError, KeyError, subprocess.TimeoutExpired) as error:
            reason = "%s: %s" % (type(error).__name__, error)
        return {"absent": reason or "its runner failed"}

    def run(self, dataset: str, job: Message) -> None:
        """Run a job to its end; the result is on disk before it is sent."""
        spooled = self.files.spool(dataset, job["id"])
        scratch = Path(tempfile.mkdtemp(dir=str(self.files.root / "scratch")))
        try:
            result = self.measure(job, scratch)
        except Cancelled:
            self.say(event="cancelled", job=job["id"])
            return
        finally:
            shutil.rmtree(str(scratch), ignore_errors=True)
        try:
            write_synced(spooled, json.dumps(result).encode())
        except OSError as error:
            result["note"] = "not spooled on the device: %s" % error
        self.say(event="result", result=result)

    def measure(self, job: Message, scratch: Path) -> Message:
        note = self.gate(job["gate"]) if job.get("gate") else ""
        result: Message = {
            "job": job["id"],
            "started_unix_ns": time.time_ns(),
            "state_before": state(),
            "note": note,
        }
        members: List[Member] = []
        try:
            for index, spec in enumerate(job["members"]):
                members.append(Member(spec, job, self.files, scratch / str(index)))
                self.selector.register(members[-1].from_runner, selectors.EVENT_READ, members[-1])
            for member in members:
                self.prepare(member, members, job)
            if not any(member.failure for member in members):
                self.loop(members, job)
        finally:
            end_ns = now_ns()
            for member in members:
                if member.from_runner in self.selector.get_map():
                    self.selector.unregister(member.from_runner)
                member.kill()
        summarise(members, end_ns, job["limit_ns"])
        result.update(members=[m.result for m in members], state_after=state())
        return result

    def gate(self, gate: Message) -> str:
        """Wait until the device is cool and idle, or until the gate's limit; what is to be said of it."""
        start = now_ns()
        while True:
            before = cpu_times()
            self.pump(now_ns() + 10**9)
            time.sleep(0.2)
            busy, heat = busy_share(before, cpu_times()), state().get("temperature_c")
            hot = heat is not None and gate.get("temperature_c") is not None and heat > gate["temperature_c"]
            loaded = gate.get("busy") is not None and busy > gate["busy"]
            waited_s = (now_ns() - start) / 1e9
            if not hot and not loaded:
                return "waited %.0f s to be cool and idle" % waited_s if waited_s >= 2 else ""
            if waited_s > gate["limit_s"] or self.controller_gone:
                return "not cool and idle after %.0f s: %s °C, %.0f %% busy" % (waited_s, heat, 100 * busy)

    def prepare(self, member: Member, members: List[Member], job: Message) -> None:
        """Load, compile and warm up one member while the others wait; a failure is left on the member."""
        if any(other.failure for other in members):
            return
        preopens = [[".", str(member.own)]] if member.spec["files"] else []
        stdin = member.spec["stdin"] and str(self.files.stored(member.spec["stdin"]))
        try:
            try:
                self.expect(member, "started", START_LIMIT_NS, "starting its engine")
            except Failure as failure:
                raise Failure("crash", failure.reason) from failure
            member.tell(
                cmd="load", module=str(self.files.stored(member.spec["module"])), argv=member.spec["argv"], stdin=stdin,
                preopens=preopens, artefacts=str(self.files.root / "artefacts"), version=job["engine"]["version"],
                memory_bytes=job["memory_bytes"], artefact=self.files.artefact(member.spec.get("artefact")),
            )  # fmt: skip
            loaded = self.expect(member, "loaded", COMPILE_LIMIT_NS, "compiling")
            member.result.update({key: loaded[key] for key in ("compile_ns", "load_ns", "cached")})
            member.tell(cmd="warm", stdout=str(member.folder / "stdout"))
            warm = self.expect(member, "warm", job["limit_ns"], "the first execution")
            member.result["warmup_ns"] = warm["sample"][1]
            member.verify(warm["exit_code"])
        except Failure as failure:
            member.failure = failure

    def expect(self, member: Member, name: str, limit_ns: int, doing: str) -> Message:
        deadline = now_ns() + limit_ns
        while not member.events:
            if member.failure:
                raise member.failure
            if now_ns() >= deadline:
                raise Failure("timeout", "%s took longer than the limit of %g s" % (doing, limit_ns / 1e9))
            self.pump(deadline)
        event = member.events.popleft()
        if event["event"] != name:
            raise Failure("crash", "the runner said %r where %r was due" % (event["event"], name))
        return event

    def loop(self, members: List[Member], job: Message) -> None:
        """Let all members run together, as long as the job asks, and take what they report.

        Alone, a workload reports its samples and the job is over. Beside others it loops for ``window_ns``, longer
        where a member has fewer than ``least`` samples, at most ``limit_ns``. The member with the longest first
        execution starts when the others run, and samples are reported from when all run: so the first one of a
        workload that has time for only one is whole, and covered.
        """
        together = len(members) > 1
        go, record = (str(members[0].folder / name) if together else None for name in ("go", "record"))
        slowest = max(members, key=lambda member: member.result["warmup_ns"])
        start_ns = now_ns() + BARRIER_NS
        for member in members:
            last = together and member is slowest
            member.tell(
                cmd="loop", at_ns=start_ns, after=go if last else None, record=None if last else record,
                report=job["report"], keep_running=together,
            )  # fmt: skip
        deadline, least_ns = start_ns + job["limit_ns"], start_ns + job["window_ns"]
        while True:
            now = now_ns()
            if together:
                enough = now >= least_ns and all(len(m.result["samples"]) >= job["least"] for m in members)
            else:
                enough = members[0].finished
            if enough or now >= deadline:
                return
            self.pump(deadline if now >= least_ns else min(deadline, least_ns))
            for member in members:
                member.note_samples()
            if any(member.failure for member in members):
                return  # nothing after this can be covered
            if go and all(member.loop_start_ns for member in members if member is not slowest):
                Path(go).touch()
                go = None
            if record and slowest.loop_start_ns:
                Path(record).touch()
                record = None

    def pump(self, deadline: int) -> None:
        """Wait for a runner or the controller to say something, at most until the deadline."""
        for member in self.wait(deadline):
            member.absorb()
            if member.failure:
                self.selector.unregister(member.from_runner)
        if any(message["op"] == "cancel" for message in self.inbox):
            self.inbox = [message for message in self.inbox if message["op"] != "cancel"]
            raise Cancelled


def hold(root: Path, controller: str) -> None:
    """Take the device's lock until this process ends; while waiting, tell who has it.

    The holder is asked to make room where it serves the same controller, which has lost its link to it.
    """
    root.mkdir(parents=True, exist_ok=True)
    handle = os.open(str(root / "agent.lock"), os.O_RDWR | os.O_CREAT, 0o600)
    asked = False
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except OSError:
            try:
                holder = json.loads(os.pread(handle, 1 << 12, 0))
            except ValueError:  # it is just being written
                holder = {"pid": 0, "controller": "?"}
            command = read("/proc/%d/cmdline" % holder["pid"]) or ""
            if not asked and holder["controller"] == controller and controller in command.split("\0"):
                os.kill(holder["pid"], signal.SIGTERM)
                asked = True
            holder = "%s (agent %d)" % (holder["controller"], holder["pid"])
            print(json.dumps({"event": "busy", "holder": holder}), flush=True)
            time.sleep(0.5)
    os.ftruncate(handle, 0)
    os.pwrite(handle, json.dumps({"pid": os.getpid(), "controller": controller}).encode(), 0)


def main() -> None:
    parser = argparse.ArgumentParser(description="The device side of harness; started by the controller.")
    parser.add_argument("--root", type=Path, default=Path.home() / ".cache" / "harness")
    parser.add_argument("--controller", default="a controller without a name")
    arguments = parser.parse_args()
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    os.environ["PATH"] = search_path(arguments.root)
    try:
        hold(arguments.root, arguments.controller)
        agent = Agent(arguments.root)
    except BrokenPipeError:
        return
    except OSError as error:
        print(
            json.dumps({"event": "error", "reason": "cannot keep files in %s: %s" % (arguments.root, error)})
        )
        sys.exit(1)
    agent.serve()


if __name__ == "__main__":
    main()
