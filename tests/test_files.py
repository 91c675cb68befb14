"""What a command writes is whole or absent, and the command repeated after a kill ends as if never killed."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from harness import files
from harness.dataset.info import Settings
from harness.dataset.published import import_published
from harness.dataset.store import Dataset
from harness.learn.export import export_published
from tests.dataset.test_published import write
from tests.dataset.test_store import entry


class Killed(BaseException):
    pass


def collected(root: Path) -> None:
    """What a collection does to its dataset, from its directory to a compacted part."""
    dataset = Dataset.open_or_create(root)
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


def imported(root: Path) -> None:
    if not (root / "dataset.json").exists():
        import_published(root.parent / "npz", root)


def exported(root: Path) -> None:
    if not (root / "data.npz").exists():
        export_published(Dataset.open(root.parent / "source"), root)


def held(root: Path) -> object:
    if (root / "dataset.json").exists():
        dataset = Dataset.open(root)
        return dataset.observations(
            ["job", "workload", "time_ns"]
        ).to_pylist(), dataset.platforms().to_pylist()
    found = {}
    for path in root.glob("*.npz"):
        with np.load(path) as file:
            found[path.name] = {name: file[name].tolist() for name in file}
    return found


@pytest.mark.parametrize("command", [collected, imported, exported])
def test_a_command_killed_at_any_step_on_disk_and_repeated_ends_as_if_never_killed(
    command: Callable[[Path], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "npz")
    collected(tmp_path / "source")
    steps: list[str] = []
    monkeypatch.setattr(files, "hook", steps.append)
    command(tmp_path / "whole")
    expected = held(tmp_path / "whole")
    assert len(steps) >= 5
    for last in range(len(steps)):
        place = tmp_path / f"killed-{last}"
        count = iter(range(len(steps) + 1))

        def die(_step: str, last: int = last, count: object = count) -> None:
            if next(count) == last:  # type: ignore[call-overload]
                raise Killed

        monkeypatch.setattr(files, "hook", die)
        with pytest.raises(Killed):
            command(place)
        monkeypatch.setattr(files, "hook", None)
        command(place)
        assert held(place) == expected, steps[last]
    assert [path.name for path in tmp_path.rglob("*.partial")] == []


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
