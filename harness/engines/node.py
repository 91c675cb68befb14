"""Node.js: V8 as it comes, and held to either of its two compilers."""

from harness.engines.engine import Engine, Kind


def _engine(name: str, kind: Kind, *flags: str) -> Engine:
    return Engine(
        name=name,
        family="node",
        kind=kind,
        ahead_of_time=False,
        program="node",
        program_args=("--no-warnings", *flags),
        entry="node_run.mjs",
        files=("node_run.mjs",),
        how_to_get="install Node.js 20 or later so that `node` is on the PATH",
    )


ENGINES = (
    _engine("node-v8", "compiler"),
    _engine("node-v8-liftoff", "baseline", "--liftoff-only"),
    _engine("node-v8-turbofan", "compiler", "--no-liftoff"),
)
