"""Make the input files of MiBench, the same bytes on every machine: ``python inputs.py DIRECTORY``.

Seeds come from SHAKE-128 and everything is whole numbers, so nothing depends on a version of Python or of a
library. What a decoder reads is what this suite's encoder printed.
"""

from __future__ import annotations

import hashlib
import os
import sys
from array import array
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from harness.suites.build import build
from harness.suites.catalogue import suites_in
from harness.suites.execute import execute

SAMPLES = {"small": 684_432, "large": 13_305_600}
TEXT_BYTES = {"small": 311_824, "large": 3_247_552}
VOICE_BYTES = {"small": 21_312, "large": 1_158_990}
LOG_LINES = {"small": (10_890, 251_969), "large": (62_721, 1_514_237)}
ENCODERS = {"adpcm_enc": "adpcm", "toast": "gsm", "blowfish_enc": "blowfish", "rijndael_enc": "rijndael"}
PHRASES = {"small": 57, "large": 1_330}


class Draw:
    """Whole numbers from a seed: SHAKE-128 read four bytes at a time."""

    def __init__(self, seed: str) -> None:
        self._numbers = self._stream(seed)

    @staticmethod
    def _stream(seed: str) -> Iterator[int]:
        block = 0
        while True:
            block += 1
            data = hashlib.shake_128(f"{seed} {block}".encode()).digest(1 << 16)
            yield from (int.from_bytes(data[i : i + 4], "little") for i in range(0, len(data), 4))

    def below(self, end: int) -> int:
        return next(self._numbers) * end >> 32

    def between(self, low: int, high: int) -> int:
        """From `low` to `high`, both included."""
        return low + self.below(high - low + 1)


# Sound


def resonances() -> list[tuple[int, int]]:
    """The factors of vowels: 2 r cos(2 pi f / 8000) of both formants in 2^-14, with r^2 = 15416 / 2^14."""
    return [(29_366, 17_600), (30_300, 4_970), (26_400, 9_300), (31_000, -11_200), (28_200, 21_900)]


def speech(count: int) -> array[int]:
    """Something like speech, 8000 samples a second: vowels, hissing and pauses of a tenth of a second and more."""
    draw = Draw("speech")
    samples, vowels = array("h"), resonances()
    one = two = one_before = two_before = 0
    while len(samples) < count:
        kind, length = draw.below(8), draw.between(800, 3200)
        first, second = vowels[draw.below(len(vowels))]
        period, loudness = draw.between(45, 110), draw.between(60, 1400)
        noise = draw.below(1 << 30) | 1
        for i in range(min(length, count - len(samples))):
            noise = (noise * 1_103_515_245 + 12_345) & 0x7FFFFFFF
            hiss = (noise >> 15) - 32768
            if kind < 5:  # a vowel: one pulse a period
                excitation = loudness << 3 if i % period == 0 else hiss >> 12
            else:
                excitation = hiss >> 7 if kind < 7 else hiss >> 13
            one, one_before = excitation + ((first * one - 15_416 * one_before) >> 14), one
            two, two_before = (one >> 1) + ((second * two - 15_416 * two_before) >> 14), two
            sample = one + (two >> 1)
            samples.append(-32768 if sample < -32768 else 32767 if sample > 32767 else sample)
    return samples


def little_endian(samples: array[int]) -> bytes:
    ordered = array("h", samples)
    if sys.byteorder == "big":
        ordered.byteswap()
    return ordered.tobytes()


def repeated(samples: array[int], count: int) -> array[int]:
    """`count` samples: pieces of a second of `samples`, in random order."""
    draw, found, piece = Draw("pieces"), array("h"), 8000
    while len(found) < count:
        start = draw.below(len(samples) - piece)
        found += samples[start : start + piece]
    return found[:count]


