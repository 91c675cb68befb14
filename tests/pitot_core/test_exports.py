from __future__ import annotations

import pitot_core
import pitot_core.baselines


def test_every_public_name_is_exported_once_and_exists() -> None:
    for module in (pitot_core, pitot_core.baselines):
        assert sorted(module.__all__) == sorted(set(module.__all__))
        assert all(hasattr(module, name) for name in module.__all__)
        public = {name for name, value in vars(module).items() if isinstance(value, type) and name[0] != "_"}
        assert public <= set(module.__all__)


def test_pitot_core_never_imports_the_harness() -> None:
    from pathlib import Path

    for path in Path(pitot_core.__file__).parent.rglob("*.py"):
        assert "import harness" not in path.read_text(encoding="utf-8")
        assert "from harness" not in path.read_text(encoding="utf-8")
