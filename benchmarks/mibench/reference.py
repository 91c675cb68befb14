"""What every program must print, by other means than its C: the standard library, NumPy, `cryptography`.

A reference takes the directory of input files and the workload's defines. Where it gives bytes, the program prints
exactly these; where it gives an array, the program prints these numbers with six digits after the point.
The speech coder is checked against libgsm instead (see check.py).
"""

from __future__ import annotations

import hashlib
import math
import zlib
from collections.abc import Callable, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .adpcm import decode, encode

Numbers = NDArray[np.floating[Any]]
Expected = bytes | Numbers
Define = Mapping[str, Any]

BLOWFISH_KEY = bytes.fromhex("1234567890abcdeffedcba0987654321")
RIJNDAEL_KEY = BLOWFISH_KEY * 2


def xorshift(count: int) -> list[int]:
    state, found = 1, []
    for _ in range(count):
        state ^= state << 13 & 0xFFFFFFFF
        state ^= state >> 17
        state ^= state << 5 & 0xFFFFFFFF
        found.append(state)
    return found


def basicmath(inputs: Path, size: str, define: Define) -> Expected:
    a, b, c, d = (
        grid.ravel()
        for grid in np.meshgrid(
            np.arange(1.0, 10),
            steps(10, 0, -float(define["B_STEP"])),
            steps(5, 15, float(define["C_STEP"])),
            steps(-1, -11, -float(define["D_STEP"])),
            indexing="ij",
        )
    )
    numbers: list[float] = []
    for roots in np.split(real_roots(a, b, c, d), len(a)):
        numbers += roots[0][~np.isnan(roots[0])].tolist()
    spread = np.arange(define["ROOTS"], dtype=np.uint64) * np.uint64(define["ROOT_STEP"])
    more = np.arange(0x3FED0169, 0x3FED0169 + define["MORE_ROOTS"], dtype=np.uint64)
    squares = np.concatenate([spread, more]) << np.uint64(32)
    roots_ = np.sqrt(squares.astype(float)).astype(np.uint64)
    roots_ -= roots_ * roots_ > squares
    roots_ += (roots_ + np.uint64(1)) ** np.uint64(2) <= squares
    numbers.append(float(roots_.sum()))
    degrees = np.linspace(0, 360, define["ANGLES"])
    numbers += np.column_stack([degrees, np.radians(degrees)]).ravel().tolist()
    radians = np.linspace(0, 2 * np.pi, define["ANGLES"])
    numbers += np.column_stack([radians, np.degrees(radians)]).ravel().tolist()
    return np.array(numbers)


def steps(start: float, end: float, step: float) -> Numbers:
    count = math.ceil((end - start) / step - 1e-9)
    return start + step * np.arange(count)


def real_roots(a: Any, b: Any, c: Any, d: Any) -> Numbers:
    """Rows of three or, with NaN, one; by the eigenvalues of the companion matrices, polished by Newton's method."""
    companion = np.zeros((len(a), 3, 3))
    companion[:, 0] = -np.column_stack([b, c, d]) / a[:, None]
    companion[:, 1, 0] = companion[:, 2, 1] = 1
    found = np.linalg.eigvals(companion).astype(complex)
    discriminant = 18 * a * b * c * d - 4 * b**3 * d + b**2 * c**2 - 4 * a * c**3 - 27 * a**2 * d**2
    real = np.sort(found.real, axis=1)
    lonely = discriminant < 0
    least = np.argmin(abs(found.imag), axis=1)
    real[lonely, 0] = found.real[np.arange(len(a)), least][lonely]
    real[lonely, 1:] = np.nan
    for _ in range(2):
        value = ((a[:, None] * real + b[:, None]) * real + c[:, None]) * real + d[:, None]
        slope = (3 * a[:, None] * real + 2 * b[:, None]) * real + c[:, None]
        with np.errstate(divide="ignore", invalid="ignore"):
            step = np.where(abs(slope) > 1e-3, value / slope, 0)
        real = real - step
    # the program's order: the angle theta / 3, then two thirds of pi further each time
    order = real[:, [0, 2, 1]]
    order[lonely] = real[lonely]
    return order


def bitcnts(inputs: Path, size: str, define: Define) -> Expected:
    sums = []
    for start in xorshift(7):
        words = (start + 13 * np.arange(define["ITERATIONS"], dtype=np.uint64)).astype("<u4")
        sums.append(int(np.unpackbits(words.view(np.uint8)).sum()))
    return "".join(f"{total}\n" for total in sums).encode()


def qsort(inputs: Path, size: str, define: Define) -> Expected:
    if size == "s":
        return b"".join(word + b"\n" for word in sorted((inputs / "words.txt").read_bytes().split()))
    points = np.loadtxt(inputs / "points.txt", dtype=np.int64)
    x, y, z = points.T.astype(float)
    order = np.argsort(np.sqrt(x * x + y * y + z * z), kind="stable")
    return "".join(f"{x} {y} {z}\n" for x, y, z in points[order].tolist()).encode()


def dijkstra(inputs: Path, size: str, define: Define) -> Expected:
    """The lengths by Floyd and Warshall; which of the shortest paths is printed is checked by `is_shortest`."""
    direct = np.loadtxt(inputs / "distances.txt", dtype=int)
    return "".join(
        f"{shortest(direct)[start, (start + 50) % 100]}\n" for start in range(define["PAIRS"])
    ).encode()


