"""What a processor is called, from the numbers by which it identifies itself.

The names are those that LLVM takes as `-mcpu`, as in the published data (`uarch=znver2`, `uarch=cortex-a72`). x86
processors tell vendor, family, model and stepping, Arm ones implementer and part (one per kind of core), RISC-V ones
at most a text. Virtual machines tell what their host wants them to.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

# Intel, family 6, by model.
INTEL: dict[int, str] = {
    number: name
    for name, numbers in {
        "core2": (0x0F, 0x16),
        "penryn": (0x17, 0x1D),
        "nehalem": (0x1A, 0x1E, 0x1F, 0x2E),
        "westmere": (0x25, 0x2C, 0x2F),
        "sandybridge": (0x2A, 0x2D),
        "ivybridge": (0x3A, 0x3E),
        "haswell": (0x3C, 0x3F, 0x45, 0x46),
        "broadwell": (0x3D, 0x47, 0x4F, 0x56),
        "skylake": (0x4E, 0x5E, 0x8E, 0x9E, 0xA5, 0xA6),  # and Kaby, Coffee and Comet Lake
        "skylake-avx512": (0x55,),
        "cannonlake": (0x66,),
        "icelake-client": (0x7D, 0x7E, 0x9D),
        "icelake-server": (0x6A, 0x6C),
        "rocketlake": (0xA7,),
        "tigerlake": (0x8C, 0x8D),
        "alderlake": (0x97, 0x9A),
        "gracemont": (0xBE,),
        "raptorlake": (0xB7, 0xBA, 0xBF),
        "meteorlake": (0xAA, 0xAC),
        "arrowlake": (0xB5, 0xC5),
        "arrowlake-s": (0xC6,),
        "lunarlake": (0xBD,),
        "pantherlake": (0xCC,),
        "sapphirerapids": (0x8F,),
        "emeraldrapids": (0xCF,),
        "graniterapids": (0xAD,),
        "graniterapids-d": (0xAE,),
        "sierraforest": (0xAF,),
        "grandridge": (0xB6,),
        "clearwaterforest": (0xDD,),
        "bonnell": (0x1C, 0x26, 0x27, 0x35, 0x36),
        "silvermont": (0x37, 0x4A, 0x4C, 0x4D, 0x5A, 0x5D),  # and Airmont
        "goldmont": (0x5C, 0x5F),
        "goldmont-plus": (0x7A,),
        "tremont": (0x86, 0x8A, 0x96, 0x9C),
        "knl": (0x57,),
        "knm": (0x85,),
    }.items()
    for number in numbers
}

# AMD and Hygon, by family: (first model, last model, name), the first that fits.
AMD: dict[int, tuple[tuple[int, int, str], ...]] = {
    0x0F: ((0x00, 0xFF, "k8"),),
    0x10: ((0x00, 0xFF, "amdfam10"),),
    0x14: ((0x00, 0xFF, "btver1"),),
    0x15: (
        (0x00, 0x01, "bdver1"),
        (0x02, 0x1F, "bdver2"),
        (0x30, 0x3F, "bdver3"),
        (0x60, 0x7F, "bdver4"),
    ),
    0x16: ((0x00, 0xFF, "btver2"),),
    0x17: ((0x00, 0x2F, "znver1"), (0x30, 0xAF, "znver2")),
    0x18: ((0x00, 0xFF, "znver1"),),
    0x19: (
        (0x00, 0x0F, "znver3"),
        (0x10, 0x1F, "znver4"),
        (0x20, 0x5F, "znver3"),
        (0x60, 0x7F, "znver4"),
        (0xA0, 0xAF, "znver4"),
    ),
    0x1A: ((0x00, 0x4F, "znver5"), (0x60, 0x7F, "znver5"), (0xD0, 0xD7, "znver5")),
}

# Arm, by implementer and part. Qualcomm's and Nvidia's parts under the name of the core they are made from.
ARM: dict[tuple[int, int], str] = {
    (implementer, part): name
    for implementer, parts in {
        0x41: {
            0x926: "arm926ej-s", 0xB76: "arm1176jzf-s", 0xC05: "cortex-a5", 0xC07: "cortex-a7", 0xC08: "cortex-a8",
            0xC09: "cortex-a9", 0xC0D: "cortex-a12", 0xC0E: "cortex-a17", 0xC0F: "cortex-a15", 0xC20: "cortex-m0",
            0xC23: "cortex-m3", 0xC24: "cortex-m4", 0xC27: "cortex-m7", 0xD02: "cortex-a34", 0xD03: "cortex-a53",
            0xD04: "cortex-a35", 0xD05: "cortex-a55", 0xD06: "cortex-a65", 0xD07: "cortex-a57", 0xD08: "cortex-a72",
            0xD09: "cortex-a73", 0xD0A: "cortex-a75", 0xD0B: "cortex-a76", 0xD0C: "neoverse-n1", 0xD0D: "cortex-a77",
            0xD0E: "cortex-a76ae", 0xD40: "neoverse-v1", 0xD41: "cortex-a78", 0xD42: "cortex-a78ae",
            0xD44: "cortex-x1", 0xD46: "cortex-a510", 0xD47: "cortex-a710", 0xD48: "cortex-x2", 0xD49: "neoverse-n2",
            0xD4A: "neoverse-e1", 0xD4B: "cortex-a78c", 0xD4C: "cortex-x1c", 0xD4D: "cortex-a715",
            0xD4E: "cortex-x3", 0xD4F: "neoverse-v2", 0xD80: "cortex-a520", 0xD81: "cortex-a720", 0xD82: "cortex-x4",
            0xD84: "neoverse-v3", 0xD85: "cortex-x925", 0xD87: "cortex-a725", 0xD88: "cortex-a520ae",
            0xD89: "cortex-a720ae", 0xD8E: "neoverse-n3",
        },
        0x42: {0x516: "thunderx2t99"},
        0x43: {0x0A0: "thunderx", 0x0A1: "thunderxt88", 0x0A2: "thunderxt81", 0x0A3: "thunderxt83",
               0x0AF: "thunderx2t99", 0x0B8: "thunderx3t110"},
        0x46: {0x001: "a64fx"},
        0x48: {0xD01: "tsv110"},
        0x4E: {0x004: "carmel"},
        0x51: {0x06F: "krait", 0x201: "kryo", 0x205: "kryo", 0x211: "kryo", 0x800: "cortex-a73", 0x801: "cortex-a53",
               0x802: "cortex-a75", 0x803: "cortex-a55", 0x804: "cortex-a76", 0x805: "cortex-a55", 0xC00: "falkor",
               0xC01: "saphira", 0x001: "oryon-1"},
        0x53: {0x002: "exynos-m3", 0x003: "exynos-m4", 0x004: "exynos-m5"},
        0x61: {**dict.fromkeys((0x020, 0x021, 0x022, 0x023, 0x024, 0x025, 0x028, 0x029), "apple-m1"),
               **dict.fromkeys((0x030, 0x031, 0x032, 0x033, 0x034, 0x035, 0x038, 0x039), "apple-m2"),
               **dict.fromkeys((0x042, 0x043, 0x044, 0x045, 0x048, 0x049), "apple-m3")},
        0xC0: {0xAC3: "ampere1", 0xAC4: "ampere1a", 0xAC5: "ampere1b"},
    }.items()
    for part, name in parts.items()
}  # fmt: skip

RISCV = {
    "sifive,u54-mc": "sifive-u54",
    "sifive,u74-mc": "sifive-u74",
    "sifive,u74": "sifive-u74",
    "sifive,bullet0": "sifive-u74",
    "thead,c906": "xuantie-c906",
    "thead,c910": "xuantie-c910",
    "thead,c920": "xuantie-c920",
    "spacemit,x60": "spacemit-x60",
}

# What the texts of /proc/cpuinfo and lscpu call the facts that name a processor.
FIELDS = {
    "vendor_id": "vendor", "vendor id": "vendor", "cpu family": "family", "model": "model", "stepping": "stepping",
    "model name": "model_name", "cpu implementer": "implementer", "cpu part": "part", "uarch": "uarch", "isa": "isa",
    "architecture": "machine",
}  # fmt: skip


def read_cpu(text: str) -> dict[str, str]:
    """The identifying facts in a text of /proc/cpuinfo or lscpu; several kinds of cores are joined by commas."""
    found: dict[str, list[str]] = {}
    for name, value in re.findall(r"^\s*([^:\n]+?)\s*:[ \t]*(.*?)\s*$", text, re.M):
        fact = FIELDS.get(name.lower())
        if fact and value and value not in found.setdefault(fact, []):
            found[fact].append(value)
    several = ("implementer", "part", "model_name")
    return {fact: ",".join(values) if fact in several else values[0] for fact, values in found.items()}


def microarchitectures(facts: Mapping[str, str]) -> list[str]:
    """The name of each kind of core of a processor (its numbers, where no table knows it); empty if the
    facts name none.

    ``facts`` are the strings of the agent or of ``read_cpu``.
    """
    if "implementer" in facts and "part" in facts:
        parts, implementers = facts["part"].split(","), facts["implementer"].split(",")
        implementers += implementers[-1:] * (len(parts) - len(implementers))
        return [_arm(*pair) for pair in zip(implementers, parts, strict=False)]
    if {"vendor", "family", "model"} <= facts.keys():
        return [_x86(facts["vendor"], *(_number(facts.get(f, "")) for f in ("family", "model", "stepping")))]
    if "uarch" in facts or "isa" in facts or facts.get("machine", "").startswith("riscv"):
        bits = "32" if facts.get("isa", facts.get("machine", "")).startswith(("rv32", "riscv32")) else "64"
        return [RISCV.get(facts.get("uarch", ""), f"generic-rv{bits}")]
    if facts.get("vendor", "").upper() in ("ARM", "APPLE", "QUALCOMM") and "model_name" in facts:
        # lscpu prints Arm's cores by name, not by part number.
        return [_spelled(name) for name in facts["model_name"].split(",")]
    return []


def _arm(implementer: str, part: str) -> str:
    numbers = (_number(implementer), _number(part))
    return ARM.get(numbers) or f"arm-{numbers[0]:x}-{numbers[1]:x}"


def _x86(vendor: str, family: int, model: int, stepping: int) -> str:
    name = None
    if vendor == "GenuineIntel" and family == 6:
        name = INTEL.get(model)
        if name == "skylake-avx512" and stepping >= 5:
            name = "cooperlake" if stepping >= 10 else "cascadelake"
    elif vendor == "GenuineIntel" and family == 15:
        name = "nocona" if model >= 3 else "pentium4"
    elif vendor in ("AuthenticAMD", "HygonGenuine"):
        name = next((name for first, last, name in AMD.get(family, ()) if first <= model <= last), None)
    return name or f"{_spelled(vendor)}-{family:x}-{model:x}"


def _number(text: str) -> int:
    """The number in a text; 0 where it is none (the kernel may say `unknown`)."""
    try:
        return int(text, 0)
    except ValueError:
        return 0


def _spelled(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
