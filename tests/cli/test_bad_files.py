"""Every place where a command takes a file × everything that a name may lead to instead: a sentence that names it.

Each place sees every fifth of them; `HARNESS_MATRIX=all` tries all.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from harness import files
from harness.spelling import visible
from tests.cli.test_any_text import ACTING
from tests.cli.whole_path import DEVICES, NAMES
from tests.conftest import Ran

ALL = os.environ.get("HARNESS_MATRIX") == "all"
LONG = "n" * 300  # more than a file system takes
ODD = "odd\n\x1b[31m\u202egnp"

WHERE = ("--benchmarks", "{lab}/benchmarks", "-s", "toys")
OFFLOAD = ("offload", "{lab}/m.npz", "-w", NAMES[0], "--here", DEVICES[0], "--there", DEVICES[1])
# {bad} is what is to be read, or written to.
READ: tuple[tuple[str, ...], ...] = (
    ("status", "{bad}"),
    ("train", "{bad}", "-o", "{out}/m.npz"),
    ("update", "{bad}", "{lab}/newcomer", "-o", "{out}/m.npz"),
    ("update", "{lab}/m.npz", "{bad}", "-o", "{out}/m.npz"),
    ("evaluate", "{bad}", "-o", "{out}/e", "-m", "start-up"),
    ("predict", "{bad}"),
    ("predict", "{lab}/m.npz", "--batch", "{bad}"),
    ("place", "{bad}", "{lab}/deadlines.csv"),
    ("place", "{lab}/m.npz", "{bad}"),
    ("place", "{lab}/m.npz", "{lab}/deadlines.csv", "--check", "{bad}"),
    ("offload", "{bad}", *OFFLOAD[2:], "--no-probe"),
    (*OFFLOAD, "--no-probe", "--history", "{bad}", "--in", "1", "--out", "1"),
    (*OFFLOAD, "--devices-file", "{bad}"),
    ("simulate", "{lab}/half.npz", "--check", "{bad}", "-e", "engine0"),
    ("simulate", "{lab}/half.npz", "--check", "{lab}/published", "-e", "engine0", "--arrivals", "{bad}"),
    ("import", "{bad}", "-o", "{out}/d"),
    ("import", "--fetch", "--manifest", "{bad}", "{out}/f", "-o", "{out}/d"),
    ("export", "{bad}", "-o", "{out}/npz"),
    ("report", "{bad}", "-o", "{out}/r.html"),
    ("report", "{lab}/newcomer", "-m", "{bad}", "-o", "{out}/r.html"),
    ("report", "{lab}/newcomer", "--since", "{bad}", "-o", "{out}/r.html"),
    ("compare", "{bad}", "{lab}/data"),
    ("compare", "{lab}/data", "{bad}"),
    ("trend", "{lab}/data", "{bad}"),
    ("build", "--import", "{bad}", "--as", "mine", "--benchmarks", "{out}/b"),
    ("build", "toys", "--benchmarks", "{bad}"),
    ("count", "{bad}.wasm"),
    ("count", "{lab}/own.wasm", "--stdin", "{bad}"),
    ("count", "{lab}/own.wasm", "--dir", ".={bad}"),
    ("devices", "--devices-file", "{bad}"),
    ("devices", "--devices-file", "{lab}/devices.yaml", "--setup", "--manifest", "{bad}"),
    ("devices", "local", "--devices-file", "{lab}/devices.yaml", "--with", "iwasm={bad}"),
    ("collect", "-o", "{out}/d", *WHERE, "--devices-file", "{bad}"),
    ("collect", "-o", "{bad}", *WHERE, "--devices-file", "{lab}/devices.yaml", "--dry-run"),
)
WRITTEN: tuple[tuple[str, ...], ...] = (
    ("train", "{lab}/data", "-o", "{bad}"),
    ("update", "{lab}/m.npz", "{lab}/newcomer", "-o", "{bad}"),
    ("predict", "{lab}/m.npz", "--batch", "{lab}/asked.csv", "-o", "{bad}"),
    ("place", "{lab}/m.npz", "{lab}/deadlines.csv", "--seconds", "0.1", "-o", "{bad}"),
    ("place", "{lab}/m.npz", "{lab}/deadlines.csv", "--seconds", "0.1", "--picture", "{bad}"),
    ("simulate", "{lab}/half.npz", "--check", "{lab}/published", "-e", "engine0", "--jobs", "20", "--policy", "fifo",
     "-o", "{bad}"),
    ("import", "{lab}/npz", "-o", "{bad}"),
    ("export", "{lab}/data", "-o", "{bad}"),
    ("export", "{lab}/data", "--csv", "-o", "{bad}"),
    ("report", "{lab}/newcomer", "-o", "{bad}"),
    ("compare", "{lab}/data", "-e", "wasmtime-j,wasm3-i", "--fail-above", "5%", "--junit", "{bad}"),
    ("trend", "{lab}/data", "{lab}/data", "--plot", "{bad}.svg"),
    ("count", "toys", "--benchmarks", "{lab}/benchmarks", "-o", "{bad}"),
    ("evaluate", "{lab}/data", "-m", "start-up", "--shares", "50", "--replicates", "1", "--no-plots", "-o", "{bad}"),
)  # fmt: skip
TO_READ = (
    "nothing",
    "directory",
    "circle",
    "long",
    "odd",
    "locked",
    "pipe",
    "unwritten pipe",
    "zeros",
    "below a file",
    "words",
)
TO_WRITE = ("directory", "circle", "long", "below a file", "below what is read-only", "full")


def made(kind: str, folder: Path, suffix: str) -> Path:
    """What the name leads to."""
    path = folder / f"{ODD if kind == 'odd' else LONG if kind == 'long' else 'given'}"
    whole = folder / f"{path.name}{suffix}"
    if kind == "directory":
        whole.mkdir()
        (whole / "inside").touch()
    elif kind == "circle":
        whole.symlink_to(whole.name)
    elif kind == "locked":
        whole.write_text("workload,platform\n")
        whole.chmod(0)
    elif kind == "pipe":
        os.mkfifo(whole)
        threading.Thread(target=write_nothing, args=(whole,), daemon=True).start()
    elif kind == "unwritten pipe":
        os.mkfifo(whole)
    elif kind == "zeros":
        whole.symlink_to("/dev/zero")
    elif kind == "full":
        whole.symlink_to("/dev/full")
    elif kind == "words":
        whole.write_text("Dear reader,\nthis is no such file.\n")
    elif kind == "below a file":
        (folder / "file").touch()
        path = folder / "file" / "given"
    elif kind == "below what is read-only":
        (folder / "locked").mkdir(0o500)
        path = folder / "locked" / "given"
    return path


def write_nothing(pipe: Path) -> None:
    """As a program that ends without a word; where nobody reads, this waits in vain."""
    with contextlib.suppress(OSError), open(pipe, "wb"):
        pass


@contextlib.contextmanager
def heeding_permissions() -> Iterator[None]:
    """Root, too, may only do what the bits of a file let it."""
    if os.geteuid():
        yield
        return
    libc, header, powers = ctypes.CDLL(None), (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
    assert libc.capget(header, powers) == 0
    before = powers[0]
    powers[0] = before & ~0b110  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
    assert libc.capset(header, powers) == 0
    try:
        yield
    finally:
        powers[0] = before
        assert libc.capset(header, powers) == 0


def refusals(
    places: tuple[tuple[str, ...], ...], kinds: tuple[str, ...]
) -> list[tuple[tuple[str, ...], str]]:
    return [
        (words, kind)
        for number, words in enumerate(places)
        for turn, kind in enumerate(kinds)
        if ALL or (number + turn) % 5 == 0
    ]


def run(
    words: tuple[str, ...], kind: str, lab: Path, place: Path, harness: Callable[..., Ran]
) -> tuple[Ran, str]:
    place.mkdir()
    out = place / "out"
    out.mkdir()
    suffix = next((word.removeprefix("{bad}") for word in words if word.startswith("{bad}.")), "")
    bad = made(kind, place, suffix)
    with heeding_permissions():
        try:
            ran = harness(*(word.format(lab=lab, out=out, bad=bad) for word in words))
        except Exception as error:
            ran = Ran(1, "", f"Traceback: {error!r}")
    return ran, visible(bad.name)[:40].partition("\n")[0]


def is_plain(ran: Ran) -> bool:
    """Whether what it says is no traceback, no number of an error, and nothing a terminal would act on."""
    return "Traceback" not in ran.err and "[Errno" not in ran.err and not ACTING.search(ran.err)


def test_what_cannot_be_read_is_refused_by_name(
    lab: Path, tmp_path: Path, harness: Callable[..., Ran], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "WRITER_S", 0.2)
    wrong = []
    for number, (words, kind) in enumerate(refusals(READ, TO_READ)):
        ran, name = run(words, kind, lab, tmp_path / f"{number}", harness)
        if ("--stdin" in words and kind in ("pipe", "words")) or ("--dir" in words and kind == "directory"):
            fine = ran.code == 0  # a module may read what it likes
        elif "--history" in words and kind == "pipe":
            fine = ran.code in (0, 2)
        elif "--with" in words and kind == "words":
            fine = ran.code == 1 and "what was brought does not run there" in ran.out
        else:
            fine = ran.code == 2 and name in ran.err and not ran.out
        if not (fine and is_plain(ran)):
            wrong.append((" ".join(words), kind, ran))
        shutil.rmtree(tmp_path / f"{number}")
    assert not wrong, "\n".join(map(str, wrong))


def test_what_cannot_be_written_is_told_by_name(
    lab: Path, tmp_path: Path, harness: Callable[..., Ran]
) -> None:
    wrong = []
    for number, (words, kind) in enumerate(refusals(WRITTEN, TO_WRITE)):
        ran, name = run(words, kind, lab, tmp_path / f"{number}", harness)
        fine = ran.code == (1 if kind == "full" else 2) or (
            kind == "circle" and ran.code == 0
        )  # a file is there now
        named = name in ran.err or "below" in kind or ran.code == 0
        if not (fine and named and is_plain(ran)):
            wrong.append((" ".join(words), kind, ran))
    assert not wrong, "\n".join(map(str, wrong))
