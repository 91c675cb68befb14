"""Node.js: V8 as it comes, and held to either of its two compilers."""

from harness.engines.engine import Engine, Kind
from harness.engines.javascript import V8_FLAGS, javascript_engine


def _engine(name: str, kind: Kind, *flags: str) -> Engine:
    return javascript_engine(
        name,
        kind,
        "node",
        "--no-warnings",
        *V8_FLAGS,
        *flags,
        needs="node",
        how_to_get="install Node.js 18 or later so that `node` is on the PATH",
    )


ENGINES = (
    _engine("node-v8", "compiler"),
    _engine("node-v8-liftoff", "baseline", "--liftoff-only"),
    _engine("node-v8-turbofan", "compiler", "--no-liftoff"),
)
