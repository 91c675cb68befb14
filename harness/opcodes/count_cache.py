"""Counts kept on disk by what they depend on: module, arguments, environment, input and files."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from harness.files import replacing
from harness.opcodes.invocation import Counts
from harness.opcodes.native_run import count
from harness.opcodes.traps import TIME_LIMIT

_VERSION = 2  # of what is counted and how it is stored


def cached_count(
    module: bytes,
    directory: Path,
    *,
    argv: Sequence[str] = (),
    stdin: bytes | Path = b"",
    preopens: Mapping[str, Path] | None = None,
    env: Mapping[str, str] | None = None,
    timeout_s: float | None = None,
    entry: str = "_start",
) -> Counts:
    """Like `count`, from `directory` if the same program with the same input was counted before.

    `stdout` and `stderr` come back empty from the cache, hashes and counts as they were. A run stopped by its
    time limit is not kept. A damaged entry is counted anew.
    """
    key = cache_key(module, argv=argv, stdin=stdin, preopens=preopens or {}, env=env or {}, entry=entry)
    path = directory / f"{key}.json"
    with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
        return _read(path)
    counts = count(
        module, argv=argv, stdin=stdin, preopens=preopens, env=env, timeout_s=timeout_s, entry=entry
    )
    if counts.trap != TIME_LIMIT:
        _write(path, counts)
    return counts


def cache_key(
    module: bytes,
    *,
    argv: Sequence[str],
    stdin: bytes | Path,
    preopens: Mapping[str, Path],
    env: Mapping[str, str],
    entry: str,
) -> str:
    """A SHA-256 over everything the counts can depend on, but the clock and random numbers."""
    digest = hashlib.sha256()
    digest.update(
        json.dumps(
            [
                _VERSION,
                _hash(module),
                list(argv),
                _hash_file(stdin) if isinstance(stdin, Path) else _hash(stdin),
                sorted(env.items()),
                entry,
                sorted(preopens),
            ]
        ).encode()
    )
    for guest in sorted(preopens):
        root = Path(preopens[guest])
        for path in sorted(path for path in root.rglob("*") if path.is_file()):
            digest.update(json.dumps([str(path.relative_to(root)), _hash_file(path)]).encode())
    return digest.hexdigest()


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _hash_file(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _read(path: Path) -> Counts:
    found = json.loads(path.read_text(encoding="utf-8"))
    opcodes = {str(name): int(times) for name, times in found["opcodes"].items()}
    return Counts(
        opcodes=opcodes,
        total=sum(opcodes.values()),
        wall_ns=int(found["wall_ns"]),
        exit_code=int(found["exit_code"]),
        trap=found["trap"] if found["trap"] is None else str(found["trap"]),
        stdout=b"",
        stderr=b"",
        stdout_sha256=str(found["stdout_sha256"]),
        memory_sha256=str(found["memory_sha256"]),
        memory_bytes=int(found["memory_bytes"]),
    )


def _write(path: Path, counts: Counts) -> None:
    kept = {
        name: value
        for name, value in asdict(counts).items()
        if name not in ("stdout", "stderr", "results", "total")
    }
    with replacing(path) as partial:
        partial.write_text(json.dumps(kept), encoding="utf-8")
