"""The one file that runs on a device. Standard library only, Python 3.8+; imports nothing of the project.

The controller starts ``python3 agent.py`` and speaks JSON lines with it. One agent holds a device at a time (a
lock file that names its controller); it knows nothing of engines: a job names the runner files and the program
that starts them.

op      what it does                                     answer
ping    tell that it is there, also during a job         alive
facts   describe the machine                             facts
have    which hashes are not stored whole                missing
put     store bytes under their SHA-256, in chunks       stored
detect  ask runners for their engine's version           detected
run     run a job to its end, spool the result, send it  result
drop    forget the jobs that were sent and not begun     dropped
spool   send what was spooled for a dataset              result or aside..., spool_end
ack     forget a spooled result                          (none)
aside   keep a spooled result apart: it is not readable  (none)
cancel  kill the running job, drop those not begun       cancelled
install unpack stored wheels for the runners to import   installed
bring   put a program before others of its name, or away brought

A job may be sent while another runs. It is begun when that one has ended, and its runners are started before: while
the other warms up, before anything of it counts.

What cannot be done is answered with ``error`` and a reason. A job's result is judged before it is sent: where the
device was not fit to give it (its disk was full, it stood still, a stored file was damaged, somebody killed a
runner), the status of every member is ``device_unfit``, with the cause.

If the controller goes away (end of file, or nothing heard for a while), the running job is finished and spooled, and
the agent ends. A second agent of the same controller asks the first to do so; one of another controller waits
and tells who holds the device. If the agent dies, the kernel kills its runners, and a guard, a process of its own,
whatever those have started. The next agent sweeps what is left of dead ones.
"""

from __future__ import annotations

import argparse
import array
import base64
import bisect
import collections
import ctypes
import fcntl
import hashlib
import json
import math
import operator
import os
import platform
import re
import resource
import select
import selectors
import shutil
import signal
import statistics
import struct
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path
from typing import Any, Callable, Deque, Dict, List, Optional, Sequence, Set, Tuple

VERSION = 1
START_LIMIT_NS = 30 * 10**9
AHEAD_NS = 2 * 10**9  # how long a job waits at most for runners of the next one that start before it
AHEAD_BYTES = 512 << 20  # of free memory without which none are started ahead
COMPILE_LIMIT_NS = 120 * 10**9
BARRIER_NS = 5 * 10**6  # how far ahead the common start is set
ALONE_NS = 10**6 // 2  # and the start of one that is alone
RUN_UP_NS = 10 * 10**6  # from the common start until samples count
LEAST_WARM = 10  # executions before a workload can be called steady
STEADY = 0.03  # by how much a steady workload's times may change from one quarter of its warm-up to the next
FEWEST = 30  # samples below which nothing is said of them
BLOCKS = (5, 20)  # into which executions are divided to see how well their mean is known
WIDER = {5: 1.416, 20: 1.068}  # Student's t of so many, of 95 %, over 1.96
DRIFT = 0.05  # a change that is told, from the first third of the samples to the last
OTHER_LOAD = (
    0.15  # processors that others may use beside a job before that is told and the job measured again
)
MOST_AGAIN = 3  # measurements again that a device has in hand; each job gives it AGAIN_A_JOB more
AGAIN_A_JOB = 0.2
YARDSTICK_PROCESSORS, YARDSTICK_NS = 8, 300_000  # most of them, and for how long each does fixed work
AGAIN_NS = 5 * 10**9  # what takes longer is not measured again
TWO_KINDS = 0.1  # the least gap between two kinds of executions, as a share of the shorter
KEPT_WARM = 100  # of the executions to warm up, the first and the last that are kept one by one
TELL_NS = 100 * 10**6  # as in runner.py: longer executions are told one by one
ENDING_NS = 2 * 10**9  # how long a run may take to tell what it recorded
MOST_RECORDED = 1 << 18  # executions of one run
MAX_FILE_BYTES = 256 << 20  # what one runner may write to one file
MAX_LINE_BYTES = 8 << 20
MAX_SPOOLED_BYTES = 32 << 20
SILENCE_NS = 60 * 10**9  # after this long without a word the controller counts as gone
DETECT_S = 30.0  # what telling a version may take
LOOK_NS = 250 * 10**6  # how often a running job is looked after
PAUSE_NS = 500 * 10**6  # who wakes so much later than asked for stood still
SUSPENDED_NS = 100 * 10**6
LEAST_DISK_BYTES = 512 << 10  # with less of it free the disk is full
LEAST_INODES = 16
PROBE_BYTES = 64 << 10  # written to see whether it can be
CONTENT = "unpacked.sha256"  # beside what a wheel holds: the hashes of it
MOST_ASIDE = 20  # unreadable results that are kept
OLD_S = 600.0  # half-written files of other processes are swept when so old
DIGEST = re.compile(r"[0-9a-f]{64}\Z")
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,100}\Z")
_LIBC = ctypes.CDLL(None)
_PR_SET_PDEATHSIG = 1
CGROUPS = Path("/sys/fs/cgroup")
_PR_SET_CHILD_SUBREAPER = 36
# Death by any other signal is somebody else's doing: a user's, or the kernel's for want of memory.
OWN_SIGNALS = (
    signal.SIGSEGV, signal.SIGBUS, signal.SIGILL, signal.SIGFPE, signal.SIGABRT, signal.SIGTRAP, signal.SIGSYS,
    signal.SIGXFSZ,
)  # fmt: skip

# What a module may do whose memory cannot grow.
WITHOUT_MEMORY = ("trap", "wrong_output", "crash", "refused")

POWERCAP = Path("/sys/class/powercap")
# What processors count, by type and number of linux/perf_event.h; the number of the call, by machine.
EVENTS = {"instructions": (0, 1), "cycles": (0, 0), "cache_misses": (0, 3)}
PERF_EVENT_OPEN = {"x86_64": 298, "aarch64": 241, "riscv64": 241}

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


class Unfit(Exception):
    """The device is not fit to give a result now; the text is the cause."""


# ---------------------------------------------------------------------------------------------- what the machine is


def read(path: str) -> Optional[str]:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read().strip()
    except (OSError, UnicodeDecodeError):
        return None


def number(text: Optional[str]) -> Optional[int]:
    return int(text) if text and re.match(r"-?\d+\Z", text) else None


def ranges(numbers: List[int]) -> str:
    """Such as 0-3,8."""
    found: List[List[int]] = []
    for number in numbers:
        if found and number == found[-1][1] + 1:
            found[-1][1] = number
        else:
            found.append([number, number])
    return ",".join("%d-%d" % (a, b) if a != b else str(a) for a, b in found)


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
    told["cpus"] = ranges(sorted(os.sched_getaffinity(0)))
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
    told.update(limits())
    return {key: value for key, value in told.items() if value is not None}


def boot() -> str:
    """What all that runs on one kernel has in common, and nothing else; its identity cannot be told from it."""
    identity = read("/proc/sys/kernel/random/boot_id") or read("/etc/machine-id")
    return hashlib.sha256(identity.encode()).hexdigest()[:16] if identity else ""


def cgroups(controller: str) -> List[Path]:
    """The directories that tell this process's limits of a kind, its own first and then those it stands in."""
    found = []
    for line in (read("/proc/self/cgroup") or "").splitlines():
        number_, _, rest = line.partition(":")
        names, _, place = rest.partition(":")
        if number_ == "0" or controller in names.split(","):
            root = CGROUPS / ("" if number_ == "0" else controller)
            own = root / place.lstrip("/")
            found += [folder for folder in [own, *own.parents] if folder == root or root in folder.parents]
    return [folder for folder in found if folder.is_dir()]


def limits() -> Message:
    """What this process gets of the machine: quota of processors, limit of memory, priority, hypervisor, battery."""
    shares, memory = [], []
    for folder in cgroups("cpu"):
        words = (read(str(folder / "cpu.max")) or "").split()  # version 2: microseconds of quota and period
        old = [number(read(str(folder / ("cpu.cfs_%s_us" % name)))) for name in ("quota", "period")]
        if len(words) == 2 and words[0].isdigit():
            shares.append(int(words[0]) / max(1, int(words[1])))
        elif old[0] and old[1] and old[0] > 0:
            shares.append(old[0] / old[1])
    for folder in cgroups("memory"):
        for name in ("memory.max", "memory.limit_in_bytes"):
            size = number(read(str(folder / name)))
            if size and size < 1 << 60:  # version 1 tells a huge number for no limit
                memory.append(size)
    supplies = Path("/sys/class/power_supply")
    mains = [
        read(str(kind.parent / "online")) for kind in supplies.glob("*/type") if read(str(kind)) == "Mains"
    ]
    batteries = any(read(str(kind)) == "Battery" for kind in supplies.glob("*/type"))
    return {
        "cpu_quota": min(shares) if shares else None,
        "memory_limit_bytes": min(memory) if memory else None,
        "nice": os.getpriority(os.PRIO_PROCESS, 0),
        "steal_share": steal_share(),
        "hypervisor": True
        if re.search(r"^flags\s*:.*\bhypervisor\b", read("/proc/cpuinfo") or "", re.M)
        else None,
        "on_battery": batteries and "1" not in mains if mains else None,
    }


def steal_share() -> Optional[float]:
    """How much of the processors' time since boot a hypervisor gave to others."""
    times = cpu_times()
    total = sum(times)
    return round(times[7] / total, 4) if len(times) > 7 and total else None


def quota_throttled() -> Optional[int]:
    """How often the quota has stopped this process's group; None where there is no quota."""
    counts = []
    for folder in cgroups("cpu"):
        found = re.search(r"^nr_throttled (\d+)$", read(str(folder / "cpu.stat")) or "", re.M)
        if found:
            counts.append(int(found.group(1)))
    return max(counts) if counts else None


