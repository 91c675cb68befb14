"""wabt's wasm2c: the module as C, compiled together with a WASI host of our own.

By gcc on the device, or on the controller by the clang of ziglang, for a device that has neither.
"""

from harness.engines.command import Command, command_engine
from harness.engines.engine import Engine, Kind
from harness.engines.maker import CommandMaker, Words
from harness.suites.toolchain import TARGETS

ZIG: Words = ("{python}", "-m", "ziglang", "cc")
FILES = ("wasm2c_host.c", "wasm2c_clocks.c", "wasm2c_directories.c", "wasi_files.h")
TO_C: Words = ("wasm2c", "-n", "module", "{module}", "-o", "{scratch}/module.c")
# Without -fno-optimize-sibling-calls a recursion without end becomes a loop.
OF_C: Words = (
    *(
        "-fno-optimize-sibling-calls",
        "-w",
        "-I{scratch}",
        "-I{here}",
        "-I/usr/share/wabt/wasm2c",
        "-o",
        "{artefact}",
    ),
    *("{here}/wasm2c_host.c", "{scratch}/module.c", "-lm"),
)


def _command(version: tuple[Words, ...] = (), compile: tuple[Words, ...] = ()) -> Command:
    return Command(
        version=version,
        compile=compile,
        run=("{artefact}", "{preopens}", "--", "{argv0}", "{args}"),
        preopen=("{host}",),
        trap=r"wasm trap: (.*)",
        refused=r"cannot run: (.*)",
        trap_codes=(134,),
    )


def _by_gcc(level: str, kind: Kind) -> Engine:
    return command_engine(
        f"wasm2c-gcc-{level}",
        _command(
            version=(("wasm2c", "--version"), ("gcc", "-dumpfullversion")),
            compile=(TO_C, ("gcc", f"-{level}", *OF_C)),
        ),
        family="wasm2c",
        files=FILES,
        kind=kind,
        how_to_get="apt-get install wabt gcc libc6-dev",
    )


def _by_clang(level: str, kind: Kind) -> Engine:
    maker = CommandMaker(
        versions=(("", ("wasm2c", "--version")), ("zig", (*ZIG[:-1], "version"))),
        compile=(
            TO_C,
            (
                "{python}",
                "-m",
                "ziglang",
                "cc",
                "{target}",
                f"-{level}",
                "-s",
                "-idirafter/usr/include",
                *OF_C,
            ),
        ),
        targets={machine: (f"--target={target}",) for machine, target in TARGETS.items()},
        files=FILES,
    )
    return command_engine(
        f"wasm2c-clang-{level}",
        _command(),
        family="wasm2c",
        kind=kind,
        how_to_get="on the controller: apt-get install wabt, pip install ziglang",
        maker=maker,
    )


ENGINES = (_by_gcc("O0", "baseline"), _by_gcc("O2", "compiler"), _by_clang("O2", "compiler"))
