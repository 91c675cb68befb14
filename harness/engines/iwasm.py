"""WAMR's `iwasm`: its interpreters, and ahead of time by `wamrc`.

Which interpreter an `iwasm` has is settled when it is built: the fast one by default. A build with the classic one
(`-DWAMR_BUILD_FAST_INTERP=0`) is found under the name `iwasm-classic`.
"""

from harness.engines.command import Command, command_engine
from harness.engines.engine import Engine, Kind
from harness.engines.maker import Words


def _engine(mode: str, kind: Kind, program: str, compile: tuple[Words, ...] = ()) -> Engine:
    module = "{artefact}" if compile else "{module}"
    return command_engine(
        f"iwasm-{mode}",
        Command(
            version=((program, "--version"), *((compile[0][0], "--version") for _ in compile)),
            compile=compile,
            run=(program, "{preopens}", module, "{args}"),
            preopen=("--dir=.",),
            trap=r"Exception: (.*)",
            refused=r"((?:WASM|AOT) module (?:load|instantiate) failed.*)",
            trap_codes=(1, 255),
            words_on_stdout=True,
        ),
        family="iwasm",
        kind=kind,
        lacks={"poll_oneoff": "of several clocks it waits for the first only, and never until a moment"},
        how_to_get=f"build WAMR so that `{program}`{' and `wamrc` are' if compile else ' is'} on the PATH",
    )


ENGINES = (
    _engine("i", "interpreter", "iwasm"),
    _engine("i-classic", "interpreter", "iwasm-classic"),
    _engine("a", "compiler", "iwasm", (("wamrc", "-o", "{artefact}", "{module}"),)),
)