def fixed_work() -> int:
    """The same whole-number work each time, some ten thousand instructions of many kinds."""
    value = 1
    for step in range(500):
        value = (value * 3 + step) & 0xFFFF
    return value


def yardstick_ns() -> Optional[int]:
    """How long `fixed_work` takes: mean over the processors that may be used, 0.3 ms each, less what is far above.

    It needs all of a core: it takes longer where a clock is lower, and nearly twice as long while a guest of the same
    host uses the other half of the core, which no counter of this machine tells.
    """
    allowed = os.sched_getaffinity(0)
    means = []
    try:
        for processor in sorted(allowed)[:YARDSTICK_PROCESSORS]:
            os.sched_setaffinity(0, {processor})
            took: List[int] = []
            while len(took) < 5 or sum(took) < YARDSTICK_NS:
                began = now_ns()
                fixed_work()
                took.append(now_ns() - began)
            near = 3 * min(took)  # what is above was interrupted
            means.append(statistics.mean(one for one in took if one <= near))
    except OSError:
        return None
    finally:
        os.sched_setaffinity(0, allowed)
    return round(statistics.mean(means))


def state() -> Message:
    """What can disturb a measurement and changes: clock, governor, heat, throttling, load, free memory."""
    cpu = "/sys/devices/system/cpu/cpu0/"
    clock = number(read(cpu + "cpufreq/scaling_cur_freq"))
    heat = [number(read(str(zone / "temp"))) for zone in Path("/sys/class/thermal").glob("thermal_zone*")]
    counters = Path("/sys/devices/system/cpu").glob("cpu*/thermal_throttle/core_throttle_count")
    throttled = [number(read(str(path))) for path in counters]
    told: Message = {
        "clock_mhz": clock and clock / 1000,
        "governor": read(cpu + "cpufreq/scaling_governor"),
        "temperature_c": max((t for t in heat if t is not None), default=0) / 1000 or None,
        "throttle_count": sum(t for t in throttled if t) if any(t is not None for t in throttled) else None,
        "load_1m": os.getloadavg()[0],
        "free_memory_bytes": free_memory_bytes(),
        "quota_throttled": quota_throttled(),
        "steal_s": cpu_times()[7] / os.sysconf("SC_CLK_TCK") if len(cpu_times()) > 7 else None,
    }
    return {key: value for key, value in told.items() if value is not None}


def free_memory_bytes() -> Optional[int]:
    available = re.search(r"MemAvailable:\s+(\d+)", read("/proc/meminfo") or "")
    return int(available.group(1)) * 1024 if available else None


def cpu_times() -> List[int]:
    """Jiffies of all processors: user, nice, system, idle, iowait, …"""
    first = (read("/proc/stat") or "cpu 0 0 0 0 0").split("\n", 1)[0]
    return [int(word) for word in first.split()[1:9]]


def processors() -> int:
    """How many `cpu_times` tells of."""
    return len(re.findall(r"^cpu\d", read("/proc/stat") or "", re.M))


def busy_share(before: List[int], after: List[int]) -> float:
    spent = [after[i] - before[i] for i in range(min(len(before), len(after)))]
    return 1 - sum(spent[3:5]) / max(1, sum(spent))


# ---------------------------------------------------------------------------------------------- files on the device


class Files:
    """Everything the agent keeps, under one root: a content-addressed store, runners, artefacts, the spool."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.whole: Dict[str, Any] = {}  # of a file whose hash was right: how it looked then
        for name in ("store", "runners", "artefacts", "spool", "scratch"):
            (root / name).mkdir(parents=True, exist_ok=True)
        self.partial: Dict[str, Any] = {}
        self.sweep()

    def sweep(self) -> None:
        """Remove what dead agents left; the lock is ours, so none is alive."""
        root = self.root
        for place in ("scratch/*", "runners/tmp*", "store/*.part", "spool/*/*.part", "python/tmp*"):
            for path in root.glob(place):
                remove(path)
        for place in (
            "agent-*.part",
            "artefacts/*.[0-9]*",
        ):  # other controllers, and runners that are just dying
            for path in root.glob(place):
                try:
                    if re.search(r"\.(\d+|part)\Z", path.name) and time.time() - path.stat().st_mtime > OLD_S:
                        remove(path)
                except OSError:
                    pass

    def is_whole(self, path: Path, digest: str, anew: bool = False) -> bool:
        """Whether a file still has the content it was stored with; its bytes are read where it looks changed."""
        try:
            found = path.stat()
            look = (found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
            if not anew and self.whole.get(str(path)) == look:
                return True
            if sha256_of(path) != digest:
                return False
        except OSError:
            return False
        self.whole[str(path)] = look
        return True

    def check(self, job: Message, anew: bool = False) -> None:
        """Raises Unfit where a stored file of the job is damaged; it is removed, to be sent again."""
        for spec in job["members"]:
            artefact = spec.get("artefact") or {}
            for digest in (spec["module"], spec["stdin"], *spec["files"].values(), artefact.get("sha256")):
                if digest and not self.is_whole(self.stored(digest), digest, anew):
                    remove(self.stored(digest))
                    raise Unfit("its copy of %s was damaged or gone" % self.stored(digest))
        folder = self.runner_folder(job["engine"]["files"])
        for name, digest in job["engine"]["files"].items():
            if folder.exists() and not self.is_whole(folder / name, digest, anew):
                remove(folder)
                raise Unfit("its copy of %s was damaged or gone" % (folder / name))
        for folder in sorted((self.root / "python").glob("[0-9a-f]*")) if anew else ():
            if (folder / CONTENT).exists() and not is_unpacked(folder):
                wheel = next((self.root / "store").glob(folder.name + "*"), None)
                if wheel and self.is_whole(wheel, wheel.name, anew):
                    self.install([wheel.name])
                raise Unfit("what was installed in %s was damaged; see `harness devices --setup`" % folder)

    def stored(self, digest: str) -> Path:
        if not DIGEST.match(digest):
            raise ValueError("not a SHA-256: %r" % digest[:80])
        return self.root / "store" / digest

    def put(self, digest: str, data: bytes, more: bool) -> None:
        path = self.stored(digest)
        part = path.with_suffix(".part")
        try:
            with open(part, "ab" if digest in self.partial else "wb") as file:
                file.write(data)
        except OSError:
            self.partial.pop(digest, None)
            remove(part)
            raise
        self.partial[digest] = True
        if more:
            return
        del self.partial[digest]
        found = sha256_of(part)
        if found != digest:
            part.unlink()
            raise ValueError("what arrived for %s hashes to %s" % (digest, found))
        os.replace(part, path)

    def runner(self, files: Dict[str, str]) -> Path:
        """A directory holding the named runner files, made once per set of contents."""
        folder = self.runner_folder(files)
        if folder.exists() and not all(self.is_whole(folder / name, files[name]) for name in files):
            remove(folder)
        if not folder.exists():
            partial = Path(tempfile.mkdtemp(dir=str(self.root / "runners")))
            for name, digest in files.items():
                if not NAME.match(name):
                    raise ValueError("not a file name: %r" % name[:80])
                shutil.copyfile(str(self.stored(digest)), str(partial / name))
            os.replace(str(partial), str(folder))
        return folder

    def runner_folder(self, files: Dict[str, str]) -> Path:
        return (
            self.root
            / "runners"
            / hashlib.sha256(json.dumps(files, sort_keys=True).encode()).hexdigest()[:16]
        )

    def install(self, wheels: List[str]) -> None:
        """Unpack stored wheels where runners import from; a wheel that is there already is left alone."""
        for digest in wheels:
            target = self.root / "python" / digest[:16]
            if is_unpacked(target):
                continue
            remove(target)
            self.unpack(digest, target)

    def unpack(self, digest: str, target: Path) -> None:
        """A stored zip as a directory, whole or not at all; what lies in its `bin` can be executed."""
        target.parent.mkdir(exist_ok=True)
        partial = Path(tempfile.mkdtemp(dir=str(target.parent)))
        try:
            with zipfile.ZipFile(str(self.stored(digest))) as given:
                given.extractall(str(partial))
            for program in (partial / "bin").glob("*"):
                program.chmod(0o755)
            note_content(partial)
            os.replace(str(partial), str(target))
        finally:
            remove(partial)

    def bring(self, name: str, digest: Optional[str], undo: bool) -> None:
        """Have a program in a stored zip before others of its name, or without a zip no more; or undo the last such."""
        if not NAME.match(name):
            raise ValueError("not a program's name: %r" % name[:80])
        place, before = self.root / "brought" / name, self.root / "replaced" / name
        if not digest and not undo and not place.exists():
            raise ValueError("no %s was brought to it" % name)
        before.parent.mkdir(exist_ok=True)
        if undo:
            remove(place)
        else:
            remove(before)
            if place.exists():
                os.replace(str(place), str(before))
        if digest:
            self.unpack(digest, place)
        elif undo and before.exists():
            os.replace(str(before), str(place))

    def artefact(self, given: Optional[Message]) -> Optional[Message]:
        """What the controller compiled for this device, with its path here."""
        return given and dict(given, path=str(self.stored(given["sha256"])))

    def import_path(self) -> str:
        return os.pathsep.join(str(path) for path in sorted((self.root / "python").glob("[0-9a-f]*")))

    def spool(self, dataset: str, job: str) -> Path:
        if not NAME.match(dataset) or not NAME.match(job):
            raise ValueError("not a dataset or job id: %r, %r" % (dataset[:80], job[:80]))
        return self.root / "spool" / dataset / (job + ".json")

    def set_aside(self, path: Path, reason: str) -> None:
        """Keep a spooled result that cannot be read apart from the others, with the reason; only a few of them."""
        aside = self.root / "aside"
        aside.mkdir(exist_ok=True)
        kept = sorted(aside.iterdir(), key=lambda one: one.stat().st_mtime)
        for old in kept[: max(0, len(kept) - 2 * (MOST_ASIDE - 1))]:
            remove(old)
        os.replace(path, aside / path.name)
        (aside / path.name).with_suffix(".reason").write_text(reason + "\n", encoding="utf-8")


def content_of(folder: Path) -> str:
    """A line for each file that was unpacked from a wheel, its hash and name, without what Python compiles of it."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return "".join(
        "%s %s\n" % (sha256_of(path), path.relative_to(folder)) for path in paths if path.name != CONTENT
    )


