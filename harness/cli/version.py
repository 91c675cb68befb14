"""What `harness --version` tells: everything that a figure may depend on, as far as it can be told at once."""

from __future__ import annotations

import platform
import re
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from importlib import metadata

from harness import __version__
from harness.processes import run_to_end

LIBRARIES = (
    "numpy", "scipy", "scikit-learn", "pyarrow", "paramiko", "msgspec", "typer", "rich", "joblib", "ziglang",
)  # fmt: skip
ENGINE_PACKAGES = ("wasmtime", "pywasm3")
PATIENCE_S = 2.0


def describe() -> list[str]:
    """Lines: harness, Python, libraries, and engines of this machine; the last take a fraction of a second."""
    from harness.cli.output_page import VERSION as output_version
    from harness.dataset.schema import VERSION as dataset_version

    return [
        f"harness {__version__} (dataset schema {dataset_version}, output {output_version})",
        f"Python {platform.python_version()}, {platform.system()} {platform.release()} {platform.machine()}",
        f"libraries: {', '.join(_packages(LIBRARIES))}",
        f"engines here: {', '.join([*_packages(ENGINE_PACKAGES), *_programs()])}; of devices: harness devices",
    ]


def _packages(names: tuple[str, ...]) -> list[str]:
    found = []
    for name in names:
        try:
            found.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            continue
    return found


def _programs() -> list[str]:
    """Programs of engines that are on the PATH, with what they answer to ``--version``."""
    from harness.engines import ENGINES

    names = {name for engine in ENGINES.values() for name in (engine.program, *engine.needs)}
    paths = {name: path for name in sorted(names - {"python", "env"}) if (path := shutil.which(name))}
    if not paths:
        return []
    with ThreadPoolExecutor(len(paths)) as pool:
        return [
            f"{name} {version}" for name, version in zip(paths, pool.map(_ask, paths.values()), strict=True)
        ]


def _ask(path: str) -> str:
    try:
        ran = run_to_end([path, "--version"], within_s=PATIENCE_S)
    except (OSError, subprocess.TimeoutExpired):
        return "(does not tell its version)"
    found = re.search(r"\d+(\.\d+)+[\w.+-]*", ran.stdout + ran.stderr, re.ASCII)
    return found[0] if found else "(does not tell its version)"
