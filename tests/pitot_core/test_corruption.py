"""Damaged model files: each is refused in one sentence, or it answers, and none costs much memory.

Two thousand of them, or as many as HARNESS_TEST_CORRUPTIONS says; 10,000 take about 40 s of a processor.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

COUNT = int(os.environ.get("HARNESS_TEST_CORRUPTIONS", "2000"))
PROGRAM = """
import re, sys, warnings
from pathlib import Path
import numpy as np
from pitot_core import Pitot, PitotError
from tests.corruption import bombs, corruptions, read
from tests.pitot_core.problems import made_up

warnings.simplefilter("ignore")
place, count = Path(sys.argv[1]), int(sys.argv[2])
rows, features = made_up(rows=240)
refused = answered = 0
towers = {"method": "towers", "steps": 3, "rank": 2, "hidden": (4,), "members": 3, "folds": 3}
heads = {"calibration": "split", "bounds": "heads", "calibration_share": 0.3}
kinds = ({"interference_types": 2}, towers, towers | heads)
for number, options in enumerate(kinds):
    model = Pitot(**options)
    known = rows[rows.workload != 11]
    model.fit(known[(known.co_runners != 11).all(axis=1)], features)
    newcomer = rows[(rows.workload == 11) & (rows.co_runners != 11).all(axis=1)]
    model.update(newcomer[:6]).save(place / "whole.npz")
    whole, entries = (place / "whole.npz").read_bytes(), read(place / "whole.npz")
    for damaged in (*bombs(entries), *corruptions(whole, entries, count // len(kinds), number)):
        (place / "bad.npz").write_bytes(damaged)
        try:
            model = Pitot.load(place / "bad.npz")
            model.bound(rows[:9], 0.2), model.predict(rows[:9]), repr(model)
            answered += 1
        except PitotError as refusal:
            assert str(refusal) and "\\n" not in str(refusal), str(refusal)
            refused += 1
most_kb = re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]  # ru_maxrss would be the parent's
print(refused, answered, int(most_kb) // 1024)
"""


def test_no_damaged_model_file_ends_in_a_traceback_or_takes_much_memory(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path), str(COUNT)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    refused, answered, megabytes = map(int, done.stdout.split())
    assert refused + answered >= COUNT
    assert refused > 8 * answered
    assert megabytes < 300
