"""The `wasmedge` command: its interpreter, and ahead of time by LLVM."""

from harness.engines.command import Command, command_engine
from harness.engines.engine import Engine, Kind
from harness.engines.maker import Words


def _engine(mode: str, kind: Kind, flags: Words = (), compile: tuple[Words, ...] = ()) -> Engine:
    module = "{artefact}" if compile else "{module}"
    return command_engine(
        f"wasmedge-{mode}",
        Command(
            version=(("wasmedge", "--version"),),
            compile=compile,
            run=("wasmedge", *flags, "--memory-page-limit", "{memory_pages}", "{preopens}", module, "{args}"),
            preopen=("--dir", "{guest}:{host}"),
            trap=r"execution failed: ([^,\n]*)",
            trap_codes=(1, 134),
            refused=r"((?:loading|validation|instantiation) failed: [^,\n]*)",
            words_on_stdout=True,  # where it logs
            log_lines=r"\[[-0-9]{10} [:.0-9]{12}\] \[(?:info|warning)\] .*",
        ),
        kind=kind,
        lacks={"poll_oneoff": "of several clocks it may wait for the last"},
        how_to_get="install WasmEdge so that `wasmedge` is on the PATH",
    )


ENGINES = (
    _engine("i", "interpreter", ("--force-interpreter",)),
    _engine("j", "compiler", ("--enable-jit",)),
    _engine("a", "compiler", compile=(("wasmedge", "compile", "{module}", "{artefact}"),)),
)
