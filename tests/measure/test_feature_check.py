"""`harness devices --features`: modules that really need their feature, and a table of who has it."""

from __future__ import annotations

import json

import pytest
import wasmtime

from harness.engines.features import FEATURES, feature_module
from harness.opcodes.validity import configuration

# Off, a validator refuses the module; those that it cannot be told to leave out are not here.
SWITCHES = {
    "multi-value": "wasm_multi_value",
    "simd": "wasm_simd",
    "tail-call": "wasm_tail_call",
    "multi-memory": "wasm_multi_memory",
    "exceptions": "wasm_exceptions",
    "function-references": "wasm_function_references",
    "gc": "wasm_gc",
    "relaxed-simd": "wasm_relaxed_simd",
    "memory64": "wasm_memory64",
    "threads": "wasm_threads",
    "wide-arithmetic": "wasm_wide_arithmetic",
}
NEEDED_BY = {
    "wasm_simd": ("wasm_relaxed_simd",),
    "wasm_function_references": ("wasm_gc",),
}  # switched off with it


@pytest.mark.parametrize("name", [name for name in FEATURES if name != "legacy-exceptions"])
def test_each_module_gives_what_it_should_where_its_feature_is(name: str) -> None:
    engine = wasmtime.Engine(configuration())
    store = wasmtime.Store(engine)
    start = wasmtime.Instance(store, wasmtime.Module(engine, feature_module(name)), []).exports(store)[
        "_start"
    ]
    assert isinstance(start, wasmtime.Func)
    start(store)


@pytest.mark.parametrize(("name", "switch"), SWITCHES.items())
def test_each_module_needs_its_feature(name: str, switch: str) -> None:
    config = configuration()
    for other in (*NEEDED_BY.get(switch, ()), switch):
        setattr(config, other, False)
    with pytest.raises(wasmtime.WasmtimeError):
        wasmtime.Module.validate(wasmtime.Engine(config), feature_module(name))


def test_a_device_tells_what_its_engines_have(harness, tmp_path) -> None:
    devices = tmp_path / "devices.yaml"
    devices.write_text(
        f"devices:\n  here: {{transport: local, cache: {tmp_path / 'cache'}, engines: [wasmtime-j]}}\n"
    )
    ran = harness("devices", "here", "--features", "--json", "--devices-file", devices)
    assert ran.code == 0, ran.err
    rows = {row["feature"]: row for row in json.loads(ran.out)}
    assert list(rows) == list(FEATURES)
    assert {name for name, row in rows.items() if not row["has"]} - {"threads"} == {"legacy-exceptions"}
    assert rows["legacy-exceptions"]["reason"].startswith("refused: does not compile")
    assert {(row["device"], row["engine"]) for row in rows.values()} == {("here", "wasmtime-j")}
