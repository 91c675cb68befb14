"""wasmtime in four modes, through its Python package on the device."""

from harness.engines.engine import Engine, Install, Kind


def _engine(letter: str, mode: str, kind: Kind, ahead_of_time: bool = False) -> Engine:
    return Engine(
        name=f"wasmtime-{letter}",
        family="wasmtime",
        kind=kind,
        ahead_of_time=ahead_of_time,
        program="python",
        entry="wasmtime_run.py",
        files=("wasmtime_run.py", "runner.py"),
        args=("--mode", mode),
        how_to_get="pip install wasmtime",
        install=Install("pip", "wasmtime"),
    )


ENGINES = (
    _engine("j", "jit", "compiler"),
    _engine("a", "aot", "compiler", ahead_of_time=True),
    _engine("w", "winch", "baseline"),
    _engine("p", "pulley", "interpreter"),
)
