"""Engines brought to a device: a program of one's own, and published archives from a file server on this machine."""

from __future__ import annotations

import hashlib
import io
import json
import platform
import tarfile
import threading
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from rich.console import Console

from harness.engines import unpack
from harness.engines.program import NotFetched, NotPublished
from harness.errors import DeviceError, UsageError
from harness.fleet.bring import bring, parse_brought, take_away
from harness.fleet.devices import Device
from harness.fleet.provision import fetch_wheels, provision
from harness.fleet.reach import Reached, reach
from harness.fleet.releases import Release, fetch_release, read_releases
from tests.dataset.test_fetch import Server
from tests.fake_engines.command_lines import install

MACHINE = platform.machine()


@pytest.fixture
def fakes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Programs that behave like engines, none of them on the PATH."""
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    install(tmp_path / "fakes")
    return tmp_path / "fakes"


@pytest.fixture
def opened(tmp_path: Path, fakes: Path) -> Iterator[Callable[[], Reached]]:
    sessions = []

    def open_device() -> Reached:
        names = ["iwasm-i", "wasm3-cli-i"]
        device = Device(transport="local", name="pi", cache=str(tmp_path / "device"), engines=names)
        reached = reach(device, lambda text: None)
        sessions.append(reached.session)
        return reached

    yield open_device
    for session in sessions:
        session.close()


@pytest.fixture
def console() -> Console:
    return Console(file=io.StringIO(), width=1000)


def told(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_a_program_is_brought_stays_and_is_taken_away(
    opened: Callable[[], Reached], fakes: Path, console: Console
) -> None:
    before = opened()
    assert "no iwasm on this device" in before.absent["iwasm-i"]
    after = bring(before, {"iwasm": fakes / "iwasm"}, console)
    assert after.versions == {"iwasm-i": "2.1.2"}
    assert hashlib.sha256((fakes / "iwasm").read_bytes()).hexdigest() in told(console)
    after.session.close()
    later = opened()
    assert later.versions == {"iwasm-i": "2.1.2"}
    assert take_away(later, ["iwasm"], console).versions == {}
    with pytest.raises(DeviceError, match="pi: no iwasm was brought to it"):
        take_away(later, ["iwasm"], console)


def test_what_was_brought_is_used_before_another_of_its_name(
    opened: Callable[[], Reached], fakes: Path, console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", f"{fakes}:/usr/bin:/bin")
    newer = fakes.parent / "newer"
    newer.write_text((fakes / "iwasm").read_text().replace('iwasm "$@"', 'iwasm "$@" | sed s/2.1.2/9.9.9/'))
    reached = opened()
    assert reached.versions["iwasm-i"] == "2.1.2"
    assert bring(reached, {"iwasm": newer}, console).versions["iwasm-i"] == "9.9.9"


def test_what_does_not_run_there_leaves_what_did(
    opened: Callable[[], Reached], fakes: Path, tmp_path: Path, console: Console
) -> None:
    broken = tmp_path / "broken"
    broken.write_text("#!/bin/sh\necho nothing works; exit 3\n")
    reached = bring(opened(), {"iwasm": fakes / "iwasm"}, console)
    with pytest.raises(DeviceError, match="iwasm does not tell its version: nothing works"):
        bring(reached, {"iwasm": broken}, console)
    reached.session.close()
    assert opened().versions == {"iwasm-i": "2.1.2"}
    reached = opened()
    with pytest.raises(DeviceError, match="names no engine that uses it"):
        bring(reached, {"wasmer": fakes / "wasmer"}, console)


def test_a_program_for_another_processor_is_not_sent(
    opened: Callable[[], Reached], tmp_path: Path, console: Console
) -> None:
    other = 62 if MACHINE == "aarch64" else 183
    wrong = tmp_path / "iwasm-other"
    wrong.write_bytes(b"\x7fELF\2\1\1" + bytes(11) + other.to_bytes(2, "little") + bytes(44))
    with pytest.raises(DeviceError, match=rf"\(iwasm\) is for \w+, and it is {MACHINE}"):
        bring(opened(), {"iwasm": wrong}, console)


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["--with", "iwasm"], "--with iwasm must be ENGINE=PATH, such as iwasm=./iwasm-arm64"),
        (["--with", "iwasm=/no/such"], "there is no file /no/such; give the path of the program"),
        (["--with", "iwazm=/bin/true"], "no engine or program named 'iwazm'; did you mean iwasm"),
        (["--with", "iwasm-a=/bin/true"], "iwasm-a needs iwasm and wamrc; give each by its own name"),
        (
            ["--without", "wasmtime-j"],
            "wasmtime-j is no program that could be brought; use --setup, or: pip install",
        ),
        (["--setup", "--manifest", "/no/such"], "/no/such cannot be read: No such file or directory; name a"),
        (["--manifest", "/no/such"], "--manifest is where --setup finds releases; give --setup too"),
    ],
)
def test_wrong_words_are_told_in_one_sentence(words: list[str], problem: str, harness) -> None:
    ran = harness("devices", "local", *words)
    assert (ran.code, problem in ran.err) == (2, True), ran.err


def test_devices_are_named_before_they_are_changed(harness) -> None:
    ran = harness("devices", "--without", "iwasm")
    assert (ran.code, "name those that are meant" in ran.err) == (2, True)


def test_an_engines_name_stands_for_its_program(fakes: Path) -> None:
    assert parse_brought([f"iwasm-i={fakes / 'iwasm'}"]) == {"iwasm": fakes / "iwasm"}


@pytest.fixture
def server() -> Iterator[Server]:
    running = Server()
    thread = threading.Thread(target=running.serve_forever, daemon=True)
    thread.start()
    yield running
    running.shutdown()
    running.server_close()


def tarred(files: dict[str, bytes], mode: str = "w:gz", links: dict[str, str] | None = None) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode) as made:  # type: ignore[call-overload]
        for name, target in (links or {}).items():
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = tarfile.SYMTYPE, target
            made.addfile(entry)
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            made.addfile(entry, io.BytesIO(data))
    return out.getvalue()


def zipped(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as made:
        for name, data in files.items():
            made.writestr(name, data)
    return out.getvalue()


def release(server: Server, **changes) -> Release:
    return Release(
        **{
            "program": "iwasm", "machine": MACHINE, "url": server.url("iwasm.tar.gz"),
            "files": {"bin/iwasm": "iwasm-2/iwasm"},
        } | changes
    )  # fmt: skip


def test_setup_takes_releases_for_the_devices_processor(
    opened: Callable[[], Reached], fakes: Path, server: Server, console: Console, tmp_path: Path
) -> None:
    server.files["iwasm.tar.gz"] = tarred({"iwasm-2/iwasm": (fakes / "iwasm").read_bytes()})
    server.files["wasm3.zip"] = zipped({"wasm3": b"#!/bin/sh\nexit 9\n"})
    pinned = hashlib.sha256(server.files["iwasm.tar.gz"]).hexdigest()
    releases = [
        release(server, sha256=pinned),
        release(server, machine="vax", url=server.url("never-asked")),
        release(server, program="wasm3", url=server.url("wasm3.zip"), files={"bin/wasm3": "wasm3"}),
        release(
            server, program="wasmer", url=server.url("never-asked-either"), files={"bin/wasmer": "wasmer"}
        ),
    ]
    reached, failed = provision(opened(), console, releases)
    assert reached.versions == {"iwasm-i": "2.1.2"}
    assert list(failed) == ["wasm3"]
    assert failed["wasm3"].startswith(
        "does not run there and was taken away again: wasm3 does not tell its version"
    )
    assert {name for name, _ in server.asked} == {"iwasm.tar.gz", "wasm3.zip"}
    again, failed = provision(reached, console, releases[:1])
    assert (again.versions, failed, len(server.asked)) == (reached.versions, {}, 2)  # it has it


def test_setup_ends_with_an_error_where_an_archive_could_not_be_brought_and_brings_the_others(
    harness, fakes: Path, server: Server, tmp_path: Path
) -> None:
    server.files["iwasm.tar.gz"] = tarred({"iwasm-2/iwasm": (fakes / "iwasm").read_bytes()})
    manifest, devices = tmp_path / "releases.toml", tmp_path / "devices.yaml"
    asked = [("wasm3", "wasm3", "not-there.zip"), ("iwasm", "iwasm-2/iwasm", "iwasm.tar.gz")]
    manifest.write_text("".join(
        f'[[release]]\nprogram = "{program}"\nmachine = "{MACHINE}"\nurl = "{server.url(name)}"\n'
        f'files = {{ "bin/{program}" = "{place}" }}\n'
        for program, place, name in asked
    ))  # fmt: skip
    devices.write_text("".join(
        ["devices:\n"]
        + [
            f"  {name}: {{transport: local, cache: {tmp_path / name}, engines: [{engine}]}}\n"
            for name, engine in (("one", "wasm3-cli-i"), ("two", "iwasm-i"))
        ]
    ))  # fmt: skip
    ran = harness("devices", "--setup", "--manifest", manifest, "--devices-file", devices, "--json")
    one, two = json.loads(ran.out)
    assert (ran.code, one["problem"], two["engines"], two["not_brought"]) == (1, "", {"iwasm-i": "2.1.2"}, {})
    assert one["not_brought"]["wasm3"].endswith("not-there.zip answers 404 Not Found")
    [line] = [line for line in ran.err.splitlines() if line.startswith("one: could not be brought: wasm3 (")]
    assert line.endswith("or let its `engines:` name those that are wanted there.")
    good = harness("devices", "two", "--setup", "--manifest", manifest, "--devices-file", devices, "--json")
    assert (good.code, "could not be brought" in good.err) == (0, False)


def test_what_an_index_does_not_have_is_told_apart_from_an_index_that_does_not_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    facts = {"machine": "riscv64", "python": "3.11.2"}
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    with pytest.raises(NotPublished, match=r"no wheel of nothing-at-all for Python 3.11 on riscv64"):
        fetch_wheels("pi", ["nothing-at-all"], facts, tmp_path)
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/")
    with pytest.raises(NotFetched, match="pip did not reach where it looks") as failed:
        fetch_wheels("pi", ["nothing-at-all"], facts, tmp_path)
    assert not isinstance(failed.value, NotPublished)


def test_a_release_that_is_not_pinned_is_held_to_what_came_first(
    fakes: Path, server: Server, console: Console, tmp_path: Path
) -> None:
    server.files["iwasm.tar.gz"] = tarred({"iwasm-2/iwasm": b"first"})
    came = fetch_release(release(server), tmp_path, console).read_bytes()
    assert "is not pinned; taken as it came, with SHA-256" in told(console)
    assert zipfile.ZipFile(io.BytesIO(came)).read("bin/iwasm") == b"first"
    fetch_release(release(server), tmp_path, console)
    assert len(server.asked) == 1  # kept
    [kept] = (tmp_path / "cache" / "harness" / "releases").glob("*/iwasm.tar.gz")
    kept.unlink()
    server.files["iwasm.tar.gz"] = tarred({"iwasm-2/iwasm": b"other"})
    with pytest.raises(
        NotFetched, match=r"(more than|has) .* \(as it came first; if the new one is right, remove"
    ):
        fetch_release(release(server), tmp_path, console)


@pytest.mark.parametrize(
    ("changes", "content", "problem"),
    [
        ({"sha256": "0" * 64}, tarred({"iwasm-2/iwasm": b"x"}), "has SHA-256"),
        ({"bytes": 3}, tarred({"iwasm-2/iwasm": b"x"}), "more than 3 bytes|has .* bytes, not the 3"),
        ({}, tarred({"iwasm": b"x"}), "holds no iwasm-2/iwasm"),
        ({}, b"not an archive", "cannot be unpacked"),
        ({}, tarred({"iwasm-2/iwasm": b"x" * 9000})[:-20], "cannot be unpacked"),
        ({"url": "http://127.0.0.1:9/nobody"}, b"", "cannot be fetched"),
    ],
    ids=["hash", "size", "lacks", "no archive", "cut off", "no server"],
)  # fmt: skip
def test_a_wrong_release_is_told(
    changes: dict, content: bytes, problem: str, fakes: Path, server: Server, console: Console, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr("harness.dataset.fetch.PAUSE_S", 0.001)
    server.files["iwasm.tar.gz"] = content
    with pytest.raises(NotFetched, match=problem):
        fetch_release(release(server, **changes), tmp_path, console)


@pytest.mark.parametrize("made", [*(partial(tarred, mode=f"w:{m}") for m in ("", "gz", "bz2", "xz")), zipped])
def test_archives_of_every_kind_are_unpacked(
    made: Callable[[dict[str, bytes]], bytes], tmp_path: Path
) -> None:
    archive = tmp_path / "archive"
    archive.write_bytes(made({"e/bin/e": b"program", "e/lib/a/one.so": b"one", "e/share/doc": b"not wanted"}))
    unpack.unpack(archive, {"bin/e": "e/bin/e", "lib/": "e/lib/"}, tmp_path / "out")
    found = {
        p.relative_to(tmp_path / "out").as_posix(): p.read_bytes()
        for p in (tmp_path / "out").rglob("*")
        if p.is_file()
    }
    assert found == {"bin/e": b"program", "lib/a/one.so": b"one"}


def test_links_become_what_they_point_to_and_lead_nowhere_else(tmp_path: Path) -> None:
    archive = tmp_path / "archive"
    links = {
        "e/lib/l.so": "l.so.0",
        "e/lib/l.so.0": "l.so.0.1",
        "e/lib/out": "/etc/hostname",
        "e/lib/round": "round",
    }
    archive.write_bytes(
        tarred({"e/lib/l.so.0.1": b"library", "e/lib/../../evil": b"x", "/e/lib/abs": b"x"}, links=links)
    )
    unpack.unpack(archive, {"lib/": "e/lib/"}, tmp_path / "out")
    assert {p.name: p.read_bytes() for p in (tmp_path / "out" / "lib").iterdir()} == dict.fromkeys(
        ["l.so", "l.so.0", "l.so.0.1"], b"library"
    )
    assert not (tmp_path / "evil").exists()


@pytest.mark.parametrize("made", [tarred, zipped])
def test_an_archive_that_unpacks_too_large_is_stopped(
    made: Callable[[dict[str, bytes]], bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unpack, "MOST_BYTES", 1 << 20)
    archive = tmp_path / "archive"
    archive.write_bytes(made({"big": bytes(2 << 20)}))
    with pytest.raises(NotFetched, match="more than 1,048,576 bytes"):
        unpack.unpack(archive, {"bin/big": "big"}, tmp_path / "out")


def test_the_list_that_comes_with_harness_is_whole_and_a_wrong_one_is_told(tmp_path: Path) -> None:
    shipped = read_releases()
    assert {(one.program, one.machine) for one in shipped} >= {
        (program, machine)
        for program in ("wasmtime", "wasmer", "wasmedge", "wazero", "wasmi")
        for machine in ("x86_64", "aarch64")
    }
    for text, problem in (
        ("[[release]]\nprogram = 3", "Expected `str`, got `int`"),
        ("what", "Expected '='"),
        (json.dumps({}), "Invalid"),
        (
            '[[release]]\nprogram="a"\nmachine="x86_64"\nurl="http://a/b"\nfiles={"bin/../../a"="a", "bin/a"="a"}',
            "matching regex",
        ),
        (
            '[[release]]\nprogram="a"\nmachine="x86_64"\nurl="http://a/b"\nfiles={"bin/b"="a"}',
            "brings no bin/a",
        ),
    ):
        wrong = tmp_path / "wrong.toml"
        wrong.write_text(text)
        with pytest.raises(UsageError, match=problem):
            read_releases(wrong)