def note_content(folder: Path) -> None:
    content = content_of(folder)
    (folder / CONTENT).write_bytes(content.encode("utf-8", "surrogateescape"))


def is_unpacked(folder: Path) -> bool:
    """Whether a wheel lies there as it was unpacked."""
    try:
        return (folder / CONTENT).read_bytes() == content_of(folder).encode("utf-8", "surrogateescape")
    except OSError:
        return False


def remove(path: Path) -> None:
    """A file, or a directory with all in it; what cannot be removed stays."""
    try:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(str(path), ignore_errors=True)
        else:
            path.unlink()
    except OSError:
        pass


def sha256_of(path: Path) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        for chunk in iter(lambda: file.read(1 << 20), b""):
            digest.update(chunk)
    return digest.hexdigest()


def write_synced(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".part")
    try:
        with open(partial, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    except OSError:
        remove(partial)
        raise


# ---------------------------------------------------------------------------------------------- whether it is fit


def clocks_ns() -> Dict[str, int]:
    """Three clocks at one moment: of all time, of the time it was not suspended, and of the wall."""
    return {
        "boot": time.clock_gettime_ns(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)),
        "monotonic": now_ns(),
        "wall": time.time_ns(),
    }


def out_of_memory_kills() -> int:
    """How often the kernel has killed a process for want of memory, of the machine's or of our groups'.

    0 where it does not tell. What counts is that the number grows.
    """
    names = ("memory.events", "memory.oom_control")  # of version 2 and 1
    told = [read("/proc/vmstat")]
    told += [read(str(folder / name)) for folder in cgroups("memory") for name in names]
    return sum(int(n) for text in told for n in re.findall(r"^oom_kill (\d+)", text or "", re.M))


