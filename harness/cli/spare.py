"""What a command never uses and is not to wait for."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType


class _Refused:
    """Finds pandas and refuses it, as though it were not installed."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        return ModuleSpec(name, self) if name == "pandas" else None  # type: ignore[arg-type]

    def create_module(self, spec: ModuleSpec) -> None:
        """As usual."""

    def exec_module(self, module: ModuleType) -> None:
        raise ModuleNotFoundError(
            f"{module.__name__} is not used by commands of harness", name=module.__name__
        )


def spare_pandas() -> None:
    """Keep Arrow from importing pandas, which it does at its first conversion wherever that is installed.

    That would be 0.3 seconds of processor time and 60 MB for nothing. Where Arrow is there already the process is not
    ours alone, and all stays as it is.
    """
    if "pyarrow" not in sys.modules:
        sys.meta_path.insert(0, _Refused())
