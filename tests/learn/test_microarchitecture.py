"""Processors by name, from texts as boards print them, and what becomes of them as features."""

from __future__ import annotations

import math

import pytest

from harness.learn.arrays import matrix
from harness.learn.microarchitecture import microarchitectures, read_cpu
from harness.learn.platforms import platform_features

# Saved beginnings of /proc/cpuinfo, and of lscpu, in the form each board prints them.
TEXTS = {
    "desktop, Coffee Lake": (
        "processor\t: 0\nvendor_id\t: GenuineIntel\ncpu family\t: 6\nmodel\t\t: 158\n"
        "model name\t: Intel(R) Core(TM) i7-8700 CPU @ 3.20GHz\nstepping\t: 10\nmicrocode\t: 0xf4\n"
        "cpu MHz\t\t: 800.062\n",
        ["skylake"],
    ),
    "NUC, Tiger Lake, lscpu": (
        "Architecture:                       x86_64\nVendor ID:                          GenuineIntel\n"
        "Model name:                         11th Gen Intel(R) Core(TM) i5-1135G7 @ 2.40GHz\n"
        "CPU family:                         6\nModel:                              140\nThread(s) per core: 2\n"
        "Stepping:                           1\n",
        ["tigerlake"],
    ),
    "cloud machine, Cascade Lake": (
        "processor\t: 0\nvendor_id\t: GenuineIntel\ncpu family\t: 6\nmodel\t\t: 85\n"
        "model name\t: Intel(R) Xeon(R) Processor @ 2.50GHz\nstepping\t: 7\n",
        ["cascadelake"],
    ),
    "server, Skylake-SP": (
        "vendor_id\t: GenuineIntel\ncpu family\t: 6\nmodel\t\t: 85\n"
        "model name\t: Intel(R) Xeon(R) Gold 6130\nstepping\t: 4\n",
        ["skylake-avx512"],
    ),
    "small board, Gemini Lake": (
        "vendor_id\t: GenuineIntel\ncpu family\t: 6\nmodel\t\t: 122\n"
        "model name\t: Intel(R) Celeron(R) J4105 CPU @ 1.50GHz\n"
        "stepping\t: 1\n",
        ["goldmont-plus"],
    ),
    "apu2 router, Jaguar": (
        "vendor_id\t: AuthenticAMD\ncpu family\t: 22\nmodel\t\t: 48\nmodel name\t: AMD GX-412TC SOC\nstepping\t: 1\n",
        ["btver2"],
    ),
    "server, Zen 2": (
        "vendor_id\t: AuthenticAMD\ncpu family\t: 23\nmodel\t\t: 49\nmodel name\t: AMD EPYC 7B12\nstepping\t: 0\n",
        ["znver2"],
    ),
    "laptop, Zen 3": (
        "vendor_id\t: AuthenticAMD\ncpu family\t: 25\nmodel\t\t: 80\n"
        "model name\t: AMD Ryzen 7 5800U with Radeon Graphics\n",
        ["znver3"],
    ),
    "Raspberry Pi 4": (
        "processor\t: 0\nBogoMIPS\t: 108.00\nFeatures\t: fp asimd evtstrm crc32 cpuid\nCPU implementer\t: 0x41\n"
        "CPU architecture: 8\nCPU variant\t: 0x0\nCPU part\t: 0xd08\nCPU revision\t: 3\n\nHardware\t: BCM2835\n"
        "Revision\t: c03111\nModel\t\t: Raspberry Pi 4 Model B Rev 1.1\n",
        ["cortex-a72"],
    ),
    "Raspberry Pi 4, lscpu": (
        "Architecture:        aarch64\nVendor ID:           ARM\nModel:               3\n"
        "Model name:          Cortex-A72\n"
        "Stepping:            r0p3\n",
        ["cortex-a72"],
    ),
    "Raspberry Pi Zero": (
        "processor\t: 0\nmodel name\t: ARMv6-compatible processor rev 7 (v6l)\nBogoMIPS\t: 697.95\n"
        "CPU implementer\t: 0x41\n"
        "CPU architecture: 7\nCPU variant\t: 0x0\nCPU part\t: 0xb76\nCPU revision\t: 7\n",
        ["arm1176jzf-s"],
    ),
    "RockPro64, two kinds of cores": (
        "processor\t: 0\nCPU implementer\t: 0x41\nCPU part\t: 0xd03\n\nprocessor\t: 4\n"
        "CPU implementer\t: 0x41\nCPU part\t: 0xd08\n",
        ["cortex-a53", "cortex-a72"],
    ),
    "Jetson Xavier": (
        "CPU implementer\t: 0x4e\nCPU architecture: 8\nCPU variant\t: 0x0\nCPU part\t: 0x004\n", ["carmel"]
    ),
    "phone, Kryo": (
        "CPU implementer\t: 0x51\nCPU part\t: 0x803\n\nCPU implementer\t: 0x51\nCPU part\t: 0x802\n",
        ["cortex-a55", "cortex-a75"],
    ),
    "Graviton 2": ("processor\t: 0\nBogoMIPS\t: 243.75\nCPU implementer\t: 0x41\nCPU part\t: 0xd0c\n", ["neoverse-n1"]),
    "VisionFive 2": (
        "processor\t: 0\nhart\t\t: 1\nisa\t\t: rv64imafdc_zicntr_zicsr\nmmu\t\t: sv39\nuarch\t\t: sifive,u74-mc\n"
        "mvendorid\t: 0x489\nmarchid\t\t: 0x8000000000000007\n",
        ["sifive-u74"],
    ),
    "unnamed RISC-V": ("processor\t: 0\nhart\t\t: 0\nisa\t\t: rv64imafdc\nmmu\t\t: sv39\n", ["generic-rv64"]),
    "an Intel processor of the future": (
        "vendor_id\t: GenuineIntel\ncpu family\t: 6\nmodel\t\t: 254\nmodel name\t: Genuine Intel(R) 0000\n",
        ["genuineintel-6-fe"],
    ),
    "an Arm core that no table has": ("CPU implementer\t: 0x41\nCPU part\t: 0xfff\n", ["arm-41-fff"]),
    "an emulator": ("processor\t: 0\n", []),
}  # fmt: skip