def shortest(direct: NDArray[np.int_]) -> NDArray[np.int_]:
    length = direct.copy()
    np.fill_diagonal(length, 0)
    for k in range(len(length)):
        length = np.minimum(length, length[:, k, None] + length[k])
    return length


def lengths_of_paths(inputs: Path, printed: bytes) -> bytes:
    """The printed lengths, each after its path was followed and found to be as long as it says."""
    direct = np.loadtxt(inputs / "distances.txt", dtype=int)
    lengths = []
    for start, line in enumerate(printed.decode().splitlines()):
        length, _, path = line.partition(":")
        nodes = [int(node) for node in path.split()]
        assert (nodes[0], nodes[-1]) == (start, (start + 50) % 100)
        assert int(length) == sum(direct[a, b] for a, b in pairwise(nodes))
        lengths.append(f"{length}\n")
    return "".join(lengths).encode()


def patricia(inputs: Path, size: str, define: Define) -> Expected:
    seen, printed = {0}, []
    for line in (inputs / f"{WORD[size]}.udp").read_text().splitlines():
        time, text = line.split()
        address = int(text) & 0xFFFFFFFF
        if address in seen:
            dotted = ".".join(str(part) for part in address.to_bytes(4, "big"))
            printed.append(f"{time} {dotted}\n")
        seen.add(address)
    return "".join(printed).encode()


def stringsearch(inputs: Path, size: str, define: Define) -> Expected:
    lines = (inputs / f"{WORD[size]}.phrases").read_text().splitlines()
    printed = []
    for wanted, sentence in zip(lines[::2], lines[1::2], strict=True):
        at = sentence.find(wanted)
        printed.append(f"{wanted} is not there\n" if at < 0 else f"{wanted} is at {at}\n")
    return "".join(printed).encode()


def blowfish(inputs: Path, size: str, define: Define) -> Expected:
    try:
        from cryptography.hazmat.decrepit.ciphers.algorithms import Blowfish
    except ImportError:  # before version 43
        from cryptography.hazmat.primitives.ciphers.algorithms import Blowfish
    from cryptography.hazmat.primitives.ciphers import Cipher, modes

    try:
        from cryptography.hazmat.decrepit.ciphers.modes import CFB
    except ImportError:
        CFB = modes.CFB  # type: ignore[misc]
    text = (inputs / f"{WORD[size]}.txt").read_bytes()
    if "DECRYPT" in define:
        return text
    encryptor = Cipher(Blowfish(BLOWFISH_KEY), CFB(bytes(8))).encryptor()
    return b"@" + encryptor.update(text) + encryptor.finalize()  # 64: the bits fed back


def rijndael(inputs: Path, size: str, define: Define) -> Expected:
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
    from cryptography.hazmat.primitives.padding import PKCS7

    text = (inputs / f"{WORD[size]}.txt").read_bytes()
    if "DECRYPT" in define:
        return text
    vector = b"".join(word.to_bytes(4, "big") for word in xorshift(4))
    encryptor = Cipher(algorithms.AES(RIJNDAEL_KEY), modes.CBC(vector)).encryptor()
    padder = PKCS7(128).padder()
    return vector + encryptor.update(padder.update(text) + padder.finalize()) + encryptor.finalize()


def sha(inputs: Path, size: str, define: Define) -> Expected:
    data = (inputs / f"{WORD[size]}.txt").read_bytes()
    return f"{hashlib.sha1(data, usedforsecurity=False).hexdigest()}\n".encode()


def crc32(inputs: Path, size: str, define: Define) -> Expected:
    return f"{zlib.crc32((inputs / f'{WORD[size]}.pcm').read_bytes()):08x}\n".encode()


def adpcm_enc(inputs: Path, size: str, define: Define) -> Expected:
    return encode((inputs / f"{WORD[size]}.pcm").read_bytes())


def adpcm_dec(inputs: Path, size: str, define: Define) -> Expected:
    return decode((inputs / f"{WORD[size]}.adpcm").read_bytes())


def waves(define: Define) -> Numbers:
    points, draws = define["POINTS"], xorshift(2 * define["WAVES"])
    total: Numbers = np.zeros(points)
    for number, (amplitude, frequency) in enumerate(zip(draws[::2], draws[1::2], strict=True)):
        angle = 2 * np.pi * ((frequency % points) * np.arange(points) % points) / points
        total += (amplitude % 1000) * (np.sin(angle) if number % 2 else np.cos(angle))
    return total


def fft(inputs: Path, size: str, define: Define) -> Expected:
    return np.column_stack([(x := np.fft.fft(waves(define))).real, x.imag]).ravel()


def invfft(inputs: Path, size: str, define: Define) -> Expected:
    return np.column_stack([(x := np.fft.ifft(waves(define))).real, x.imag]).ravel()


WORD = {"s": "small", "l": "large"}
REFERENCES: dict[str, Callable[[Path, str, Define], Expected]] = {
    "basicmath": basicmath,
    "bitcnts": bitcnts,
    "qsort": qsort,
    "dijkstra": dijkstra,
    "patricia": patricia,
    "stringsearch": stringsearch,
    "blowfish_enc": blowfish,
    "blowfish_dec": blowfish,
    "rijndael_enc": rijndael,
    "rijndael_dec": rijndael,
    "sha": sha,
    "crc32": crc32,
    "adpcm_enc": adpcm_enc,
    "adpcm_dec": adpcm_dec,
    "fft": fft,
    "invfft": invfft,
}
