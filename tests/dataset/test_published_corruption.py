"""Damaged files of the published layout: each is refused in one sentence, or it becomes a dataset that can be read."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

COUNT = int(os.environ.get("HARNESS_TEST_CORRUPTIONS", "400"))
PROGRAM = """
import re, shutil, sys, warnings
from pathlib import Path
from harness.dataset.published import import_published
from harness.errors import HarnessError
from harness.learn.arrays import load_training
from tests.corruption import bombs, corruptions, read
from tests.dataset.test_published import write

warnings.simplefilter("ignore")
place, count = Path(sys.argv[1]), int(sys.argv[2])
folder, root = write(place / "in"), place / "out"
refused = answered = 0
for seed, name in enumerate(("data.npz", "if2.npz")):
    whole, entries = (folder / name).read_bytes(), read(folder / name)
    for damaged in (*bombs(entries), *corruptions(whole, entries, count // 2, seed)):
        (folder / name).write_bytes(damaged)
        try:
            dataset, _ = import_published(folder, root)
            load_training(dataset)
            answered += 1
        except HarnessError as refusal:
            assert str(refusal) and "\\n" not in str(refusal), str(refusal)
            refused += 1
        shutil.rmtree(root, ignore_errors=True)
    (folder / name).write_bytes(whole)
most_kb = re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]  # ru_maxrss would be the parent's
print(refused, answered, int(most_kb) // 1024)
"""


def test_no_damaged_published_file_ends_in_a_traceback_or_takes_much_memory(tmp_path: Path) -> None:
    """Four hundred, or as many as HARNESS_TEST_CORRUPTIONS says."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path), str(COUNT)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    refused, answered, megabytes = map(int, done.stdout.split())
    assert refused + answered >= COUNT
    assert refused > answered
    assert megabytes < 300


def test_times_in_seconds_are_refused(tmp_path: Path) -> None:
    import numpy as np
    import pytest

    from harness.dataset.published import import_published
    from harness.errors import DatasetError
    from tests.dataset.test_published import write

    folder = write(tmp_path / "in", t=np.array([0.003, 0.2]))
    with pytest.raises(DatasetError, match="t must be in microseconds, convert it"):
        import_published(folder, tmp_path / "out")
    assert not (tmp_path / "out").exists()
