"""Every command under every kind of stdout: encodings × widths × what it leads to.

A selection holds every pair of a command, an encoding, a width and a sink; commands that take long, and what else a
command can do, are in fewer of them. `HARNESS_MATRIX=all` tries all of it, and again in a locale that has only ASCII;
that takes half an hour.
"""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pyarrow.parquet as pq
import pytest
from rich.cells import cell_len
from typer.main import get_command

from harness.cli.app import app
from harness.dataset.store import Dataset
from tests.cli.forking import ENCODINGS, Case, Ended, forking
from tests.cli.whole_path import PLACE, USES, make_lab

ALL = os.environ.get("HARNESS_MATRIX") == "all"
WIDTHS = (0, 20, 40, 80, 200)
SINKS = ("tty", "pipe", "file", "closed", "full")
FORMS: tuple[tuple[str, ...], ...] = ((), ("--json",), ("--csv",))
COMMANDS = dict(get_command(app).commands.items())  # type: ignore[attr-defined]
FIRST = {words[0]: words for words in reversed(USES)}  # the first use of each command
LONG = {"demo", "devices", "collect", "watch", "train", "update", "report"}
ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
UNKNOWN_WIDTH = 80  # what a terminal is taken for that tells 0
ONLY_ASCII = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}

pytestmark = pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")


def selected() -> Iterator[tuple[tuple[str, ...], str, int, str]]:
    """Words, encoding, width and sink: rows of a Latin square, another for each command."""
    helps = [(name, "--help") for name in COMMANDS]
    for number, words in enumerate((*USES, *helps)):
        if ALL:
            some = itertools.product(ENCODINGS, WIDTHS, SINKS)
            yield from ((words, *one) for one in itertools.islice(some, 5 if words[0] == "demo" else None))
            continue
        often = words[0] not in LONG and words == FIRST.get(words[0])
        turns = range(5) if often else (number, number + 2)
        for turn in [number] if "--help" in words else turns:
            encoding, width = [*ENCODINGS][turn % 5], WIDTHS[(turn + number) % 5]
            if words[0] != "demo" or "--help" in words:
                yield words, encoding, width, SINKS[(turn + 2 * number) % 5]


def cases(lab: Path, out: Path, place: str = PLACE) -> Iterator[Case]:
    for number, (words, encoding, width, sink) in enumerate(selected()):
        options = {one for parameter in COMMANDS[words[0]].params for one in parameter.opts}
        takes = (
            "--json" in options and not {"--help", "--markdown", "--watch"} & set(words) and prints([*words])
        )
        for form in FORMS[number % 3 :][:1] if takes and sink != "tty" else FORMS[:1]:
            folder = out / place / f"{number}{''.join(form)}"
            folder.mkdir(parents=True)
            filled = [word.format(lab=lab, out=folder) for word in words]
            stop = bool({"watch", "--watch"} & set(words)) and "--help" not in words
            yield Case([*filled, *form], encoding, width, sink, str(folder), stop)


def test_every_command_has_a_use_and_every_pair_is_tried() -> None:
    assert {words[0] for words in USES} == set(COMMANDS)
    tried = list(selected())
    for one, other in itertools.combinations((ENCODINGS, WIDTHS, SINKS), 2):
        at = [i for i, values in enumerate((ENCODINGS, WIDTHS, SINKS), 1) if values in (one, other)]
        assert {tuple(case[i] for i in at) for case in tried} == set(itertools.product(one, other))
    for words in FIRST.values():
        if words[0] not in LONG:
            mine = [case for case in tried if case[0] == words]
            for at, values in enumerate((ENCODINGS, WIDTHS, SINKS), 1):
                assert {case[at] for case in mine} == set(values)


@pytest.mark.timeout(7200 if ALL else 300)
def test_nothing_that_stdout_is_breaks_a_command(lab: Path, tmp_path: Path) -> None:
    found = []
    with forking() as run:
        for case in cases(lab, tmp_path):
            if told := wrong(case, run(case)):
                found.append((case, told))
    assert not found, "\n".join(map(str, found))


@pytest.mark.skipif(not ALL, reason="takes long; HARNESS_MATRIX=all runs it")
@pytest.mark.timeout(7200)
def test_nor_does_a_locale_that_has_only_ascii(tmp_path: Path) -> None:
    found = []
    with forking(**ONLY_ASCII) as run:
        for case in cases(make_lab(tmp_path / "lab"), tmp_path, "place"):
            if case.encoding == "ascii" and (told := wrong(case, run(case))):
                found.append((case, told))
    assert not found, "\n".join(map(str, found))


def prints(words: list[str]) -> bool:
    """Whether there is anything for stdout; what goes into files is only told on stderr."""
    into_files = {"import", "watch"} | ({"export", "report"} if {"-o", "--card"} & set(words) else set())
    return "--help" in words or not (words[0] in into_files or ("--batch" in words and "-o" in words))


def wrong(case: Case, ended: Ended) -> list[str]:
    """What is not as it should be."""
    said = []
    encoding, _ = ENCODINGS[case.encoding]
    try:
        out, err = ended.out.decode(encoding), ended.err.decode(encoding)
    except UnicodeDecodeError as error:
        return [str(error)]
    if case.folder.isascii() and not "".join(case.words).isascii():  # in a locale of ASCII
        told = " ".join((ESCAPE.sub("", out) + err).split())
        refused = (
            "is not text in ASCII, as every name here must be; give another (or set PYTHONUTF8=1" in told
        )
        return [] if (ended.code, refused) == (2, True) else [f"exit code {ended.code}: {err}"]
    lost = case.sink in ("closed", "full") and prints(case.words)
    if ended.code != (130 if case.stop and not lost else int(lost)):
        said.append(f"exit code {ended.code}: {out[-300:]} {err[-1000:]}")
    if "Traceback" in out + err or "Exception ignored" in err:
        said.append(err)
    reason = "stdout is closed" if case.sink == "closed" else "No space left on device"
    told = [line for line in err.splitlines() if line.startswith("harness: ")]
    if lost and not (len(told) == 1 and reason in told[0] and err.splitlines()[-1] == told[0]):
        said.append(f"not one sentence that tells {reason!r}: {err}")
    if case.sink in ("tty", "pipe", "file") and bool(out) < prints(case.words):
        said.append("nothing was printed")
    if case.sink == "tty" and not {"--csv", "--markdown", "--batch"} & set(case.words):
        plain = ESCAPE.sub("", out).replace("\r", "\n").split("\n")
        most = case.width or UNKNOWN_WIDTH
        # A word longer than a line, such as a path that is to be copied, stands alone.
        said += [f"too wide: {line}" for line in plain if cell_len(line) > most and " " in line.strip()]
    return said + [f"{path} is not whole" for path in Path(case.folder).rglob("*") if not is_whole(path)]


def is_whole(path: Path) -> bool:
    if path.name.endswith(".partial"):
        return False
    if path.suffix == ".npz":
        with np.load(path) as file:
            return all(file[name] is not None for name in file.files)
    if path.name == "dataset.json":
        return len(Dataset.open(path.parent).observations()) > 0
    if path.suffix == ".parquet":
        return pq.read_table(path).num_columns > 0
    if path.suffix == ".svg":
        return ElementTree.parse(path).getroot() is not None
    return path.suffix != ".html" or path.read_text(encoding="utf-8").rstrip().endswith("</html>")
