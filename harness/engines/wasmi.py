"""The `wasmi` command: an interpreter of its own instruction set."""

from harness.engines.command import Command, command_engine

ENGINES = (
    command_engine(
        "wasmi-i",
        Command(
            version=(("wasmi", "--version"),),
            run=("wasmi", "run", "{preopens}", "{module}", "{args}"),
            preopen=("--dir", "."),  # the only name it gives a directory is the directory's own
            trap=r"Error: failed during execution of _start: (.*)",
            refused=r"Error: (.*)",
            lower_memory=True,
            env={"RUST_BACKTRACE": "0"},
        ),
        kind="interpreter",
        how_to_get="cargo install wasmi_cli",
    ),
)
