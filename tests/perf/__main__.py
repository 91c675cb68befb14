"""`make bench`: the figures that are claimed, each a ratio or a share within one run.

`python -m tests.perf NAME…` runs some of them.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path


def main() -> None:
    known = sorted(path.stem.removeprefix("bench_") for path in Path(__file__).parent.glob("bench_*.py"))
    asked = sys.argv[1:] or known
    for name in asked:
        if name not in known:
            sys.exit(f"no benchmark named {name!r}; known: {', '.join(known)}")
    for name in asked:
        print(f"\n== {name} ==", flush=True)
        importlib.import_module(f"tests.perf.bench_{name}").main()


if __name__ == "__main__":
    main()
