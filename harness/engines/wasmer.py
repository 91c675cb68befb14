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
                *("wasmer", "run", "--no-tty", *how, "{preopens}"),
                *("{artefact}" if ahead else "{module}", "--", "{args}"),
            ),
            preopen=(
                "--volume",
                "{host}:/",
            ),  # whatever the guest calls it: only a root can be a relative path
            trap=r"RuntimeError: (.*)",
            refused=r"error: (?s:(.*))",
            log_lines=r"\A(?=\n\Z)",  # for a module that prints nothing it prints the end of a line
            lower_memory=True,
        ),
        kind=kind,
        lacks={
            "poll_oneoff": "of several clocks it tells all at once, or waits for ever",
            "path_open": "it makes no file at the top of the module's directory",
            "fd_readdir": "it ends a list where an entry does not fit, and calls . and .. otherwise",
        },
        how_to_get=f"cargo install wasmer-cli --features {compiler} (see docs/engines.md)",
    )


ENGINES = tuple(_engine(*compiler, ahead) for ahead in (False, True) for compiler in _COMPILERS)
