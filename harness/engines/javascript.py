"""What the JavaScript engines share: one runner, and a WASI of our own that keeps a module in its directory."""

from harness.engines.engine import Engine, Install, Kind

# The runner collects garbage between executions. By itself V8 would do it within some of them, and with threads that
# take a processor from a neighbour: the young generation has room for what is made between two collections (16 MB).
V8_FLAGS = (
    "--expose-gc",
    "--single-threaded-gc",
    "--no-concurrent-array-buffer-sweeping",
    "--no-incremental-marking",
    "--min-semi-space-size=16",
)


def javascript_engine(
    name: str,
    kind: Kind,
    program: str,
    *args: str,
    needs: str,
    how_to_get: str,
    install: Install | None = None,
) -> Engine:
    return Engine(
        name=name,
        family=needs,
        kind=kind,
        ahead_of_time=False,
        program=program,
        program_args=args,
        entry="js_run.mjs",
        files=("js_run.mjs", "wasi_host.mjs"),
        how_to_get=how_to_get,
        needs=(needs,),
        install=install,
    )
