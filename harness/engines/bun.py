"""Bun: JavaScriptCore as it comes, held to its baseline compiler, and held to its interpreter."""

from harness.engines.engine import Engine, Install, Kind
from harness.engines.javascript import javascript_engine

# By itself Bun has four, and collects garbage in the middle of every third execution to have another.
MEMORIES = 150


def _engine(name: str, kind: Kind, *settings: str) -> Engine:
    return javascript_engine(
        name,
        kind,
        "env",
        f"BUN_JSC_maxNumWasmFastMemories={MEMORIES}",
        *settings,
        "bun",
        "--no-install",
        needs="bun",
        how_to_get="npm install bun",
        install=Install("npm", "bun"),
    )


ENGINES = (
    _engine("bun-jsc", "compiler"),
    _engine("bun-jsc-bbq", "baseline", "BUN_JSC_useOMGJIT=0"),
    # FTL compiles the runner's JavaScript after some thousand samples, and from then on modules took twice their time.
    _engine(
        "bun-jsc-interpreter",
        "interpreter",
        *("BUN_JSC_useBBQJIT=0", "BUN_JSC_useOMGJIT=0", "BUN_JSC_useFTLJIT=0"),
    ),
)
