"""`--help` of every command: whole at any width."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from typer.main import get_command

from harness.cli.app import app
from tests.conftest import Ran

COMMANDS = get_command(app).commands  # type: ignore[attr-defined]


@pytest.mark.parametrize("width", [40, 80])
def test_no_option_choice_or_default_is_cut_off(
    width: int, harness: Callable[..., Ran], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    for name, command in COMMANDS.items():
        told = harness(name, "--help").out
        assert "…" not in told, f"{name}: {told}"
        for one in command.params if width == 80 else ():
            for word in (*(one.opts if one.param_type_name == "option" else ()), one.metavar or ""):
                assert word in told, (name, word)
