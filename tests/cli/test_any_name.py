"""Names at the doors: a device and a module file may have any name of the rule, and no other passes."""

from __future__ import annotations

import re

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.dataset.records import LONGEST_NAME
from harness.engines.runners.runner import EMPTY_MODULE
from harness.errors import DevicesError, SuiteError
from harness.fleet.devices import _NAME as DEVICE_RULE
from harness.fleet.devices import load_devices
from harness.suites.imported import import_modules
from tests.cli.test_any_text import HOSTILE

ANY_TEXT = st.one_of(st.sampled_from(HOSTILE), st.text(max_size=80))


@given(name=ANY_TEXT)
@settings(max_examples=25, deadline=None, database=None)
def test_a_device_has_any_name_of_the_rule_and_no_other(
    name: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("devices")
    path = folder / "devices.yaml"
    path.write_bytes(msgspec.json.encode({"devices": {name: {"transport": "local"}}}))
    if DEVICE_RULE.fullmatch(name):
        assert [(key, device.name) for key, device in load_devices(path).items()] == [(name, name)]
        return
    with pytest.raises(DevicesError) as refused:
        load_devices(path)
    if path.read_bytes().isascii() and name.isprintable():  # else YAML itself may refuse the file
        assert "a device's name takes letters, digits and . _ -, at most 63" in str(refused.value)


@given(
    names=st.lists(ANY_TEXT.filter(lambda text: "/" not in text and "\0" not in text), min_size=1, max_size=3)
)
@settings(max_examples=10, deadline=None, database=None)
def test_modules_of_any_file_name_become_workloads_or_are_refused_by_name(
    names: list[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    root = tmp_path_factory.mktemp("modules")
    (root / "given").mkdir()
    for name in names:
        try:
            (root / "given" / f"{name}.wasm").write_bytes(EMPTY_MODULE)
        except (OSError, UnicodeEncodeError):  # no file may be called so here
            return
    longest = max(len(f"mine/{name}") for name in names)
    if all(name.startswith(".") or not name for name in names):  # hidden files are nobody's modules
        with pytest.raises(SuiteError, match=r"there is no \.wasm file"):
            import_modules(root / "given", "mine", root=root / "benchmarks")
        return
    if longest > LONGEST_NAME:
        return
    found = import_modules(root / "given", "mine", root=root / "benchmarks")
    files = {path for path in (root / "given").iterdir() if not path.name.startswith(".")}
    taken = found.suite.workloads if found.suite else []
    assert len(taken) + len(found.refused) == len(files)
    for workload in taken:
        assert re.fullmatch(r"mine/[A-Za-z0-9][A-Za-z0-9._+-]*", workload.name)
    for reason in found.refused.values():
        assert "are kept, and the rest becomes -; rename one of the two" in reason
