from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from harness import cli
from tests.decide.measured import write_published


@dataclass
class Lab:
    """A dataset of made-up alone and paired times, and a model that was shown half of its jobs."""

    dataset: Path
    model: Path


@pytest.fixture(scope="package")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    root = tmp_path_factory.mktemp("lab")
    made = Lab(root / "data", root / "model.npz")
    for arguments in (
        ["import", write_published(root / "published", 6000), "-o", made.dataset],
        ["train", made.dataset, "-o", made.model, "--test-share", "0.5", "--calibration-share", "0.2"],
    ):
        before, sys.argv = sys.argv, ["harness", *map(str, arguments)]
        try:
            cli.main()
        except SystemExit as leave:
            if leave.code:
                pytest.fail(f"{arguments[0]} ended with exit code {leave.code}")
        finally:
            sys.argv = before
    return made
