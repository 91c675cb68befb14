"""IMA ADPCM in Python, for checking: every step's differences are tabulated from the standard's formula."""

from __future__ import annotations

import sys
from array import array

STEPS = [
    7, 8, 9, 10, 11, 12, 13, 14, 16, 17, 19, 21, 23, 25, 28, 31, 34, 37, 41, 45, 50, 55, 60, 66, 73, 80, 88, 97, 107,
    118, 130, 143, 157, 173, 190, 209, 230, 253, 279, 307, 337, 371, 408, 449, 494, 544, 598, 658, 724, 796, 876, 963,
    1060, 1166, 1282, 1411, 1552, 1707, 1878, 2066, 2272, 2499, 2749, 3024, 3327, 3660, 4026, 4428, 4871, 5358, 5894,
    6484, 7132, 7845, 8630, 9493, 10442, 11487, 12635, 13899, 15289, 16818, 18500, 20350, 22385, 24623, 27086, 29794,
    32767,
]  # fmt: skip
MOVES = [-1, -1, -1, -1, 2, 4, 6, 8] * 2


def differences() -> list[list[int]]:
    """By step and code: what the code adds, each of its bits worth a part of the step that is cut off by itself."""
    table = []
    for step in STEPS:
        size = [
            step // 8 + step // 4 * (c & 1) + step // 2 * (c // 2 & 1) + step * (c // 4) for c in range(8)
        ]
        table.append([*size, *(-one for one in size)])
    return table


DIFFERENCES = differences()


def decode(codes: bytes) -> bytes:
    samples, index, value = array("h"), 0, 0
    for byte in codes:
        for code in (byte >> 4, byte & 15):
            value = max(-32768, min(32767, value + DIFFERENCES[index][code]))
            index = max(0, min(88, index + MOVES[code]))
            samples.append(value)
    return little_endian(samples).tobytes()


def encode(pcm: bytes) -> bytes:
    """The difference in quarters of a step, bit by bit as in the standard's flow chart."""
    samples, codes = little_endian(array("h", pcm)), bytearray()
    index = value = upper = 0
    for number, sample in enumerate(samples):
        step, rest = STEPS[index], abs(sample - value)
        code = 8 if sample < value else 0
        for bit, part in ((4, step), (2, step >> 1), (1, step >> 2)):
            if rest >= part:
                code, rest = code | bit, rest - part
        value = max(-32768, min(32767, value + DIFFERENCES[index][code]))
        index = max(0, min(88, index + MOVES[code]))
        if number % 2:
            codes.append(upper << 4 | code)
        else:
            upper = code
    return bytes(codes)


def little_endian(samples: array[int]) -> array[int]:
    if sys.byteorder == "big":
        samples.byteswap()
    return samples
