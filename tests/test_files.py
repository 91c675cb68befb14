"""What a command writes is whole or absent, and the command repeated after a kill ends as if never killed."""

from __future__ import annotations

import os
import pwd
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from harness import files
from harness.dataset.info import Settings
from harness.dataset.store import Dataset
from harness.fleet import agent
from harness.fleet.devices import Device
from harness.fleet.transport import Unreachable
from pitot_core import archive
from tests.dataset.test_store import entry


def collected(root: str | Path) -> None:
    """What a collection does to its dataset, from its directory to a compacted part."""
    dataset = Dataset.open_or_create(Path(root))
    with dataset.locked():
        dataset.begin(Settings(), "0.2.0", [entry(1).job, entry(2).job])
        dataset.put_platforms(
            [{"platform": "wasmtime-j:local", "wall_contains": "instance", "features": [("a", 1.0)]}]
        )
        dataset.put_workloads([{"workload": "s/small/a", "features": [("b", 1.0)]}])
        dataset.compact()
        done = dataset.finished()
        with dataset.journal("local") as journal:
            for number in (1, 2):
                if f"job{number}" not in done:
                    journal.append(entry(number))
        dataset.compact()


DYING = """
import os, sys
from pathlib import Path
from harness import files

place = Path(sys.argv[1])
with files.making(place / "folder") as folder, files.replacing(place / "file") as file:
    file.write_text("half")
    (folder / "part").write_text("half")
    os._exit(9)
"""


def test_what_a_dead_process_left_is_swept_by_the_next_and_what_a_living_one_writes_is_not(
    tmp_path: Path,
) -> None:
    subprocess.run([sys.executable, "-c", DYING, str(tmp_path)], check=False)
    assert len(list(tmp_path.glob(".*.partial"))) == 2
    with files.replacing(tmp_path / "mine") as mine:
        mine.write_text("half")
        with files.replacing(tmp_path / "other") as other:
            other.write_text("whole")
        assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["other", mine.name])
        assert files.is_partial(mine)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine", "other"]


@pytest.mark.parametrize("kind", ["file", "directory"])
def test_what_takes_a_place_is_on_disk_before_it_does_and_so_is_the_place_after(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A promise to who pulls the plug: never an empty file under a final name."""
    done: list[tuple[str, str]] = []
    fsync, replace = os.fsync, os.replace

    def synced(handle: int) -> None:
        done.append(("sync", Path(os.readlink(f"/proc/self/fd/{handle}")).name))
        fsync(handle)

    def replaced(source: Path, target: Path) -> None:
        done.append(("rename", Path(target).name))
        replace(source, target)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "replace", replaced)
    if kind == "file":
        with files.replacing(tmp_path / "a") as partial:
            partial.write_text("whole")
            written = partial.name
        assert done == [("sync", written), ("rename", "a"), ("sync", tmp_path.name)]
    else:
        with files.making(tmp_path / "d") as partial:
            (partial / "part").write_text("whole")
        assert done == [("sync", "part"), ("sync", "d"), ("rename", "d"), ("sync", tmp_path.name)]


def test_a_user_without_a_home_directory_is_told_what_to_set(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def nobody(number: int) -> None:
        raise KeyError(f"getpwuid(): uid not found: {number}")

    for name in ("HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", nobody)
    with pytest.raises(FileNotFoundError, match="no name here and so no home directory, set HOME to one"):
        files.cache_directory("counts")
    with pytest.raises(Unreachable, match="set `cache:` or the variable HOME"):
        Device(transport="local", name="local").connect("somebody")
    assert "~" not in agent.search_path(tmp_path)  # the agent runs without one
    monkeypatch.setenv("HOME", str(tmp_path))
    assert files.cache_directory("counts") == tmp_path / ".cache/harness/counts"


def test_nothing_takes_the_place_of_a_pipe_or_device_or_of_what_leads_to_an_open_file(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with files.replacing(pipe) as place:
        assert place == pipe
    assert pipe.is_fifo()
    with files.replacing(Path("/dev/null")) as place:
        assert place == Path("/dev/null")
    (tmp_path / "stdout").symlink_to(tmp_path / "log")  # as /dev/stdout leads to a file, at times
    with open(tmp_path / "log", "w"), files.replacing(tmp_path / "stdout") as place:
        assert place == tmp_path / "stdout"
    assert (tmp_path / "stdout").is_symlink()
    with files.replacing(
        tmp_path / "stdout"
    ) as place:  # no more than a link of somebody, perhaps a hostile one
        place.write_text("whole")
    assert (tmp_path / "log").read_text() == ""
    assert not (tmp_path / "stdout").is_symlink()


@pytest.mark.parametrize(
    ("opens_s", "writes_s", "found"),
    [(0.0, 0.0, b"words"), (0.1, 0.0, b"words"), (0.0, 0.6, b"words"), (0.1, None, b""), (None, None, None)],
)
def test_of_a_pipe_somebody_who_writes_is_waited_for_but_not_for_ever(
    opens_s: float | None,
    writes_s: float | None,
    found: bytes | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Who has it open may think as long as it likes; who never comes ends the wait."""
    monkeypatch.setattr(files, "WRITER_S", 0.3)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)

    def write() -> None:
        if opens_s is not None:
            time.sleep(opens_s)
            with open(pipe, "wb") as file:
                time.sleep(writes_s or 0)
                file.write(b"" if writes_s is None else b"words")

    writer = threading.Thread(target=write, daemon=True)
    writer.start()
    if found is None:
        with pytest.raises(OSError, match=r"nobody writes to it for 0\.3 s"):
            files.contents(pipe)
    else:
        assert files.contents(pipe) == found
    writer.join()


def test_a_device_without_an_end_is_read_so_far_and_no_further(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MOST_FROM_A_PIPE", 1 << 20)
    with pytest.raises(OSError, match="more than 1 MiB come from it"):
        files.contents(Path("/dev/zero"))


def test_errors_tell_the_name_that_was_given_and_not_the_hidden_one(tmp_path: Path) -> None:
    long = tmp_path / ("x" * 300)
    with pytest.raises(OSError) as refused, files.replacing(long) as place:
        place.write_text("")
    assert (refused.value.filename, ".partial" in str(refused.value)) == (str(long), False)
    with pytest.raises(OSError) as refused, files.making(long) as folder:
        (folder / "part").touch()
    assert (refused.value.filename, ".partial" in str(refused.value)) == (str(long), False)
    with pytest.raises(FileNotFoundError) as refused, files.making(tmp_path / "folder") as folder:
        (folder / "none" / "part").touch()
    assert refused.value.filename == str(tmp_path / "folder" / "none" / "part")
    with pytest.raises(OSError) as refused:
        archive.write(long.with_suffix(".npz"), {})
    assert refused.value.filename == str(long.with_suffix(".npz"))


def test_a_name_may_be_as_long_as_a_file_allows(tmp_path: Path) -> None:
    for name in ("x" * 255, "é" * 127):
        with files.replacing(tmp_path / name) as place:
            place.write_text("whole")
        assert (tmp_path / name).read_text() == "whole"
        archive.write(tmp_path / name, {"a": np.ones(1)})
        assert [*archive.entries(tmp_path / name)] == ["a"]
        (tmp_path / name).unlink()
    assert not [*tmp_path.iterdir()]
