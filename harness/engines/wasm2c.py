"""wabt's wasm2c and gcc: the module as C, compiled on the device together with a WASI host of our own."""

from harness.engines.command import Command, command_engine
from harness.engines.engine import Engine, Kind


def _engine(level: str, kind: Kind) -> Engine:
    return command_engine(
        f"wasm2c-gcc-{level}",
        Command(
            version=(("wasm2c", "--version"), ("gcc", "-dumpfullversion")),
            compile=(
                ("wasm2c", "-n", "module", "{module}", "-o", "{scratch}/module.c"),
                ("gcc", f"-{level}", "-fno-optimize-sibling-calls", "-w", "-I{scratch}", "-I{here}",
                 "-I/usr/share/wabt/wasm2c", "-o", "{artefact}", "{here}/wasm2c_host.c", "{scratch}/module.c", "-lm"),
            ),
            run=("{artefact}", "{preopens}", "--", "{argv0}", "{args}"),
            preopen=("{host}",),
            trap=r"wasm trap: (.*)",
            refused=r"cannot run: (.*)",
            trap_codes=(134,),
        ),
        family="wasm2c",
        files=("wasm2c_host.c", "wasm2c_clocks.c", "wasm2c_directories.c"),
        kind=kind,
        how_to_get="apt-get install wabt gcc libc6-dev",
    )  # fmt: skip


ENGINES = (_engine("O0", "baseline"), _engine("O2", "compiler"))
