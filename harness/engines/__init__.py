"""Every WebAssembly engine the harness knows, by name. A family is one description file and one runner file."""

from harness.engines import node, wasmtime
from harness.engines.engine import Engine

ENGINES: dict[str, Engine] = {engine.name: engine for engine in (*wasmtime.ENGINES, *node.ENGINES)}

__all__ = ["ENGINES", "Engine"]
