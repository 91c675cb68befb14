"""wasm3, an interpreter, through its Python package on the device; WASI is ours."""

from harness.engines.engine import Engine, Install

ENGINES = (
    Engine(
        name="wasm3-i",
        family="wasm3",
        kind="interpreter",
        ahead_of_time=False,
        program="python",
        entry="wasm3_run.py",
        files=("wasm3_run.py", "wasi_host.py", "runner.py"),
        how_to_get="pip install pywasm3 (builds it: needs gcc and python3-dev)",
        install=Install("sdist", "pywasm3"),
    ),
)
