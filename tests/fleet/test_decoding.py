"""Types that threads decode are ready before there are threads: preparing one in two threads at once is a crash."""

from __future__ import annotations

import subprocess
import sys

DECODING = """
import sys, msgspec
from pathlib import Path
from harness.dataset.journal import read_journal
from harness.fleet.session import Session

called = set()
sys.setprofile(lambda frame, event, argument: called.add(frame.f_code.co_name))
session = Session.__new__(Session)
event = session._event(b'{"event": "done", "state": {}, "result": {}}')
for decode in (lambda: session._result(event), lambda: read_journal(Path(sys.argv[1]))):
    try:
        decode()
    except Exception:
        pass
sys.setprofile(None)
assert {"_event", "_result", "read_journal"} <= called
print("get_class_annotations" in called)
"""


def test_no_thread_prepares_a_type_of_what_a_device_sends(tmp_path) -> None:
    (tmp_path / "journal").write_text("{}\n")
    command = [sys.executable, "-c", DECODING, str(tmp_path / "journal")]
    ran = subprocess.run(command, capture_output=True, text=True)
    assert (ran.stdout, ran.stderr) == ("False\n", "")