def mu_law(sample: int) -> int:
    """ITU-T G.711; the sample has 16 bits."""
    size = min((~sample if sample < 0 else sample) // 4 + 33, 8191)
    segment = size.bit_length() - 6
    return ~((128 if sample < 0 else 0) | segment << 4 | (size >> (segment + 1) & 15)) & 255


def sun_audio(samples: array[int], total_bytes: int) -> bytes:
    """A Sun .au file of mu-law samples, 8000 a second, with a header of 32 bytes."""
    count, codes = total_bytes - 32, bytes(mu_law(sample) for sample in range(-32768, 32768))
    numbers = (32, count, 1, 8000, 1)  # where sound starts, its bytes, mu-law, rate, channels
    header = b".snd" + b"".join(number.to_bytes(4, "big") for number in numbers)
    return header.ljust(32, b"\0") + bytes(codes[sample + 32768] for sample in samples[:count])


# Text

ONSETS = [
    "b", "br", "c", "ch", "d", "dr", "f", "fl", "g", "gr", "h", "j", "k", "l", "m", "n", "p", "pl",
    "qu", "r", "s", "sh", "st", "t", "th", "tr", "v", "w",
]  # fmt: skip
ENDS = [
    "a", "al", "an", "ar", "e", "ed", "ell", "en", "er", "est", "i", "in", "ing", "ish", "o", "on",
    "ore", "ou", "ound", "u", "ull", "un",
]  # fmt: skip


def vocabulary(draw: Draw, count: int) -> list[str]:
    words: dict[str, None] = {}
    while len(words) < count:
        word = "".join(
            ONSETS[draw.below(len(ONSETS))] + ENDS[draw.below(len(ENDS))] for _ in range(draw.between(1, 3))
        )
        words[word] = None
    return list(words)


def prose(size: int) -> bytes:
    """`size` bytes of words, the first of a vocabulary more often, in lines of about 70 characters."""
    draw = Draw("prose")
    words, line, lines, length = vocabulary(draw, 2000), "", [], 0
    while length < size:
        line += words[draw.below(draw.between(1, len(words)))] + " "
        if len(line) > 70:
            lines.append(line.rstrip() + ".\n")
            length += len(lines[-1])
            line = ""
    return "".join(lines).encode()[: size - 1] + b"\n"


def word_list(count: int, size: int) -> bytes:
    """`count` words of one to twelve letters, one a line, `size` bytes in all."""
    draw = Draw("words")
    lengths = [1] * count
    for _ in range(size - 2 * count):
        while lengths[at := draw.below(count)] == 12:
            pass
        lengths[at] += 1
    letters = "eeeeetttaaaooiinnsshhrrddlccuummwfgypbvk"
    lines = ("".join(letters[draw.below(len(letters))] for _ in range(length)) for length in lengths)
    return "".join(line + "\n" for line in lines).encode()


def points(count: int, size: int) -> bytes:
    """`count` lines of three whole numbers below 2^31, which fill `size` bytes."""
    draw = Draw("points")
    digits = [9] * (3 * count)
    for at in range(size - 10 * len(digits)):
        digits[at] = 10
    for i in range(len(digits) - 1, 0, -1):
        j = draw.below(i + 1)
        digits[i], digits[j] = digits[j], digits[i]
    numbers = [draw.between(10 ** (n - 1), min(10**n, 1 << 31) - 1) for n in digits]
    lines = (numbers[i : i + 3] for i in range(0, len(numbers), 3))
    return "".join(f"{x}\t{y}\t{z}\n" for x, y, z in lines).encode()


def distances(nodes: int, size: int) -> bytes:
    """A matrix of numbers below 100, which fill `size` bytes."""
    draw, count = Draw("distances"), nodes * nodes
    short = [True] * (3 * count - size) + [False] * (size - 2 * count)
    for i in range(count - 1, 0, -1):
        j = draw.below(i + 1)
        short[i], short[j] = short[j], short[i]
    numbers = [str(draw.between(0, 9) if one else draw.between(10, 99)) for one in short]
    rows = (numbers[i : i + nodes] for i in range(0, count, nodes))
    return "".join("\t".join(row) + "\n" for row in rows).encode()


def addresses(count: int, size: int) -> bytes:
    """A log of `count` lines and `size` bytes: seconds, and an address as a signed number; some come often."""
    draw, micros = Draw("addresses"), 0
    known = [draw.below(1 << 32) for _ in range(count // 3)]
    lines = []
    for _ in range(count):
        micros += draw.between(1, 40_000)
        known_one = draw.below(4) > 0
        address = known[draw.below(draw.between(1, len(known)))] if known_one else draw.below(1 << 32)
        signed = address - (1 << 32) if address >> 31 else address
        lines.append([f"{micros // 10**6}.{micros % 10**6:06}", str(signed)])
    spare = size - sum(len(time) + len(address) + 2 for time, address in lines)
    for i in range(spare):
        lines[i % count][0] = " " + lines[i % count][0]
    return "".join(f"{time} {address}\n" for time, address in lines).encode()


def phrases(count: int) -> bytes:
    """`count` times a word or two, then on a line of its own a sentence, in which they mostly are."""
    draw = Draw("phrases")
    words, lines = vocabulary(draw, 500), []
    for _ in range(count):
        sentence = [words[draw.below(500)] for _ in range(draw.between(4, 12))]
        at, length = draw.below(len(sentence)), draw.between(1, 2)
        wanted = sentence[at : at + length] if draw.below(4) else [words[draw.below(500)]]
        lines += [" ".join(wanted), " ".join(sentence)]
    return "".join(line + "\n" for line in lines).encode()


def make(directory: Path) -> None:
    voice = speech(SAMPLES["small"])
    sounds = {"small": voice, "large": repeated(voice, SAMPLES["large"])}
    files = {
        "words.txt": word_list(10_000, 53_437),
        "points.txt": points(50_000, 1_572_431),
        "distances.txt": distances(100, 29_144),
    }
    for size in ("small", "large"):
        files |= {
            f"{size}.pcm": little_endian(sounds[size]),
            f"{size}.au": sun_audio(repeated(voice, VOICE_BYTES[size]), VOICE_BYTES[size]),
            f"{size}.txt": prose(TEXT_BYTES[size]),
            f"{size}.udp": addresses(*LOG_LINES[size]),
            f"{size}.phrases": phrases(PHRASES[size]),
        }
    directory.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        write(directory / name, data)

    suite = suites_in(Path(__file__).resolve().parent.parent)["mibench"]
    encoders = {
        f"mibench/{encoder}_{size[0]}": f"{size}.{ending}"
        for encoder, ending in ENCODERS.items()
        for size in ("small", "large")
    }
    chosen = replace(suite.only(encoders), inputs=None)
    build([chosen])
    for workload in chosen.workloads:
        ran = execute(workload)
        if ran.trap or ran.exit_code:
            raise SystemExit(f"{workload.name} {ran.trap or f'ended with exit code {ran.exit_code}'}")
        write(directory / encoders[workload.name], ran.stdout)


def write(path: Path, data: bytes) -> None:
    """All at once, so that whoever reads the file meanwhile reads a whole one."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    fresh.write_bytes(data)
    os.replace(fresh, path)


if __name__ == "__main__":
    make(Path(sys.argv[1]))
