"""The command as a process: any width of terminal, Ctrl-C, a reader that leaves, lines where there is no terminal."""

from __future__ import annotations

import fcntl
import io
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

import pytest
import wasmtime
from rich.console import Console

from harness import progress
from harness.dataset.store import Dataset
from tests.compare.test_comparison import make
from tests.conftest import Ran

COMMAND = [sys.executable, "-m", "harness.cli"]
ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def on_terminal(columns: int, *options: object, **env: str) -> tuple[int, str]:
    """Exit code and all that a terminal of this width was sent."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    known = {key: value for key, value in os.environ.items() if key not in ("COLUMNS", "NO_COLOR")}
    process = subprocess.Popen(
        [*COMMAND, *map(str, options)], stdin=theirs, stdout=theirs, stderr=theirs,
        env=known | {"TERM": "xterm-256color"} | env,
    )  # fmt: skip
    os.close(theirs)
    sent = b""
    try:
        while more := os.read(ours, 65536):
            sent += more
    except OSError:  # the end, on a terminal
        pass
    os.close(ours)
    return process.wait(), sent.decode().replace("\r\n", "\n")


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("lab") / "lab", {"wasmtime-j:pi": 1.0, "wasm3-i:pi": 23.4567})


@pytest.mark.parametrize("columns", [40, 80])
@pytest.mark.parametrize("options", [("compare", "-e", "wasmtime-j,wasm3-i"), ("status",)])
def test_a_narrow_terminal_breaks_no_line_and_no_number(
    columns: int, options: tuple[str, ...], lab: Path
) -> None:
    code, sent = on_terminal(columns, options[0], lab, *options[1:])
    plain = ESCAPE.sub("", sent)
    assert code == 0, plain
    assert max(map(len, plain.splitlines())) <= columns
    numbers = ("23.5", "23.3") if options[0] == "compare" else ("66",)
    assert any(re.search(rf"(?<!\S){re.escape(number)}(?!\S)", plain) for number in numbers), plain


def test_help_fits_a_narrow_terminal_and_ends_with_an_example_a_line() -> None:
    code, sent = on_terminal(40, "predict", "--help")
    lines = ESCAPE.sub("", sent).splitlines()
    assert code == 0
    assert max(map(len, lines)) <= 40
    wide = ESCAPE.sub("", on_terminal(160, "predict", "--help")[1]).splitlines()
    start = next(i for i, line in enumerate(wide) if line.strip() == "Examples")
    assert all(line.strip().startswith("$ harness predict ") for line in wide[start + 1 :] if line.strip())


def test_colours_are_left_out_on_demand(lab: Path) -> None:
    colours = re.compile(r"\x1b\[[0-9;]*3[0-9]")
    assert colours.search(on_terminal(80, "status", "--help")[1])
    assert not colours.search(on_terminal(80, "status", "--help", NO_COLOR="1")[1])
    assert not colours.search(on_terminal(80, "status", lab, NO_COLOR="1")[1])


def test_a_reader_that_leaves_ends_it_quietly(tmp_path: Path) -> None:
    root = make(tmp_path / "big", {f"e{i}:pi": 1.0 for i in range(20)})
    process = subprocess.Popen(
        [*COMMAND, "export", root, "--csv"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None and process.stderr is not None
    assert process.stdout.readline().startswith(b'"job"')
    process.stdout.close()
    assert (process.wait(timeout=30), process.stderr.read()) == (141, b"")
    process.stderr.close()


@pytest.mark.parametrize("presses", [1, 2])
def test_ctrl_c_ends_it_with_one_calm_sentence_even_while_a_module_runs_on(
    presses: int, tmp_path: Path
) -> None:
    (tmp_path / "loop.wasm").write_bytes(
        wasmtime.wat2wasm(
            '(module (import "wasi_snapshot_preview1" "fd_write" (func $w (param i32 i32 i32 i32) (result i32)))'
            ' (memory (export "memory") 1) (func (export "_start") (loop (br 0))))'
        )
    )
    process = subprocess.Popen(
        [*COMMAND, "count", "loop.wasm"], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([os.getcwd(), *sys.path])},
        preexec_fn=heed_ctrl_c,
    )  # fmt: skip
    wait_until_it_runs(process)
    for _ in range(presses):
        process.send_signal(signal.SIGINT)
        time.sleep(0.2)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (130, b"")
    assert err.decode().splitlines() == [
        "harness: stopped by Ctrl-C; what was finished is kept, repeat the command to go on."
    ]


def heed_ctrl_c() -> None:
    """As in a terminal: what a shell starts in the background is told to ignore it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def wait_until_it_runs(process: subprocess.Popen[bytes], cpu_s: float = 1.5) -> None:
    """Until the process has used so much of a processor: it is past its imports."""
    ticks = os.sysconf("SC_CLK_TCK")
    for _ in range(600):
        fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
        if int(fields[11]) / ticks > cpu_s:
            return
        time.sleep(0.05)
    raise AssertionError("it never ran")


