"""Deno: a newer V8 than most Node installations have."""

from harness.engines.engine import Install
from harness.engines.javascript import javascript_engine

ENGINES = (
    javascript_engine(
        "deno-v8",
        "compiler",
        *("deno", "run", "--quiet", "--no-config", "--no-lock", "--no-remote", "--no-npm"),
        *("--allow-read", "--allow-write", "--allow-env", "--allow-sys", "--allow-ffi", "--no-prompt"),
        needs="deno",
        how_to_get="npm install deno",
        install=Install("npm", "deno"),
    ),
)
