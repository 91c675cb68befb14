"""The `wasm3` command, a process per sample; `wasm3-i` is the resident package."""

from harness.engines.command import Command, command_engine

ENGINES = (
    command_engine(
        "wasm3-cli-i",
        Command(
            version=(("wasm3", "--version"),),
            run=("wasm3", "{module}", "{args}"),  # gives the module its current directory
            trap=r"\[trap\] (.*)",
            refused=r"Error: (.*)",
            confine=True,  # its files are opened as the module names them
            lower_memory=True,
        ),
        kind="interpreter",
        lacks={
            "poll_oneoff": "of several clocks it may wait for the last",
            "fd_readdir": "it lists neither . nor ..",
        },
        how_to_get="build wasm3 so that `wasm3` is on the PATH",
    ),
)
