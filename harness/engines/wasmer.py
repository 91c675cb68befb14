"""The `wasmer` command with each of its compilers, just in time and ahead of time; named as in the published data."""

from harness.engines.command import Command, command_engine
from harness.engines.engine import Engine, Kind

_COMPILERS: tuple[tuple[str, str, Kind], ...] = (
    ("cl", "cranelift", "compiler"),
    ("sp", "singlepass", "baseline"),
    ("ll", "llvm", "compiler"),
)


def _engine(short: str, compiler: str, kind: Kind, ahead: bool) -> Engine:
    chosen = f"--{compiler}"
    how = () if ahead else (chosen, "--disable-cache")
    return command_engine(
        f"wasmer-{'a' if ahead else 'j'}-{short}",
        Command(
            version=(("wasmer", "--version"),),
            compile=(("wasmer", "compile", chosen, "-o", "{artefact}", "{module}"),) if ahead else (),
            run=(
                *("wasmer", "run", *how, "{preopens}"),
                *("{artefact}" if ahead else "{module}", "--", "{args}"),
            ),
            preopen=("--mapdir", "{guest}:{host}"),
            trap=r"RuntimeError: (.*)",
            refused=r"error: (?s:(.*))",
        ),
        kind=kind,
        how_to_get="install the wasmer command line so that `wasmer` is on the PATH",
    )


ENGINES = tuple(_engine(*compiler, ahead) for ahead in (False, True) for compiler in _COMPILERS)
