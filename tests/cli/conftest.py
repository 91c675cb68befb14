"""The small laboratory that tests of all commands share."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.whole_path import PLACE, make_lab


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_lab(tmp_path_factory.mktemp("lab") / PLACE)