def test_without_a_terminal_long_work_is_a_line_now_and_then(monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    """Also where no part of it has ended yet, and where nobody knows how many there are."""
    monkeypatch.setattr(progress, "LINE_EVERY_S", 0.01)

    def told_while(bar: progress.Bar, told: str) -> None:
        for _ in range(1000):
            time.sleep(0.01)
            lines.extend(capsys.readouterr().err.splitlines())
            if re.fullmatch(told, lines[-1] if lines else ""):
                return
        raise AssertionError(f"{told} was never told, but {lines[-3:]}")

    lines: list[str] = []
    with progress.bar(Console(stderr=True), "training", 1) as bar:
        told_while(bar, r"training, \d+ s so far")
        bar.at(0, 4)
        told_while(bar, r"training: 0 of 4, \d+ s so far")
        bar.at(2, 4)
        told_while(bar, r"training: 2 of 4, about \d+ s left")
    with progress.bar(Console(stderr=True), "reading", 0) as bar:
        told_while(bar, r"reading, \d+ s so far")
        bar.advance()
        told_while(bar, r"reading: 1, \d+ s so far")
    capsys.readouterr()
    time.sleep(0.05)
    assert capsys.readouterr().err == ""


def test_of_work_within_work_the_inner_one_is_told(monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.setattr(progress, "LINE_EVERY_S", 0.01)
    console = Console(stderr=True)
    with progress.bar(console, "outer", 3):
        with progress.bar(console, "inner", 0):
            capsys.readouterr()
            time.sleep(0.1)
            inner = {line.partition(",")[0] for line in capsys.readouterr().err.splitlines()}
        time.sleep(0.1)
        outer = {line.partition(":")[0] for line in capsys.readouterr().err.splitlines()}
    assert (inner, outer) == ({"inner"}, {"outer"})
    on_terminal = Console(file=io.StringIO(), force_terminal=True, width=60)
    with progress.bar(on_terminal, "outer", 3) as around, progress.bar(on_terminal, "inner", 0) as within:
        assert around.progress and around.progress is within.progress
        assert [task.description for task in around.progress.tasks] == ["outer", "inner"]


@pytest.mark.parametrize(
    ("command", "slow", "told"),
    [
        ("export {lab} --csv", "dataset.spreadsheet._flat", "exporting"),
        (
            "devices --setup --devices-file {devices}",
            "fleet.inspection.provision",
            "changing engines of devices",
        ),
        ("status {lab}", "measure.status.status_rows", "reading"),
        ("status {lab} --devices", "measure.lanes.lanes", "reading"),
        ("report {lab} --card", "report.card.write_card", "card"),
    ],
)
def test_commands_that_print_or_bring_for_long_say_so_meanwhile(
    command: str, slow: str, told: str, lab: Path, tmp_path: Path, harness: Callable[..., Ran],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(progress, "LINE_EVERY_S", 0.01)
    monkeypatch.setattr(f"harness.{slow}", slowly(resolve_name(f"harness.{slow}")))
    devices = tmp_path / "devices.yaml"
    devices.write_text(f"devices:\n  one: {{transport: local, cache: {tmp_path}, engines: [wasm3-cli-i]}}\n")
    monkeypatch.setattr("harness.fleet.provision.fetch_wheels", lambda *given: [])
    ran = harness(*command.format(lab=lab, devices=devices).split())
    assert re.search(rf"^{told}, \d+ s so far$", ran.err, re.M), ran.err


def slowly(work: Callable[..., Any]) -> Callable[..., Any]:
    def after_a_while(*given: Any) -> Any:
        time.sleep(0.2)
        return work(*given)

    return after_a_while


def test_versions_are_told_at_once() -> None:
    told = subprocess.run(
        [*COMMAND, "--version"], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert re.fullmatch(r"harness \S+ \(dataset schema \d+, output \d+\)", told[0])
    assert re.search(r"numpy \d+\.\d+.*pyarrow \d+", told[2])
    assert re.search(r"wasmtime \d+\.\d+", told[3])


@pytest.mark.parametrize("command", ["--version", "--help"])
def test_what_is_heavy_is_not_imported_for_a_look(command: str) -> None:
    heavy = ("numpy", "pyarrow", "sklearn", "paramiko", "wasmtime", "scipy", "ruamel")
    code = (
        "import sys; sys.argv = ['harness', sys.argv[1]]\n"
        "from harness.cli import main\n"
        "try: main()\n"
        f"finally: print([name for name in {heavy} if name in sys.modules], file=sys.stderr)"
    )
    ran = subprocess.run([sys.executable, "-c", code, command], capture_output=True, text=True, check=True)
    allowed = {"--version": "['numpy', 'pyarrow']\n", "--help": "[]\n"}
    assert ran.stderr in ("[]\n", allowed[command])


INTERRUPTED = """
import os, signal, sys
class Pressed:
    def find_spec(self, name, path=None, target=None):
        if name == "harness.cli.measure":
            os.kill(os.getpid(), signal.SIGINT)
signal.signal(signal.SIGINT, signal.default_int_handler)  # where the tests were started with it ignored
sys.meta_path.insert(0, Pressed())
from harness.cli import main
"""


def test_ctrl_c_before_a_command_has_begun_shows_no_traceback() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", INTERRUPTED], stderr=subprocess.PIPE, text=True, check=False
    )
    assert (ended.returncode, ended.stderr) == (-signal.SIGINT, "")


def test_arrow_does_not_import_pandas_for_a_command(tmp_path: Path) -> None:
    pytest.importorskip("pandas")
    Dataset.create(tmp_path / "data")
    code = (
        "import sys; sys.argv = ['harness', 'status', sys.argv[1]]\n"
        "from harness.cli import main\n"
        "try: main()\n"
        "finally:\n"
        "    import pyarrow\n"
        "    pyarrow.array([1]).to_numpy()\n"
        "    print([name for name in ('pyarrow', 'pandas') if name in sys.modules], file=sys.stderr)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "data"], capture_output=True, text=True, check=True
    )
    assert ran.stderr == "['pyarrow']\n"
