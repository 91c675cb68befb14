"""Many devices at once: the broken ones have their reasons and spoil nothing, and a gateway lets all of them in.

``HARNESS_MANY=1`` asks for the long form: 60 devices of which 12 are broken, and 40 behind a gateway.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from harness.dataset.store import Dataset
from harness.engines import ENGINES
from harness.engines.runners.runner import EMPTY_MODULE
from harness.fleet.devices import Device
from harness.fleet.reach import reach_all
from harness.suites.imported import import_modules
from tests.cluster import HAVE_SSHD, WHY_NOT, Server, free_port, make_key
from tests.conftest import Ran
from tests.devices import FAKE

GOOD, DEVICES = (48, 40) if "HARNESS_MANY" in os.environ else (8, 16)
# How a device is broken: fields of devices.yaml, and what is said of it. Of a list of one text `sh` makes a command.
BROKEN: dict[str, tuple[dict[str, Any], str]] = {
    "no-program": ({"command": ["no-such-program"]}, "no-such-program does not run here"),
    "refused": ({"command": ["echo you may not >&2; exit 7"]}, "ended with exit code 7 and started no agent: you may"),
    "no-python": ({"python": "no-such-python"}, "exit code 127 and started no agent"),
    "old-python": ({"command": ["echo harness-boot old 3.6"]}, "its Python is 3.6, and 3.8 or later is needed"),
    "no-place": ({"cache": "/proc/none"}, "cannot write to /proc/none there"),
    "noise": ({"command": ["yes hello"]}, "its login shell prints more than 65536 bytes before anything can start"),
    "babble": (
        {"command": ["echo harness-boot run; echo '{\"event\"'; cat"]}, "sent something that is not of its protocol",
    ),
    "other-agent": (
        {"command": ["echo harness-boot run; echo '{\"event\":\"hello\",\"agent\":99}'; cat"]},
        "its agent speaks version 99",
    ),
    "no-processor": ({"cpus": [9999]}, "`cpus:` names processor 9999"),
    "same-cache": ({"cache": "shared"}, "device same-cache: it keeps its files in the same directory as its-twin"),
    "its-twin": ({"cache": "shared"}, "device its-twin: it keeps its files in the same directory as same-cache"),
    "dies": ({"command": ["echo harness-boot run; exit 3"]}, "the agent ended with exit code 3"),
    "nobody-there": ({"transport": "ssh", "host": "127.0.0.1"}, "127.0.0.1 port"),
}  # fmt: skip


def entry(root: Path, name: str, **fields: Any) -> dict[str, Any]:
    """A device that a command leads to, which is this machine."""
    if fields.get("transport") == "ssh":
        return fields | {"port": free_port()}
    command = fields.pop("command", ["env"])
    if " " in command[0]:
        command = ["sh", "-c", command[0]]
    cache = str(root / fields.pop("cache", name))
    return {"transport": "command", "command": command, "python": sys.executable, "cache": cache} | fields


def test_the_broken_devices_have_their_reasons_and_the_others_measure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, harness: Callable[..., Ran], suites: object
) -> None:
    (tmp_path / "modules").mkdir()
    (tmp_path / "modules" / "a.wasm").write_bytes(EMPTY_MODULE)
    monkeypatch.chdir(tmp_path)
    import_modules(tmp_path / "modules", "mine", root=tmp_path / "benchmarks")
    good = [f"good{number}" for number in range(GOOD)]
    devices = {name: entry(tmp_path, name) for name in good}
    devices |= {name: entry(tmp_path, name, **fields) for name, (fields, _) in BROKEN.items()}
    listed = {name: one | {"engines": ["wasmtime-j"]} for name, one in devices.items()}
    (tmp_path / "devices.yaml").write_text(json.dumps({"devices": listed}))
    options = ["--degrees=1", "--anchors=0", "--placebos=0", "--limit=5", "--co-run=0.02", "--repeats=2"]
    ran = harness("collect", "-o", "data", "-s", "mine", *options)
    assert ran.code == 1, ran.err
    said = " ".join(ran.err.split())
    assert {name: reason in said for name, (_, reason) in BROKEN.items()} == dict.fromkeys(BROKEN, True), (
        ran.err
    )
    rows = Dataset.open(tmp_path / "data").observations(["device", "workload", "status"]).to_pylist()
    assert Counter((row["device"], row["status"]) for row in rows) == {(name, "ok"): 2 for name in good}
    assert said.count("it is left out of this collection") == len(BROKEN)
    names = ", ".join(good[:-1])
    assert f"{names} and {good[-1]} are one machine: what runs as one disturbs what is measured" in said


@pytest.mark.skipif(not (HAVE_SSHD and shutil.which("ssh")), reason=WHY_NOT)
def test_a_gateway_that_turns_some_away_lets_all_devices_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two servers: a gateway that drops connections from the tenth on that is not yet let in, and what is behind it."""
    (tmp_path / "home" / ".ssh").mkdir(parents=True, mode=0o700)
    key = make_key(tmp_path / "home" / ".ssh" / "id_ed25519")
    gateway = Server(tmp_path, "gateway", key, extra="MaxStartups 10:30:100\nLogLevel VERBOSE\n")
    behind = Server(tmp_path, "behind", key)
    known = tmp_path / "known_hosts"
    monkeypatch.setitem(ENGINES, "fake", FAKE)
    monkeypatch.setattr("harness.fleet.reach.CONNECT_ATTEMPTS", 1)  # not by trying again
    try:
        for server in (gateway, behind):
            server.start()
        known.write_text(gateway.known_host() + behind.known_host())
        devices = [
            Device(
                "ssh", f"d{number}", host="127.0.0.1", port=behind.port, key=str(key), known_hosts=str(known),
                jump=f"127.0.0.1:{gateway.port}", python=sys.executable, cache=str(tmp_path / f"cache{number}"),
                engines=["fake"],
            )
            for number in range(DEVICES)
        ]  # fmt: skip
        reached, failed = reach_all(devices, Console())
        for one in reached:
            one.session.close()
        assert (len(reached), failed) == (DEVICES, [])
        assert "beginning MaxStartups throttling" not in (gateway.root / "gateway" / "log").read_text()
    finally:
        gateway.stop()
        behind.stop()
