"""Deno: a newer V8 than most Node installations have."""

from harness.engines.engine import Install
from harness.engines.javascript import V8_FLAGS, javascript_engine

ENGINES = (
    javascript_engine(
        "deno-v8",
        "compiler",
        *("deno", "run", "--quiet", "--no-config", "--no-lock", "--no-remote", "--no-npm"),
        f"--v8-flags={','.join(V8_FLAGS)}",
        *("--allow-read", "--allow-write", "--allow-env", "--allow-sys", "--allow-ffi", "--no-prompt"),
        needs="deno",
        how_to_get="npm install deno",
        install=Install("npm", "deno"),
    ),
)
