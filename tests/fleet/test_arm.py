"""A device of another instruction set: arm64 Python under user-mode emulation, which `--setup` gives its engines.

Run by `make test-arm`: it downloads 40 MB of Debian packages into a directory of its own, without root.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from rich.console import Console

from harness.engines import ENGINES
from harness.engines.maker import NotMade
from harness.fleet.artefacts import artefact
from harness.fleet.devices import Device
from harness.fleet.provision import provision
from harness.fleet.reach import reach
from harness.suites.suite import Suite
from tests.devices import job_spec

PACKAGES = (
    "python3.11-minimal libpython3.11-minimal libpython3.11-stdlib libc6 libexpat1 zlib1g libssl3 libffi8 libuuid1 "
    "libbz2-1.0 liblzma5 libgcc-s1 libstdc++6"
)

pytestmark = pytest.mark.skipif(
    not os.environ.get("HARNESS_TEST_ARM"), reason="asked for by `make test-arm` only"
)


def apt(folder: Path, architecture: str, *words: str) -> None:
    """apt-get with all its state in the folder."""
    for name in ("lists/partial", "cache/archives/partial"):
        (folder / architecture / name).mkdir(parents=True, exist_ok=True)
    options = {
        "APT::Architecture": architecture,
        "APT::Architectures": architecture,
        "APT::Sandbox::User": "",
        "Dir::State::lists": folder / architecture / "lists",
        "Dir::Cache": folder / architecture / "cache",
    }
    command = [
        "apt-get",
        "-qq",
        *(word for key, value in options.items() for word in ("-o", f"{key}={value}")),
    ]
    subprocess.run([*command, *words], check=True, cwd=folder, stdin=subprocess.DEVNULL)


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A program that is arm64 Python on this machine."""
    folder = tmp_path_factory.mktemp("arm")
    if not shutil.which("apt-get"):
        pytest.skip("no apt-get to get an emulator and arm64 packages with")
    native = subprocess.run(
        ["dpkg", "--print-architecture"], capture_output=True, text=True, check=True
    ).stdout.strip()
    apt(folder, native, "update")
    apt(folder, native, "download", "qemu-user-static")
    apt(folder, "arm64", "update")
    apt(folder, "arm64", "download", *PACKAGES.split())
    for package in folder.glob("*.deb"):
        target = folder / ("qemu" if package.name.startswith("qemu") else "root")
        subprocess.run(["dpkg", "-x", str(package), str(target)], check=True)
    root, wrapper = folder / "root", folder / "python-arm64"
    wrapper.write_text(
        f"#!/bin/sh\nPYTHONHOME={root}/usr exec {folder}/qemu/usr/bin/qemu-aarch64-static -L {root} -0 {wrapper} "
        f'{root}/usr/bin/python3.11 "$@"\n'
    )
    wrapper.chmod(0o755)
    emulated = folder / "emulated"  # starts any arm64 program
    emulated.write_text(f'#!/bin/sh\nexec {folder}/qemu/usr/bin/qemu-aarch64-static -L {root} "$@"\n')
    emulated.chmod(0o755)
    return wrapper


@pytest.fixture(scope="module")
def device(python: Path, tmp_path_factory: pytest.TempPathFactory) -> Device:
    cache = tmp_path_factory.mktemp("device")
    return Device(
        transport="local",
        name="arm",
        python=str(python),
        cache=str(cache),
        engines=["wasmtime-j", "wasmtime-p"],
    )


def test_an_arm_device_is_set_up_and_runs_a_kernel(device: Device, suites: dict[str, Suite]) -> None:
    reached = reach(device, print)
    assert (reached.facts["machine"], reached.versions) == ("aarch64", {})
    reached, failed = provision(reached, Console(stderr=True))
    assert failed == {}
    assert list(reached.versions) == ["wasmtime-j", "wasmtime-p"]
    [gemm] = [w for w in suites["polybench"].workloads if w.name == "polybench/mini/gemm"]
    reached.session.push({gemm.module_sha256: gemm.module.read_bytes})
    spec = {
        "workload": gemm.name, "module": gemm.module_sha256, "argv": list(gemm.argv), "stdin": None, "files": {},
        "expect": {"exit_code": 0, "stdout_sha256": gemm.expect.stdout_sha256},
    }  # fmt: skip
    for engine in reached.versions:
        job = job_spec(spec, limit_ns=60 * 10**9) | {
            "engine": ENGINES[engine].spec(reached.versions[engine]),
            "id": engine,
        }
        result = reached.session.run("d", job, 300)
        assert result is not None
        [found] = result.members
        assert (found.status, found.reason) == ("ok", "")
        counted = [one for one in found.samples if one.covered and not one.warm]
        assert len(counted) >= job["least"] and all(one.wall_ns > 0 for one in counted)
    reached.session.close()


@pytest.mark.parametrize("name", ["native", "wasm2c-clang-O2"])
def test_what_is_compiled_here_for_arm_runs_there(name: str, python: Path, suites: dict[str, Suite]) -> None:
    [gemm] = [w for w in suites["polybench"].workloads if w.name == "polybench/mini/gemm"]
    try:
        made = artefact(ENGINES[name], gemm, "aarch64")
    except NotMade as reason:
        pytest.skip(str(reason))
    made.path.chmod(0o700)
    done = subprocess.run(
        [python.with_name("emulated"), made.path, "--", "gemm"], capture_output=True, stdin=subprocess.DEVNULL
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert hashlib.sha256(done.stdout).hexdigest() == gemm.expect.stdout_sha256