@pytest.mark.parametrize("board", TEXTS)
def test_a_processor_is_called_what_the_published_data_would(board: str) -> None:
    text, names = TEXTS[board]
    assert microarchitectures(read_cpu(text)) == names


def test_nonsense_from_a_device_is_no_name_and_no_error() -> None:
    assert microarchitectures({"implementer": "0x41", "part": "rubbish"}) == ["arm-41-0"]
    assert microarchitectures({"vendor": "GenuineIntel", "family": "six", "model": ""}) == [
        "genuineintel-0-0"
    ]


def row(**changes: object) -> dict[str, object]:
    facts = {
        "vendor": "GenuineIntel", "family": "6", "model": "140", "stepping": "1", "max_mhz": "4200", "cores": "8",
        "l1d_bytes": "49152", "l2_bytes": "1310720", "l2_line_bytes": "64", "l2_ways": "20",
        "memory_bytes": "17179869184",
        "smt": "True",
    }  # fmt: skip
    return {
        "features": None, "facts": list(facts.items()), "engine": "wasmtime-j", "family": "wasmtime",
        "kind": "compiler",
        "ahead_of_time": False, "engine_version": "50.0.1",
    } | changes  # fmt: skip


def test_a_platform_is_encoded_as_published_and_what_is_unknown_is_left_out() -> None:
    assert platform_features(row()) == {
        "runtime=wasmtime-j": 1.0, "family=wasmtime": 1.0, "kind=compiler": 1.0, "ahead_of_time": -1.0,
        "version=wasmtime-50.0": 1.0, "uarch=tigerlake": 1.0, "cpufreq": math.log(4200) - 7,
        "l1d_size": math.log2(49152) - 16, "l1d_size:ind": 1.0, "l2_size": math.log2(1310720) - 21, "l2_size:ind": 1.0,
        "l2_line": -4.0, "l2_line:ind": 1.0, "memory_size": 2.0, "memory_size:ind": 1.0, "l2_assoc=7": 1.0,
        "cores": 3.0,
        "smt": 1.0, "smt:ind": 1.0,
    }  # fmt: skip


def test_a_platform_of_which_nothing_is_known_has_a_row_too() -> None:
    silent = platform_features(row(facts=[], engine_version=""))
    table = matrix([platform_features(row()), silent])
    names = sorted(set(platform_features(row())) | set(silent))
    assert silent["l2_assoc=0"] == 1.0
    assert table[1, names.index("l1d_size:ind")] == -1.0
    assert table[1, names.index("l1d_size")] == 0.0
    assert table[1, names.index("uarch=tigerlake")] == -1.0
    assert table[1, names.index("smt:ind")] == -1.0
