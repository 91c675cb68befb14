"""Thousands of ways in which an .npz file can be wrong, drawn from a seed."""

from __future__ import annotations

import io
import json
import struct
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

Entries = dict[str, bytes]
ODD_HEADERS = (
    b"{'descr': '<f8', 'fortran_order': False, 'shape': (3, }",
    b"{'descr': '<f8', 'fortran_order': False, 'shape': ((((((3,), }",
    b"{'descr': [('a', '<f8')], 'fortran_order': False, 'shape': (3,), }",
    b"{'descr': '|O', 'fortran_order': False, 'shape': (1,), }",
    b"{'descr': '<f8', 'fortran_order': False, 'shape': (1000000, 1000000), }",
    b"{'descr': '<f8', 'fortran_order': True, 'shape': (), }",
    b"{'descr': '<U999999', 'fortran_order': False, 'shape': (3,), }",
    b"\x00" * 60,
    b"",
)
ODD_VALUES = (
    None,
    -1,
    0,
    1,
    3.5,
    1e308,
    "",
    "x",
    [],
    [[]],
    {},
    {"a": 1},
    True,
    [None],
    "\ud800",
    10**30,
    [1, 2, 3],
)


def read(path: Path) -> Entries:
    with zipfile.ZipFile(path) as archive:
        return {member.filename: archive.read(member) for member in archive.infolist()}


def packed(entries: Entries) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return stream.getvalue()


def npy(array: np.ndarray[Any, Any]) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def corruptions(whole: bytes, entries: Entries, count: int, seed: int) -> Iterator[bytes]:
    """So many damaged versions of a file, each kind about as often."""
    rng = np.random.default_rng(seed)
    kinds: list[Callable[[], bytes]] = [
        lambda: _bytes_changed(whole, rng),
        lambda: whole[: int(rng.integers(0, len(whole)))],
        lambda: _directory_changed(whole, rng),
        lambda: packed(_entry_changed(entries, rng)),
        lambda: packed(_array_changed(entries, rng)),
        lambda: packed(_header_changed(entries, rng)),
        lambda: packed(_entries_mixed(entries, rng)),
    ]
    if "header.npy" in entries:
        kinds.append(lambda: packed(_json_changed(entries, rng)))
    for number in range(count):
        yield kinds[number % len(kinds)]()


def bombs(entries: Entries) -> Iterator[bytes]:
    """Small files in which one array of nothing but zeros takes 100 MB."""
    size = 100 << 20
    text = f"{{'descr': '|u1', 'fortran_order': False, 'shape': ({size},), }}".encode() + b"\n"
    for name in list(entries)[:2]:
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
            for other, content in entries.items():
                if other != name:
                    archive.writestr(other, content)
            with archive.open(name, "w") as inside:
                inside.write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text)
                for _ in range(100):
                    inside.write(bytes(1 << 20))
        yield stream.getvalue()


def _bytes_changed(whole: bytes, rng: np.random.Generator) -> bytes:
    data = bytearray(whole)
    for place in rng.integers(0, len(data), rng.integers(1, 30)):
        data[place] = rng.integers(0, 256)
    return bytes(data)


def _directory_changed(whole: bytes, rng: np.random.Generator) -> bytes:
    """Bytes at the end, where a zip says what it holds."""
    data = bytearray(whole)
    for place in rng.integers(max(0, len(data) - 600), len(data), 3):
        data[place] = rng.integers(0, 256)
    return bytes(data)


def _entry_changed(entries: Entries, rng: np.random.Generator) -> Entries:
    name = _one(list(entries), rng)
    content = bytearray(entries[name])
    for place in rng.integers(0, min(len(content), 128), rng.integers(1, 5)):
        content[place] = rng.integers(0, 256)
    return entries | {name: bytes(content)}


def _array_changed(entries: Entries, rng: np.random.Generator) -> Entries:
    """Numbers, types or shapes of one array that its header describes rightly."""
    name = _one(list(entries), rng)
    array = np.load(io.BytesIO(entries[name]))
    flat = array.reshape(-1).copy()
    what = rng.integers(0, 6)
    if what == 0 and flat.size and flat.dtype.kind in "iufb":
        with np.errstate(over="ignore"):
            flat[rng.integers(flat.size)] = (
                _one([0, -1, 1e30, np.nan, np.inf, 2**31 - 1], rng) if flat.dtype.kind == "f" else 1
            )
        array = flat.reshape(array.shape)
    elif what == 1 and array.ndim:
        array = array[: len(array) // 2]
    elif what == 2:
        array = array[None]
    elif what == 3 and flat.dtype.kind in "iufb":
        array = array.astype(_one(["<f8", "<f4", "<i8", "|u1", "|b1", "<c16"], rng))
    elif what == 4:
        array = np.zeros((0, *array.shape[1:]), array.dtype)
    elif flat.dtype.kind == "i" and flat.size:
        flat[rng.integers(flat.size)] = _one(
            [-7, 10**6, np.iinfo(flat.dtype).max, np.iinfo(flat.dtype).min], rng
        )
        array = flat.reshape(array.shape)
    return entries | {name: npy(array)}


def _header_changed(entries: Entries, rng: np.random.Generator) -> Entries:
    name = _one(list(entries), rng)
    text = _one(list(ODD_HEADERS), rng)
    start = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text
    return entries | {name: start + entries[name][128:]}


def _entries_mixed(entries: Entries, rng: np.random.Generator) -> Entries:
    names = list(entries)
    first, second = _one(names, rng), _one(names, rng)
    what = rng.integers(0, 3)
    if what == 0:
        return {name: content for name, content in entries.items() if name != first}
    if what == 1:
        return entries | {first: entries[second], second: entries[first]}
    return entries | {_one(["../../x.npy", "a/b.npy", "x", ".npy", "pool9_scores.npy"], rng): entries[first]}


def _json_changed(entries: Entries, rng: np.random.Generator) -> Entries:
    header = json.loads(np.load(io.BytesIO(entries["header.npy"])).tobytes())
    place: Any = header
    while True:
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        key = _one(keys, rng)
        if isinstance(place[key], dict | list) and place[key] and rng.random() < 0.7:
            place = place[key]
            continue
        if rng.random() < 0.2:
            del place[key]
        else:
            place[key] = _one(list(ODD_VALUES), rng)
        break
    text = json.dumps(header).encode()
    if rng.random() < 0.05:
        text = _one([text[:-1], b"[" * 100_000, b"null", b"\xff\xfe", b"1" * 5000], rng)
    return entries | {"header.npy": npy(np.frombuffer(text, np.uint8))}


def _one(choices: list[Any], rng: np.random.Generator) -> Any:
    return choices[int(rng.integers(len(choices)))]
