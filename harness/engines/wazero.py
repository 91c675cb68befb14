"""The `wazero` command: its compiler and its interpreter."""

from harness.engines.command import Command, command_engine
from harness.engines.engine import Engine, Kind
from harness.engines.maker import Words


def _engine(mode: str, kind: Kind, flags: Words = ()) -> Engine:
    return command_engine(
        f"wazero-{mode}",
        Command(
            version=(("wazero", "version"),),
            run=("wazero", "run", *flags, "{preopens}", "{module}", "{args}"),
            preopen=("-mount={host}:{guest}",),
            trap=r"function\[_start\] failed: (?:wasm error: )?(.*)",
            refused=r"error (?:compiling|instantiating) wasm binary: (.*)",
            confine=True,  # its mounts can be left by symbolic links
            lower_memory=True,
        ),
        kind=kind,
        lacks={"poll_oneoff": "of several clocks it waits for none, and never until a moment"},
        how_to_get="install wazero so that `wazero` is on the PATH",
    )


ENGINES = (_engine("j", "compiler"), _engine("i", "interpreter", ("-interpreter",)))