class Watch:
    """Looks after the device while a job runs. What it sees is judged when the job is over.

    A pause shows in three ways: a sleep that lasts longer than asked for, a clock that counts suspended time and
    one that does not, and a process that is told to continue after a stop.
    """

    def __init__(self, root: Path, lock: int) -> None:
        self.root, self.lock = root, lock
        self.begin()

    def begin(self) -> None:
        self.clocks = clocks_ns()
        self.oom_kills = out_of_memory_kills()
        self.late_ns = 0  # the most that a sleep took too long
        self.cause = ""  # what was seen first
        self.looked_ns = 0
        self.stops()  # what was before does not count

    def slept(self, asked_ns: int, took_ns: int) -> None:
        self.late_ns = max(self.late_ns, took_ns - asked_ns)
        if now_ns() - self.looked_ns >= LOOK_NS:
            self.look()

    def look(self) -> None:
        """What may be over again at the end of the job: a full disk, a process that is stopped."""
        self.looked_ns = now_ns()
        try:
            self.room()
            if self.stops():
                raise Unfit("one of the job's processes was stopped")
        except Unfit as unfit:
            self.cause = self.cause or str(unfit)

    def continued(self, *_: Any) -> None:
        """The agent itself was stopped and goes on: a handler of SIGCONT."""
        self.cause = self.cause or "the agent was stopped and went on"

    def stops(self) -> bool:
        """Whether a process that we started was stopped since the last call, or one below those is now."""
        found = False
        while True:
            try:
                told = os.waitid(os.P_ALL, 0, os.WSTOPPED | os.WCONTINUED | os.WNOHANG)
            except OSError:  # there are none
                return found
            if told is None:
                break
            found = True
        return found or any(state_of(pid) == "T" for pid in descendants(os.getpid()))

    def room(self) -> None:
        """Raises Unfit unless files can be kept, as far as can be told without writing any."""
        try:
            found, mine = os.statvfs(str(self.root / "scratch")), os.fstat(self.lock)
            there = os.stat(str(self.root / "agent.lock"))
        except OSError as error:
            raise Unfit("its cache %s is gone: %s" % (self.root, error.strerror)) from error
        if (there.st_dev, there.st_ino) != (mine.st_dev, mine.st_ino):
            raise Unfit("its cache %s was removed and made anew while it was used" % self.root)
        free = found.f_bavail * found.f_frsize
        if free < LEAST_DISK_BYTES:
            raise Unfit("its disk is full: %d kB are free in %s" % (free >> 10, self.root))
        if found.f_files and found.f_favail < LEAST_INODES:
            raise Unfit("its disk is full: %d more files can be made in %s" % (found.f_favail, self.root))

    def writable(self, place: Path) -> None:
        """Raises Unfit where no file can be written in a directory."""
        self.room()
        probe = place / ".probe"
        try:
            with open(probe, "wb") as file:
                file.write(b"p" * PROBE_BYTES)
        except OSError as error:
            raise Unfit("nothing can be written in %s: %s" % (place, error.strerror)) from error
        finally:
            remove(probe)

    def judge(self, result: Message, limit_ns: int, scratch: Path) -> None:
        """Raises Unfit where the device was not fit to give this result."""
        members = result["members"]
        starved = out_of_memory_kills() > self.oom_kills
        for member in members:
            if member["status"] == "device_unfit":
                raise Unfit(member["reason"] + ("; its memory ran out" if starved else ""))
        self.look()
        if self.cause:
            raise Unfit(self.cause)
        self.writable(scratch)
        after, failed = clocks_ns(), any(member["status"] != "ok" for member in members)
        passed = {name: after[name] - before for name, before in self.clocks.items()}
        if passed["boot"] - passed["monotonic"] > SUSPENDED_NS:
            asleep_s = (passed["boot"] - passed["monotonic"]) / 1e9
            raise Unfit("it was suspended for %.1f s while the job ran" % asleep_s)
        pause_ns = PAUSE_NS
        if any(member["status"] == "timeout" for member in members):
            pause_ns = min(pause_ns, max(50 * 10**6, limit_ns // 4))
        if self.late_ns > pause_ns:
            raise Unfit("it stood still for %.1f s while the job ran" % (self.late_ns / 1e9))
        longest_ns = max((taken[1] for member in members for taken in member["samples"]), default=0)
        if longest_ns > limit_ns + PAUSE_NS:
            told = (longest_ns / 1e9, limit_ns / 1e9)
            raise Unfit("an execution of %.1f s ended by itself under a limit of %g s: it stood still" % told)
        if failed and starved:
            raise Unfit("its memory ran out: the kernel killed a process for it")
        for output in scratch.rglob("stdout") if failed else ():
            try:
                with open(output, "ab") as file:
                    file.write(b"p" * PROBE_BYTES)
            except OSError as error:
                raise Unfit("a module's output cannot be written: %s" % error.strerror) from error
        stepped_s = (passed["wall"] - passed["boot"]) / 1e9
        if abs(stepped_s) > 1:
            note = "its clock of the wall was set by %+.0f s while the job ran" % stepped_s
            result["note"] = "; ".join(filter(None, [result["note"], note]))


def device_unfit(job: Message, result: Message, cause: str) -> Message:
    """The result of a job that the device was not fit for; nothing of what was measured is kept."""
    members = [
        {"workload": spec["workload"], "status": "device_unfit", "reason": cause, "samples": []}
        for spec in job["members"]
    ]
    return dict(result, members=members)


# ---------------------------------------------------------------------------------------------- processes


def state_of(pid: int) -> str:
    """R, S, T, Z…; empty for none."""
    return (read("/proc/%d/stat" % pid) or "").rpartition(")")[2].strip()[:1]


def children(pid: int) -> List[int]:
    return [int(child) for child in (read("/proc/%d/task/%d/children" % (pid, pid)) or "").split()]


def descendants(pid: int) -> List[int]:
    """All processes below one."""
    found: List[int] = []
    waiting = children(pid)
    while waiting and len(found) < 1000:
        found.append(waiting.pop())
        waiting += children(found[-1])
    return found


def waited_ns(pid: int) -> int:
    """How long a thread of a process, or of those below it, was ready and had no processor: of all the longest."""
    longest = 0
    for process in [pid, *descendants(pid)]:
        for path in Path("/proc/%d/task" % process).glob("*/schedstat"):
            words = (read(str(path)) or "").split()
            longest = max(longest, int(words[1]) if len(words) == 3 else 0)
    return longest


AHEAD: Set[int] = set()  # runners that were started for the next job


def end_all() -> None:
    """Kill whatever a job or a detection left; orphans are our children, since we are their reaper."""
    deadline = now_ns() + 2 * 10**9
    while now_ns() < deadline:
        left = [pid for pid in descendants(os.getpid()) if pid not in AHEAD]
        if not left:
            return
        for pid in left:
            try:
                os.kill(pid, signal.SIGKILL)
            except OSError:
                pass
        for pid in left:
            try:
                os.waitpid(pid, os.WNOHANG)
            except OSError:
                pass
        time.sleep(0.001)


def jiffies_of(pid: int) -> int:
    """What a process and those of its children that have ended used of the processors."""
    words = (read("/proc/%d/stat" % pid) or "").rpartition(")")[2].split()
    return sum(int(word) for word in words[11:15])


class Others:
    """What else used the processors while a job was measured: other programs, or a hypervisor that took them away."""

    def __init__(self) -> None:
        self.before = self.look()

    @staticmethod
    def look() -> Tuple[int, List[int], int, int]:
        own = [os.getpid(), *descendants(os.getpid())]
        return now_ns(), cpu_times(), sum(map(jiffies_of, own)), len(own)

    def load(self) -> Tuple[Optional[float], float]:
        """How many processors others used on average, None where the kernel does not tell; how far off that may be.

        What was not idle and not ours. Both are counted in jiffies, a process or processor at a time, so that each
        may be off by one.
        """
        (began, times, used, _), (ended, times_now, used_now, count) = self.before, self.look()
        spent = [now - was for was, now in zip(times, times_now)]  # noqa: B905
        tick_s, window_s, cpus = 1 / os.sysconf("SC_CLK_TCK"), (ended - began) / 1e9, processors()
        if sum(spent) <= 0 or not cpus:
            return None, 0.0
        other_s = cpus * window_s - tick_s * (sum(spent[3:5]) + used_now - used)
        return max(0.0, other_s / window_s), tick_s * (cpus + count) / window_s


class Guard:
    """A process that outlives the agent, however that ends, and kills what its runners have started.

    Those are known by a mark in their environment, since they may have left every group and session of ours.
    """

    VARIABLE = "HARNESS_JOBS_OF"
    PROGRAM = """
import os, signal, sys, time
if sys.argv[2:]:
    if os.fork():
        os._exit(0)
    os.read(0, 1)
for _ in range(100):
    found = 0
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open("/proc/%s/environ" % pid, "rb") as file:
                if sys.argv[1].encode() in file.read():
                    os.kill(int(pid), signal.SIGKILL)
                    found += 1
        except OSError:
            pass
    if not found:
        break
    time.sleep(0.02)
"""

    def __init__(self, root: Path) -> None:
        place = "%s=%s-" % (self.VARIABLE, hashlib.sha256(str(root.resolve()).encode()).hexdigest()[:16])
        mark = "%s%d-%d" % (place, os.getpid(), now_ns())
        self.start(subprocess.DEVNULL, place)  # what agents left that died together with their guard
        read_end, self.pipe = os.pipe()  # its end tells the guard of ours
        self.start(read_end, mark, "stay")
        os.close(read_end)
        os.environ[self.VARIABLE] = mark.partition("=")[2]

    def start(self, stdin: int, *words: str) -> None:
        kept = {name: value for name, value in os.environ.items() if name != self.VARIABLE}
        subprocess.run(
            [sys.executable, "-I", "-S", "-c", self.PROGRAM, *words],
            stdin=stdin,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            env=kept,
            start_new_session=True,
            timeout=DETECT_S,
        )


# ---------------------------------------------------------------------------------------------- one workload of a job


class Counters:
    """What the processors count for a thread and what it starts, outside of the kernel, where that is allowed."""

    def __init__(self, pid: int, events: Dict[str, Tuple[int, int]]) -> None:
        self.opened: Dict[str, int] = {}
        call = PERF_EVENT_OPEN.get(platform.machine()) if struct.calcsize("P") == 8 else None
        for name, (kind, number) in events.items() if call else ():
            told = bytearray(
                112
            )  # struct perf_event_attr: inherited, without kernel and hypervisor, times told
            struct.pack_into("=IIQQQQQ", told, 0, kind, len(told), number, 0, 0, 3, 1 << 1 | 1 << 5 | 1 << 6)
            attributes = (ctypes.c_char * len(told)).from_buffer(told)
            opened = _LIBC.syscall(call, attributes, pid, -1, -1, 8)  # PERF_FLAG_FD_CLOEXEC
            if opened >= 0:
                self.opened[name] = opened

    def take(self) -> Dict[str, float]:
        """Each count until now; one that shared its register with others is scaled to all of the time."""
        found = {}
        for name, opened in self.opened.items():
            try:
                count, enabled, running = struct.unpack("=QQQ", os.read(opened, 24))
            except (OSError, struct.error):
                continue
            finally:
                os.close(opened)
            if running:
                found[name] = count * enabled / running
        self.opened.clear()
        return found


def energy_uj() -> Optional[List[Tuple[int, int]]]:
    """Of each processor package the energy counter and where it begins anew, µJ; None where they cannot be read."""
    found = []
    for zone in sorted(POWERCAP.glob("intel-rapl:*")):
        if zone.name.count(":") == 1 and (read(str(zone / "name")) or "").startswith("package"):
            energy, most = (
                number(read(str(zone / "energy_uj"))),
                number(read(str(zone / "max_energy_range_uj"))),
            )
            if energy is None or not most:
                return None
            found.append((energy, most))
    return found or None


class Meters:
    """Energy and counts while members execute, per execution: each rate × the mean time of what was executed."""

    def __init__(self, members: List["Member"]) -> None:
        self.members = [(one, len(one.walls), Counters(one.process.pid, EVENTS)) for one in members]
        self.began_ns, self.energy = now_ns(), energy_uj() if len(members) == 1 else None

    def tell(self) -> None:
        """Put it into the results. What ran for whom is not told apart, so energy is told of members alone only."""
        energy, ended_ns = energy_uj() if self.energy else None, now_ns()
        for member, begin, counters in self.members:
            counts, walls = counters.take(), member.walls[begin:]
            if not walls or member.failure or not member.loop_start_ns:
                continue
            mean_ns = sum(walls) / len(walls)
            until_ns = ended_ns if member.running else member.last_end_ns()
            for name, count in counts.items():
                member.result[name] = count * mean_ns / max(1, until_ns - member.loop_start_ns)
            if self.energy and energy and len(energy) == len(self.energy):
                used = sum((b - a) % most for (a, most), (b, _) in zip(self.energy, energy))  # noqa: B905
                member.result["energy_j"] = used / 1e6 * mean_ns / max(1, ended_ns - self.began_ns)


class Member:
    """A workload of the running job and the runner process that executes it."""

    def __init__(
        self, spec: Message, job: Message, files: Files, folder: Path, cpus: Optional[List[int]] = None
    ) -> None:
        self.spec, self.folder = spec, folder
        self.result: Message = {"workload": spec["workload"], "status": "ok", "reason": "", "samples": []}
        self.events: Deque[Message] = collections.deque()
        self.failure: Optional[Failure] = None
        self.first: Message = {}
        self.starts, self.walls = array.array("q"), array.array("q")  # of every execution, ns
        self.chunks: List[Tuple[int, float, float, int]] = []  # from which execution on: user, system, memory
        self.warm_until_ns: Optional[int] = None  # executions that began before it are no samples
        self.loop_start_ns: Optional[int] = None
        self.running = self.enough = False
        self.limit_at_ns = 0  # when the limit ends what it executes
        self.look_at = BLOCKS[0]  # executions at which it is looked whether their mean is known
        self.untold = 0
        self.unsteady = self.disturbed = ""
        self.exit_code = 0
        self.partial_line = b""
        self.own = folder / "own"
        self.own.mkdir(parents=True)
        self.stderr = open(folder / "stderr", "w+b")  # noqa: SIM115
        self.process = subprocess.Popen(
            command_line(job["engine"], files),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.stderr,
            cwd=str(folder),
            env=environment(files),
            start_new_session=True,
            preexec_fn=limiter(cpus or job.get("cpus")),
        )
        assert self.process.stdin is not None and self.process.stdout is not None
        self.to_runner, self.from_runner = self.process.stdin, self.process.stdout

    def bring_input(self, files: Files) -> None:
        """Put copies of its input files into the module's directory."""
        for guest, digest in self.spec["files"].items():
            if os.path.isabs(guest) or ".." in Path(guest).parts:
                raise ValueError("input file outside the module's directory: %r" % guest[:80])
            (self.own / guest).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(str(files.stored(digest)), str(self.own / guest))

    def tell(self, **command: Any) -> None:
        try:
            self.to_runner.write(json.dumps(command).encode() + b"\n")
            self.to_runner.flush()
        except OSError:
            pass  # it has died: its end of file says how

    def run(self, **command: Any) -> None:
        self.running, self.enough, self.loop_start_ns = True, False, None
        self.untold = 0  # executions that it had recorded and not told when it had enough
        self.tell(cmd="run", **command)

    def absorb(self) -> None:
        """Take what the runner wrote; its end, a trap or a refusal becomes ``failure``."""
        data = os.read(self.from_runner.fileno(), 1 << 16)
        *lines, self.partial_line = (self.partial_line + data).split(b"\n")
        for line in lines:
            try:
                event = json.loads(line)
                kind, reason = event["event"], str(event.get("reason", ""))
            except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
                self.failure = Failure(
                    "crash", "the runner said what is not of its protocol: %r" % line[:120]
                )
                return
            if kind in ("trap", "fail", "unfit"):
                status = {"trap": "trap", "fail": "refused", "unfit": "device_unfit"}[kind]
                self.failure = Failure(status, reason)
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
            name = next((known.name for known in signal.Signals if known == -code), "signal %d" % -code)
            limited = -code == signal.SIGXFSZ and most_file_bytes() < MAX_FILE_BYTES
            status = "crash" if -code in OWN_SIGNALS and not limited else "device_unfit"
            return Failure(status, "the runner was killed by %s" % name)
        self.stderr.seek(0)
        last = self.stderr.read(1 << 16).decode("utf-8", "replace").strip().rpartition("\n")[2]
        return Failure("crash", ("the runner ended with exit code %d: %s" % (code, last))[:500])

    def verify(self, first: Message) -> None:
        """Take the first execution, and compare it with what the suite expects."""
        expect = self.spec["expect"]
        self.first, self.exit_code = first, first["exit_code"]
        self.record(first)
        self.result["warmup_ns"] = self.walls[0]
        if self.exit_code != expect["exit_code"]:
            raise Failure(
                "wrong_output", "exit code %d instead of %d" % (self.exit_code, expect["exit_code"])
            )
        if expect["stdout_sha256"] or expect.get("stdout_matches"):
            output = (self.folder / "stdout").read_bytes()
            wanted = expect.get("stdout_matches")
            if wanted and not re.search(wanted.encode(), output):
                raise Failure(
                    "wrong_output", "stdout has nothing that matches %r: %r" % (wanted, output[-120:])
                )
            if expect["stdout_sha256"] and hashlib.sha256(output).hexdigest() != expect["stdout_sha256"]:
                raise Failure("wrong_output", "stdout differs from the expected: %r" % output[:120])

    def record(self, event: Message) -> None:
        """Add executions that the runner recorded."""
        pairs = array.array("q", base64.b64decode(event["times"]))
        if event["exit_code"] != self.exit_code:
            reason = "exit code %d after %d in the first execution" % (event["exit_code"], self.exit_code)
            self.failure = Failure("wrong_output", reason)
            pairs = pairs[:-2]
        starts = pairs[::2]
        walls = array.array("q", map(operator.sub, pairs[1::2], starts))
        whole = max(1, sum(walls))
        self.chunks.append(
            (len(self.walls), event["user_ns"] / whole, event["sys_ns"] / whole, event["max_rss_kb"])
        )
        self.starts += starts
        self.walls += walls

    def note_events(self) -> None:
        """Take what the runner says of a run."""
        while self.events:
            event = self.events.popleft()
            if event["event"] == "looping":
                self.loop_start_ns = event["start_ns"]
            elif event["event"] == "enough":
                self.enough, self.untold = True, int(event.get("untold", 0))
            else:
                self.record(event)
                self.running = not event["last"]

    def is_known(self, precision: float, from_ns: int) -> bool:
        """Whether the mean of its samples is; looked at after 5, and then each time there are half as many again."""
        samples = self.walls[bisect.bisect_left(self.starts, from_ns) :]
        if len(samples) < self.look_at:
            return False
        self.look_at = len(samples) + (len(samples) + 1) // 2
        error = standard_error(samples)
        return error is not None and error <= precision

    def typical_ns(self) -> float:
        """How long an execution takes, by the latest ones."""
        return statistics.median(self.walls[-20:])

    def last_end_ns(self) -> int:
        return self.starts[-1] + self.walls[-1] if self.walls else 0

    def loop_end_ns(self, end_ns: int) -> int:
        """Until when it certainly ran: its last whole execution, or the end of the job if that cut one short."""
        if self.running and not self.failure:
            return end_ns
        return max(self.loop_start_ns or 0, self.last_end_ns())

    def beside(self, others: Others) -> None:
        """Note what else used the processors while this was measured."""
        load, error = others.load()
        self.result["other_load"] = load
        if load is not None and load > OTHER_LOAD + error:
            self.disturbed = "others used %.2f processors meanwhile" % load

    def sample(self, index: int, covered: bool, warm: bool) -> List[Any]:
        """An execution as it is stored; its processor time is its part of what was taken in its chunk."""
        _, user, system, memory = self.chunks[bisect.bisect(self.chunks, (index, math.inf)) - 1]
        wall = self.walls[index]
        return [self.starts[index], wall, round(user * wall), round(system * wall), memory, covered, warm]

    def kill(self) -> None:
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            pass

    def bury(self) -> None:
        """Wait until it has ended."""
        self.process.wait()
        for stream in (self.to_runner, self.from_runner, self.stderr):
            try:
                stream.close()
            except OSError:
                pass


class Ahead:
    """The next job, its place for files, and its runners, which are started or starting and know nothing of it."""

    def __init__(self, job: Message, scratch: Path) -> None:
        self.job, self.scratch = job, scratch
        self.members: List[Member] = []

    def is_started(self) -> bool:
        return all(member.events or member.failure for member in self.members)


def summarise(members: List[Member], end_ns: int, job: Message) -> None:
    """Tell warm-ups from samples, mark each sample as covered or not (all co-runners ran from its start to its end),
    and settle each status."""
    for member in members:
        member.failure = cause(member.failure, member.spec, job)
    for member in members:
        others = [other for other in members if other is not member]
        result, starts, walls, count = member.result, member.starts, member.walls, len(member.walls)
        all_from = max((o.loop_start_ns or end_ns for o in others), default=0)
        all_until = min((o.loop_end_ns(end_ns) for o in others), default=end_ns)
        warm = count if member.warm_until_ns is None else bisect.bisect_left(starts, member.warm_until_ns)
        begin = max(warm, bisect.bisect_left(starts, all_from))
        end = begin
        while end < count and starts[end] + walls[end] <= all_until:
            end += 1
        covered, keep = walls[begin:end], job["keep"]
        result["samples"] = [
            member.sample(i, begin <= i < end, i < warm)
            for i in range(count)
            if (min(i, warm - 1 - i) < KEPT_WARM and i < warm)
            or begin <= i < begin + keep
            or ((warm <= i < begin or end <= i) and count - (end - begin) - warm <= keep)
        ]
        result["more_count"], result["more_wall_ns"] = len(covered[keep:]), sum(covered[keep:])
        result["loop_start_ns"] = member.loop_start_ns
        result["loop_end_ns"] = member.loop_end_ns(end_ns) if member.loop_start_ns else None
        result["regime"] = job["regime"]
        result["warm_executions"], result["warm_ns"] = warm, sum(walls[:warm])
        result["executions_asked"], result["executions"] = job["least"], count - warm
        result["standard_error"] = standard_error(covered)
        if member.running and not member.enough and end_ns >= member.limit_at_ns:
            result["cut_off_ns"] = max(0, end_ns - member.last_end_ns())
        told = [member.disturbed, member.unsteady, unsteadiness(covered, alone=not others)]
        result["unsteady"] = "; ".join(filter(None, told)) or None
        failed = [other for other in others if other.failure]
        if member.failure:
            result.update(status=member.failure.status, reason=member.failure.reason)
        elif not covered:
            if failed:
                failure = failed[0].failure
                assert failure is not None
                reason = "%s: %s, %s" % (failed[0].spec["workload"], failure.status, failure.reason)
                result.update(status="co_runner_failed", reason=reason[:500])
            elif count > warm:
                result.update(
                    status="uncovered", reason="no execution had all co-runners beside it to its end"
                )
            else:
                reason = "no whole execution within the limit of %g s" % (job["limit_ns"] / 1e9)
                result.update(status="timeout", reason=reason)


def cause(failure: Optional[Failure], spec: Message, job: Message) -> Optional[Failure]:
    """The failure as ``out_of_memory`` where the workload is known to need more memory than the job gives it.

    Engines do not tell: growing memory fails as the module asked for it, and it is the module that traps then, prints
    something else or ends with another exit code.
    """
    needed = spec.get("memory_bytes")
    if not failure or not needed:
        return failure
    given = job["memory_bytes"]
    if needed <= given:
        return failure
    # Some hand on what the kernel said, which otherwise is the device's trouble.
    asked = failure.status == "device_unfit" and re.search(
        r"annot allocate memory|os error 12\b", failure.reason
    )
    if failure.status not in WITHOUT_MEMORY and not asked:
        return failure
    told = "it needs %d MiB of memory and was given %d: %s" % (-(-needed >> 20), given >> 20, failure.reason)
    return Failure("out_of_memory", told[:500])


# ---------------------------------------------------------------------------------------------- when it is known


def standard_error(walls: Sequence[int]) -> Optional[float]:
    """Of the mean of executions in sequence, as a share of it; None where they are fewer than five.

    It is taken from means of blocks, so that drift, and what neighbours have in common, count: of 5 blocks, and where
    there are twice 20 executions also of 20, the larger one. Few blocks know little of their spread (Student's t), and
    blocks as short as L executions still have something in common. That is reckoned as though what an execution has in
    common with all before and after it came to one execution more on either side: times √(1 + 2/L).
    """
    count, mean = len(walls), sum(walls) / max(1, len(walls))
    found = []
    for blocks in BLOCKS:
        if count >= blocks * (1 if blocks == BLOCKS[0] else 2):
            ends = [i * count // blocks for i in range(blocks + 1)]
            means = [sum(walls[a:b]) / (b - a) for a, b in zip(ends, ends[1:])]  # noqa: B905, RUF007
            common = math.sqrt(1 + 2 * blocks / count)
            found.append(WIDER[blocks] * common * statistics.stdev(means) / math.sqrt(blocks) / max(1, mean))
    return max(found, default=None)


# ---------------------------------------------------------------------------------------------- when it is steady


def change(before: Sequence[int], after: Sequence[int], least: float) -> Optional[float]:
    """By what share executions became slower (or, negative, faster), by their medians.

    None where that is less than ``least``, or than three standard errors: of a median 1.25 σ/√n, with σ by the median
    deviation (1.48 of it), and more where there are too few to know it.
    """
    was, became = statistics.median(before), statistics.median(after)
    off = [abs(wall - was) for wall in before] + [abs(wall - became) for wall in after]
    count = min(len(before), len(after))
    error = 1.25 * 1.48 * statistics.median(off) * math.sqrt(2 / count) * (1 + 4 / count)
    share = became / max(1, was) - 1
    return share if abs(share) > max(least, 3 * error / max(1, was)) else None


def still_warming(walls: Sequence[int]) -> Optional[float]:
    """How the last quarter of the executions so far differs from the quarter before it; None where they agree."""
    quarter = max(1, len(walls) // 4)
    return change(walls[-2 * quarter : -quarter], walls[-quarter:], STEADY)


def unsteadiness(walls: Sequence[int], alone: bool) -> str:
    """Why samples do not belong to one steady state: they drift, change at once, or (alone) are of two kinds."""
    if len(walls) < FEWEST:
        return ""
    third = len(walls) // 3
    drift = change(walls[:third], walls[-third:], DRIFT)
    if drift is not None:
        tenth = len(walls) // 10
        levels = [statistics.median(walls[i * tenth : (i + 1) * tenth]) for i in range(10)]
        steps = [after / max(1, before) - 1 for before, after in zip(levels, levels[2:])]  # noqa: B905
        at = max(range(8), key=lambda i: steps[i] / drift)
        where = "from the first third of %d executions to the last" % len(walls)
        if steps[at] / drift > 0.8:
            where = "at once, after about %d of %d executions" % ((at + 1) * tenth, len(walls))
        return "became %.0f %% %s %s" % (100 * abs(drift), "slower" if drift > 0 else "faster", where)
    return two_kinds(walls) if alone else ""  # beside others some executions are interrupted and some are not


def two_kinds(walls: Sequence[int]) -> str:
    """Tells of executions that take either one time or another, with nothing in between."""
    order = sorted(walls)
    tenth = len(order) // 10
    at = max(range(tenth, len(order) - tenth), key=lambda i: order[i] / max(1, order[i - 1]))
    low, high = order[:at], order[at:]
    gap = high[0] - low[-1]
    spread = max(part[-1 - len(part) // 10] - part[len(part) // 10] for part in (low, high))
    if gap < max(2 * spread, TWO_KINDS * low[-1]):
        return ""
    return "%.0f %% of executions take %.3g ms, the others %.3g ms" % (
        100 * len(low) / len(order), statistics.median(low) / 1e6, statistics.median(high) / 1e6,
    )  # fmt: skip


def command_line(engine: Message, files: Files) -> List[str]:
    """Program, runner and arguments; ``python`` means the interpreter that runs this agent."""
    folder = files.runner(engine["files"])
    program = sys.executable if engine["program"] == "python" else shutil.which(engine["program"])
    if not program:
        raise Failure("refused", "no %s on this device" % engine["program"])
    return [program, *engine["program_args"], str(folder / engine["entry"]), *engine["args"]]


def run_to_end(argv: List[str], within_s: float, env: Dict[str, str]) -> "tuple[int, bytes, bytes]":
    """Exit code and output of a command, of which nothing runs on. Raises subprocess.TimeoutExpired, OSError."""
    process = subprocess.Popen(
        argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env,
        start_new_session=True, preexec_fn=limiter(None),
    )  # fmt: skip
    try:
        out, err = process.communicate(timeout=within_s)
        return process.returncode, out, err
    finally:
        process.kill()
        process.wait()
        end_all()
        for stream in (process.stdout, process.stderr):
            if stream:
                stream.close()


def why(error: BaseException) -> str:
    """What went wrong: of what the system refused its words with the file, of anything else its kind too."""
    if isinstance(error, OSError) and error.strerror:
        return "%s: %s" % (error.filename, error.strerror) if error.filename else error.strerror
    return "%s: %s" % (type(error).__name__, error)


def printable(text: str) -> str:
    """Short, and without what is no text elsewhere, such as half of a surrogate pair."""
    return text[:500].encode("utf-8", "replace").decode()


def search_path(root: Path) -> str:
    """Where programs are looked up: what was brought, PATH, what was installed, and where engines put themselves."""
    home = os.path.expanduser("~")
    usual = [
        Path(home, "." + name, "bin")
        for name in ("wasmtime", "wasmer", "wasmedge", "cargo", "local", "bun", "deno")
        if home != "~"  # a user without a name has no home directory
    ]
    brought, installed = sorted((root / "brought").glob("*/bin")), sorted((root / "python").glob("*/bin"))
    known = os.environ.get("PATH", os.defpath).split(os.pathsep)
    return os.pathsep.join(dict.fromkeys([*map(str, brought), *known, *map(str, [*installed, *usual])]))


def environment(files: Files) -> Dict[str, str]:
    """A runner's environment: what finding programs needs, and the installed wheels."""
    names = ("PATH", "HOME", "LANG", "LD_LIBRARY_PATH", Guard.VARIABLE)
    kept = {name: os.environ[name] for name in names if name in os.environ}
    path = files.import_path()
    return dict(kept, PYTHONPATH=path) if path else kept


def places(job: Message) -> List[Optional[List[int]]]:
    """The processors that each member is held to: all the same one, each its own, or as the device's file says."""
    allowed = job.get("cpus") or sorted(os.sched_getaffinity(0))
    count = len(job["members"])
    if job.get("pin") == "one":
        return [allowed[-1:]] * count
    if job.get("pin") == "each":
        if len(allowed) < count:
            raise ValueError(
                "%d workloads cannot have a processor each: there are %d" % (count, len(allowed))
            )
        return [[cpu] for cpu in allowed[-count:]]
    return [job.get("cpus")] * count


def room(for_ns: int, typical_ns: float, least: int = 0) -> int:
    """For how many executions a runner gets an array: four times those that are to be expected."""
    return min(MOST_RECORDED, 1000 + 4 * (least + int(for_ns / max(1, typical_ns))))


def limiter(cpus: Optional[List[int]]) -> Callable[[], None]:
    def limit() -> None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, most_bytes))
        if cpus:
            os.sched_setaffinity(0, cpus)

    most_bytes = most_file_bytes()
    return limit


def most_file_bytes() -> int:
    """What a runner may write to one file: our limit, or a lower one that this machine has for us."""
    hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    return MAX_FILE_BYTES if hard == resource.RLIM_INFINITY else min(MAX_FILE_BYTES, hard)


# ---------------------------------------------------------------------------------------------- the agent


class Agent:
    def __init__(self, root: Path, lock: int) -> None:
        self.files = Files(root)
        self.watch, self.watching = Watch(root, lock), False
        self.guard = Guard(root)
        _LIBC.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)  # only now: the guard is no child of ours
        self.selector = selectors.DefaultSelector()
        self.again = float(MOST_AGAIN)
        self.selector.register(0, selectors.EVENT_READ, None)
        self.inbox: List[Message] = []
        self.buffer = b""
        self.controller_gone = False
        self.moments: Dict[str, int] = {}  # of the running job, ns
        self.ahead: Optional[Ahead] = None
        self.has_room = (limits()["memory_limit_bytes"] or 1 << 60) >= 4 * AHEAD_BYTES
        self.heard_ns = now_ns()
        os.set_blocking(1, False)
        woken, wake = os.pipe()
        os.set_blocking(wake, False)
        self.selector.register(woken, selectors.EVENT_READ, None)
        signal.set_wakeup_fd(wake)
        signal.signal(signal.SIGTERM, self.dismiss)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.signal(signal.SIGCONT, self.watch.continued)

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
            try:
                message = json.loads(line)
                if message["op"] == "ping":
                    self.say(event="alive")
                elif message["op"] == "drop":
                    self.say(event="dropped", jobs=self.drop())
                else:
                    self.inbox.append(message)
            except (ValueError, KeyError, TypeError, RecursionError) as error:
                self.say(event="error", reason="not a message: %s" % error)

    def wait(self, deadline: int) -> List[Any]:
        """Members with something to read, and meanwhile the controller's words; at most until the deadline."""
        readable, started_ns = [], now_ns()
        asked_ns = max(0, min(deadline - started_ns, LOOK_NS if self.watching else 10**9))
        ready = self.selector.select(asked_ns / 1e9)
        if self.watching:
            self.watch.slept(asked_ns, now_ns() - started_ns)
        if now_ns() - self.heard_ns > SILENCE_NS and not any(key.fd == 0 for key, _ in ready):
            self.controller_gone = True
        for key, _ in ready:
            if key.data is not None:
                readable.append(key.data)
            elif key.fd == 0:
                self.listen()
            else:
                os.read(key.fd, 1 << 10)
        return readable

    def serve(self) -> None:
        self.say(event="hello", agent=VERSION, pid=os.getpid(), boot=boot())
        while not self.controller_gone:
            self.wait(now_ns() + 10**9)
            while self.inbox and not self.controller_gone:
                self.answer(self.inbox.pop(0))
        self.drop()

    def drop(self) -> List[str]:
        """Forget what was to be run next; the jobs' names."""
        dropped = [message["job"]["id"] for message in self.inbox if message["op"] == "run"]
        self.inbox = [message for message in self.inbox if message["op"] != "run"]
        if self.ahead:
            self.end_ahead()
        return dropped

    def answer(self, message: Message) -> None:
        try:
            getattr(self, "on_" + message["op"])(message)
        except Exception as error:  # whatever it is, the device's other jobs go on
            self.say(event="error", reason=printable("%s: %s" % (type(error).__name__, error)))

    def on_facts(self, message: Message) -> None:
        free = shutil.disk_usage(str(self.files.root)).free
        self.say(
            event="facts", facts=dict(facts(), free_disk_bytes=free), state=state(), unix_ns=time.time_ns()
        )

    def on_have(self, message: Message) -> None:
        self.say(
            event="missing",
            digests=[d for d in message["digests"] if not self.files.is_whole(self.files.stored(d), d)],
        )

    def on_put(self, message: Message) -> None:
        self.files.put(message["sha256"], base64.b64decode(message["data"]), message["more"])
        if not message["more"]:
            self.say(event="stored", sha256=message["sha256"])

    def on_install(self, message: Message) -> None:
        self.files.install(message["wheels"])
        os.environ["PATH"] = search_path(self.files.root)
        self.say(event="installed")

    def on_bring(self, message: Message) -> None:
        self.files.bring(message["name"], message["sha256"], message["undo"])
        os.environ["PATH"] = search_path(self.files.root)
        self.say(event="brought")

    def on_detect(self, message: Message) -> None:
        self.say(event="detected", engines={name: self.detect(e) for name, e in message["engines"].items()})

    def on_run(self, message: Message) -> None:
        self.run(message["dataset"], message["job"])

    def on_spool(self, message: Message) -> None:
        for path in sorted(self.files.spool(message["dataset"], "x").parent.glob("*.json")):
            try:
                if path.stat().st_size > MAX_SPOOLED_BYTES:
                    raise ValueError("it has more than %d bytes" % MAX_SPOOLED_BYTES)
                result = json.loads(path.read_bytes().decode())
                if result["job"] != path.stem:
                    raise ValueError("it is the result of another job")
            except (OSError, ValueError, KeyError, TypeError, RecursionError, MemoryError) as error:
                reason = printable(why(error))
                self.files.set_aside(path, reason)
                self.say(event="aside", job=path.stem[:200], reason=reason)
                continue
            self.say(event="result", job=path.stem, result=result)
        self.say(event="spool_end")

    def on_aside(self, message: Message) -> None:
        path = self.files.spool(message["dataset"], message["job"])
        if path.exists():
            self.files.set_aside(path, message["reason"])

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
            code, out, err = run_to_end(argv, DETECT_S, environment(self.files))
            if code == 0:
                return {"version": printable(str(json.loads(out.decode())["version"]))}
            reason = printable(err.decode("utf-8", "replace").strip().rpartition("\n")[2])
        except Failure as failure:
            reason = printable(str(failure))
        except (OSError, ValueError, KeyError, TypeError, subprocess.SubprocessError) as error:
            reason = printable(why(error))
        return {"absent": reason or "its runner failed"}

    def run(self, dataset: str, job: Message) -> None:
        """Run a job to its end; the result is on disk before it is sent."""
        spooled = self.files.spool(dataset, job["id"])
        self.moments = {}
        self.moment("begun")
        try:
            result = self.judged(job)
        except Cancelled:
            self.say(event="cancelled", job=job["id"])
            return
        self.moment("judged")
        result["moments"] = self.moments
        try:
            write_synced(spooled, json.dumps(result).encode())
        except OSError as error:
            result["note"] = printable("%s; not spooled on the device: %s" % (result["note"], why(error)))
        self.say(event="result", job=job["id"], result=result)

    def moment(self, name: str) -> None:
        """Note when the running job came so far; tests/perf/bench_seconds.py tells from that where its time goes."""
        self.moments[name] = now_ns()

    def judged(self, job: Message) -> Message:
        """The result of `measure`, or the cause why the device was not fit to give it, before or after."""
        result: Message = {}
        scratch: Optional[Path] = None
        self.watch.begin()
        self.watching = True
        try:
            self.watch.writable(self.files.root / "scratch")
            self.files.check(job)
            if not set(job.get("cpus") or ()) <= os.sched_getaffinity(0):
                raise Unfit("it has no processors %s" % job["cpus"])
            scratch = self.scratch_for(job)
            note = self.gate(job["gate"]) if job.get("gate") else ""
            result = self.opened(job, note)
            self.measure(job, scratch, result)
            for member in result["members"]:
                member["reason"] = printable(member["reason"])
            statuses = {member["status"] for member in result["members"]}
            self.watch.judge(result, job["limit_ns"], scratch)
            self.files.check(job, anew=bool(statuses & {"trap", "crash", "refused", "wrong_output"}))
            if statuses & {"crash", "refused"}:
                for spec in job["members"]:  # perhaps it was what was compiled: the repetition compiles anew
                    for path in self.files.root.glob("artefacts/%s*" % spec["module"]):
                        remove(path)
            return result
        except (Unfit, Failure) as cause:
            return device_unfit(job, result or self.opened(job), printable(str(cause)))
        except (OSError, MemoryError, subprocess.SubprocessError) as error:
            return device_unfit(job, result or self.opened(job), printable(why(error)))
        finally:
            self.watching = False
            if self.ahead and self.ahead.job is job:  # it has not come to use them
                self.end_ahead()
            end_all()
            if scratch:
                remove(scratch)

    def scratch_for(self, job: Message) -> Path:
        """A new place for what the job writes, with its runners in it where they were started ahead."""
        if self.ahead and self.ahead.job is not job:
            self.end_ahead()
        return self.ahead.scratch if self.ahead else self.new_scratch()

    def new_scratch(self) -> Path:
        return Path(tempfile.mkdtemp(dir=str(self.files.root / "scratch")))

    def start_ahead(self) -> None:
        """Start the runners of the job that comes next, where there is one and memory for them.

        What cannot be started is started again when it is needed, and fails then.
        """
        job = next((message["job"] for message in self.inbox if message["op"] == "run"), None)
        if self.ahead or job is None or job.get("cold") or job.get("gate") or not self.has_room:
            return
        free = free_memory_bytes()
        if free is None or free < AHEAD_BYTES:
            return
        try:
            self.ahead = Ahead(job, self.new_scratch())
            for index, (spec, cpus) in enumerate(zip(job["members"], places(job))):  # noqa: B905
                self.start(self.ahead.members, spec, job, self.ahead.scratch / "0" / str(index), cpus)
            AHEAD.update(member.process.pid for member in self.ahead.members)
        except Exception:
            self.end_ahead()

    def wait_for_ahead(self) -> None:
        """Wait until what is started ahead does nothing any more, so that nothing of it falls into what is measured."""
        deadline = now_ns() + AHEAD_NS
        while self.ahead and not self.ahead.is_started():
            if now_ns() >= deadline:
                self.end_ahead()
                return
            self.pump(deadline)

    def end_ahead(self) -> None:
        ahead, self.ahead = self.ahead, None
        if ahead:
            self.end(ahead.members)
            remove(ahead.scratch)

    def take_ahead(self, job: Message) -> List[Member]:
        """The runners of this job that were started ahead; none where one of them has ended meanwhile."""
        ahead = self.ahead
        if not ahead or ahead.job is not job:
            return []
        if any(member.failure for member in ahead.members):
            self.end(ahead.members)
            remove(ahead.scratch / "0")
            ahead.members = []
        self.ahead = None
        AHEAD.difference_update(member.process.pid for member in ahead.members)
        return ahead.members

    @staticmethod
    def opened(job: Message, note: str = "") -> Message:
        """What a result begins with: how the device is before the job."""
        return {"job": job["id"], "started_unix_ns": time.time_ns(), "state_before": state(), "note": note}

    def measure(self, job: Message, scratch: Path, result: Message) -> None:
        """Put into the result what was measured, and how the device was after it."""
        result["state_before"]["yardstick_ns"] = yardstick_ns()
        members = self.undisturbed(job, scratch)
        paced = yardstick_ns()  # at once: it is to tell of the time that was measured
        result.update(members=[m.result for m in members], state_after=dict(state(), yardstick_ns=paced))

    def undisturbed(self, job: Message, scratch: Path) -> List[Member]:
        """Measure; once more where others used the processors meanwhile; what they disturbed least is the result.

        Where they always do, measuring again is no help: so only as often as `MOST_AGAIN` and `AGAIN_A_JOB` allow.
        """
        self.again = min(MOST_AGAIN, self.again + AGAIN_A_JOB)
        tried: List[Tuple[float, List[Member]]] = []
        while True:
            began_ns, place = now_ns(), scratch / str(len(tried))
            members = [self.start_anew(job, place)] if job.get("cold") else self.together(job, place)
            if any(member.failure for member in members):
                return members
            tried.append((members[0].result.get("other_load") or 0.0, members))
            disturbed = any(member.disturbed for member in members)
            if not disturbed or self.again < 1 or now_ns() - began_ns > AGAIN_NS:
                kept = min(tried, key=lambda one: one[0])[1]
                for member, at_first in zip(kept, tried[0][1]):  # noqa: B905
                    if "cached" in at_first.result:  # the job's first load made it, or found it made
                        member.result["cached"] = at_first.result["cached"]
                return kept
            self.again -= 1

    def together(self, job: Message, scratch: Path) -> List[Member]:
        """Measure the members of a job beside each other, or the only one."""
        self.moment("checked")
        members = self.take_ahead(job)
        try:
            try:
                for index, (spec, cpus) in enumerate(() if members else zip(job["members"], places(job))):  # noqa: B905
                    self.start(members, spec, job, scratch / str(index), cpus)
                self.execute(members, job)
            finally:
                end_ns = now_ns()
                self.kill(members)
            summarise(members, end_ns, job)  # while they die: either takes some milliseconds
        finally:
            self.bury(members)
        self.moment("ended")
        return members

    def execute(self, members: List[Member], job: Message) -> None:
        """Prepare the members of a job, warm them up and let them run; a failure is left on its member."""
        for member in members:
            self.prepare(member, members, job)
        self.moment("prepared")
        if not job["least"] or any(member.failure for member in members):
            return
        others = Others()
        self.warm(members, job)
        self.wait_for_ahead()
        self.moment("warm")
        if any(member.failure for member in members):
            return
        meters = Meters(members)
        try:
            self.loop(members, job)
        finally:
            meters.tell()
        self.moment("looped")
        self.start_ahead()
        for member in members:
            member.beside(others)

    def start_anew(self, job: Message, scratch: Path) -> Member:
        """Start a workload's runner ``cold`` times, each to the end of its first execution, which is the sample."""
        taken: List[List[Optional[int]]] = []
        samples: List[List[Any]] = []
        others = Others()
        while True:
            members: List[Member] = []
            try:
                self.start(members, job["members"][0], job, scratch / str(len(taken)), places(job)[0])
                member = members[0]
                self.prepare(member, members, job)
            finally:
                self.end(members)
            member.result.update(cold_samples=taken, samples=samples, regime=job["regime"])
            member.failure = cause(member.failure, member.spec, job)
            if member.failure:
                member.result.update(status=member.failure.status, reason=member.failure.reason)
                return member
            load_ns = member.result["load_ns" if job["ahead_of_time"] else "compile_ns"] or None
            wall_ns, instantiate_ns = member.walls[0], member.first["instantiate_ns"]
            taken.append([(load_ns or 0) + wall_ns, load_ns, instantiate_ns, wall_ns - (instantiate_ns or 0)])
            samples.append(member.sample(0, True, False))
            if len(taken) == job["cold"]:
                member.beside(others)
                member.result["unsteady"] = member.disturbed or None
                return member

    def start(
        self, members: List[Member], spec: Message, job: Message, folder: Path, cpus: Optional[List[int]]
    ) -> None:
        members.append(Member(spec, job, self.files, folder, cpus))
        self.selector.register(members[-1].from_runner, selectors.EVENT_READ, members[-1])

    def end(self, members: List[Member]) -> None:
        self.kill(members)
        self.bury(members)

    def kill(self, members: List[Member]) -> None:
        self.watch.look()
        for member in members:
            if member.from_runner in self.selector.get_map():
                self.selector.unregister(member.from_runner)
            member.kill()

    @staticmethod
    def bury(members: List[Member]) -> None:
        for member in members:
            member.bury()
            AHEAD.discard(member.process.pid)

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
                unknown = (
                    "" if heat is not None or gate.get("temperature_c") is None else "it tells no temperature"
                )
                waited = "waited %.0f s to be cool and idle" % waited_s if waited_s >= 2 else ""
                return "; ".join(filter(None, (waited, unknown)))
            if waited_s > gate["limit_s"] or self.controller_gone:
                warm = "" if heat is None else "%.0f °C, " % heat
                return "not cool and idle after %.0f s: %s%.0f %% busy" % (waited_s, warm, 100 * busy)

    def prepare(self, member: Member, members: List[Member], job: Message) -> None:
        """Load, compile and execute one member once while the others wait; a failure is left on the member."""
        if any(other.failure for other in members):
            return
        member.bring_input(self.files)
        preopens = [[".", str(member.own)]] if member.spec["files"] else []
        stdin = member.spec["stdin"] and str(self.files.stored(member.spec["stdin"]))
        try:
            try:
                self.expect(member, "started", START_LIMIT_NS, "starting its engine")
            except (
                Failure
            ) as failure:  # it started when it was detected, and of the module it knows nothing yet
                raise Failure(
                    failure.status if failure.status == "crash" else "device_unfit", failure.reason
                ) from failure
            member.tell(
                cmd="load", module=str(self.files.stored(member.spec["module"])), argv=member.spec["argv"], stdin=stdin,
                preopens=preopens, artefacts=str(self.files.root / "artefacts"), version=job["engine"]["version"],
                memory_bytes=job["memory_bytes"], artefact=self.files.artefact(member.spec.get("artefact")),
                stdout=str(member.folder / "stdout"),
            )  # fmt: skip
            self.moment("started")
            loaded = self.expect(member, "loaded", COMPILE_LIMIT_NS, "compiling")
            self.moment("loaded")
            member.result.update({key: loaded[key] for key in ("compile_ns", "load_ns", "cached")})
            member.tell(cmd="first")
            member.verify(self.expect(member, "first", job["limit_ns"], "the first execution"))
        except Failure as failure:
            member.failure = failure

    def expect(self, member: Member, name: str, limit_ns: int, doing: str) -> Message:
        deadline, waited = now_ns() + limit_ns, waited_ns(member.process.pid)
        while not member.events:
            if member.failure:
                raise member.failure
            if now_ns() >= deadline:
                waited = waited_ns(member.process.pid) - waited
                if waited > limit_ns // 4:  # nothing of ours runs beside it yet
                    raise Failure(
                        "device_unfit",
                        "%s took longer than the limit of %g s, for %.2g s of which other work had the processors"
                        % (doing, limit_ns / 1e9, waited / 1e9),
                    )
                raise Failure("timeout", "%s took longer than the limit of %g s" % (doing, limit_ns / 1e9))
            self.pump(deadline)
        event = member.events.popleft()
        if event["event"] != name:
            raise Failure("crash", "the runner said %r where %r was due" % (event["event"], name))
        return event

    def warm(self, members: List[Member], job: Message) -> None:
        """Let each member execute until its own times are steady; the others wait for the last one."""
        deadline = now_ns() + job["limit_ns"]
        for member in members:
            self.warm_on(member, job)
        while any(member.running for member in members) and now_ns() < deadline:
            self.start_ahead()
            self.pump(deadline)
            for member in members:
                was_running = member.running
                member.note_events()
                if member.failure:
                    return
                if was_running and not member.running:
                    self.warm_on(member, job)
        for member in members:
            if member.running:
                reason = "warming up took longer than the limit of %g s" % (job["limit_ns"] / 1e9)
                member.failure = Failure("timeout", reason)

    def warm_on(self, member: Member, job: Message) -> None:
        """Execute some more, unless it is steady or there is no time left for it.

        Steady: at least LEAST_WARM executions and ``warm_least_ns``, and the last quarter of them takes as long as
        the quarter before it. There is time for ``warm_most_ns``, and for no execution that would go beyond.
        """
        walls = member.walls
        spent_ns, count = sum(walls), len(walls)
        missing_ns = job["warm_least_ns"] - (spent_ns - walls[0])
        drift = None
        if count >= LEAST_WARM and missing_ns <= 0:
            drift = still_warming(walls)
            if drift is None:
                return
            missing_ns = max(spent_ns // 2, job["warm_least_ns"] // 2)
        left_ns = job["warm_most_ns"] - spent_ns
        if left_ns < walls[-1]:
            if drift is not None:
                word = "slower" if drift > 0 else "faster"
                member.unsteady = "still became %.0f %% %s after %d executions to warm up" % (
                    100 * abs(drift), word, count,
                )  # fmt: skip
            return
        now = now_ns()
        member.run(
            at_ns=0, after=None, until_ns=now + missing_ns, least=max(1, LEAST_WARM - count), most_ns=now + left_ns,
            stop=None, room=room(max(missing_ns, 0), walls[-1]),
        )  # fmt: skip

    def loop(self, members: List[Member], job: Message) -> None:
        """Let all members run together, as long as the job asks, and take what they report.

        All begin at one moment. For RUN_UP_NS what they execute is load only and wakes caches and clocks that slept
        while they waited; then samples count, for ``window_ns`` and until each member has ``least``, at most for
        ``limit_ns``; with a ``precision`` no longer than until each member's mean is known so well. Executions longer
        than the run-up begin after it, the longest ones of all when the others run: so the only one that there may be
        time for is whole, and covered. Where nothing else would run meanwhile they begin at once.
        """
        stop = members[0].folder / "stop"
        slowest = max(members, key=lambda member: member.typical_ns())
        start_ns = now_ns() + (BARRIER_NS if len(members) > 1 else ALONE_NS)
        nothing_to_wake_by = len(members) == 1 and slowest.typical_ns() >= RUN_UP_NS
        record_ns = start_ns + (0 if nothing_to_wake_by else RUN_UP_NS)
        deadline = record_ns + job["limit_ns"]
        together = len(members) > 1 and slowest.typical_ns() >= RUN_UP_NS
        precision = job.get("precision")
        go: Optional[Path] = members[0].folder / "go" if together else None
        for member in members:
            typical_ns = member.typical_ns()
            short = typical_ns < RUN_UP_NS
            member.warm_until_ns, member.limit_at_ns = record_ns, deadline
            member.run(
                at_ns=start_ns if short else record_ns, after=str(go) if go and member is slowest else None,
                until_ns=record_ns + job["window_ns"], most_ns=deadline, stop=str(stop),
                least=job["least"] + (math.ceil(RUN_UP_NS / max(1, typical_ns)) if short else 0),
                room=room(job["window_ns"], typical_ns, job["least"]), look_ns=precision and job["look_ns"],
            )  # fmt: skip
        ending = 0
        while True:
            for member in members:
                member.note_events()
            if precision:  # samples count from when all run
                from_ns = max(record_ns, *(member.loop_start_ns or deadline for member in members))
                for member in members:
                    member.enough = member.enough or member.is_known(precision, from_ns)
            if go and all(member.loop_start_ns for member in members if member is not slowest):
                go.touch()
                go = None
            now = now_ns()
            over = any(member.failure for member in members)  # nothing after this can be covered
            if not ending and (over or now >= deadline or all(m.enough or not m.running for m in members)):
                stop.touch()
                ending = now + ENDING_NS
            # Who executes for long, each time, has told all but what it is executing.
            running = [m for m in members if m.running and not m.failure]
            waited_for = [m for m in running if m.untold or min(m.walls[-20:]) < TELL_NS]
            if ending and (not waited_for or now >= ending):
                return
            self.pump(ending or deadline)

    def pump(self, deadline: int) -> None:
        """Wait for a runner or the controller to say something, at most until the deadline."""
        for member in self.wait(deadline):
            member.absorb()
            if member.failure:
                self.selector.unregister(member.from_runner)
        if any(message["op"] == "cancel" for message in self.inbox):
            self.inbox = [message for message in self.inbox if message["op"] != "cancel"]
            self.drop()
            raise Cancelled


def hold(root: Path, controller: str) -> int:
    """Take the device's lock until this process ends, and give its handle; while waiting, tell who has it.

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
                told = json.loads(os.pread(handle, 1 << 12, 0).decode())
                pid, holder = int(told["pid"]), str(told["controller"])
            except (ValueError, KeyError, TypeError):  # it is just being written
                pid, holder = 0, "?"
            command = read("/proc/%d/cmdline" % pid) or ""
            if not asked and holder == controller and controller in command.split("\0"):
                os.kill(pid, signal.SIGTERM)
                asked = True
            print(json.dumps({"event": "busy", "holder": "%s (agent %d)" % (holder, pid)}), flush=True)
            time.sleep(0.5)
    os.ftruncate(handle, 0)
    os.pwrite(handle, json.dumps({"pid": os.getpid(), "controller": controller}).encode(), 0)
    return handle


def main() -> None:
    parser = argparse.ArgumentParser(description="The device side of harness; started by the controller.")
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--controller", default="a controller without a name")
    arguments = parser.parse_args()
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    os.environ["PATH"] = search_path(arguments.root)
    try:
        agent = Agent(arguments.root, hold(arguments.root, arguments.controller))
    except BrokenPipeError:
        return
    except OSError as error:
        print(
            json.dumps(
                {
                    "event": "error",
                    "reason": "cannot keep files in %s: %s; name a directory that can be written with `cache:`"
                    % (arguments.root, why(error)),
                }
            )
        )
        sys.exit(1)
    agent.serve()


if __name__ == "__main__":
    main()
