"""The manners of a scikit-learn estimator, for Pitot and for what it is compared with."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from typing import Any, Self

from pitot_core.errors import SettingsError


class Estimator(ABC):
    """Settings go into the constructor and can be read, changed and copied by name (`sklearn.base.clone` works)."""

    @abstractmethod
    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Every option by name; the class called with them gives an unfitted model of the same settings."""

    def set_params(self, **changes: Any) -> Self:
        """Change options; what was fitted is forgotten. Raises SettingsError for an option there is not."""
        params = self.get_params()
        for name in changes:
            if name not in params:
                raise SettingsError(f"there is no option {name!r}; there are {', '.join(sorted(params))}")
        again: Any = type(self).__init__
        again(self, **(params | changes))
        return self

    def clone(self) -> Self:
        """An unfitted model of the same settings."""
        return type(self)(**self.get_params())

    def _default(self) -> dict[str, Any]:
        """The options of a model made without any."""
        return type(self)().get_params()

    def _changed(self) -> str:
        """The options that are not the default ones, as they would be written."""
        default = self._default()
        changed = {name: value for name, value in self.get_params().items() if value != default.get(name)}
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in changed.items())})"


def constructor_options(kind: type) -> list[str]:
    """The names of all keyword options of a class and of those it passes options on to."""
    found: dict[str, None] = {}
    for parent in kind.__mro__:
        if "__init__" in vars(parent):
            for name, parameter in inspect.signature(vars(parent)["__init__"]).parameters.items():
                if name != "self" and parameter.kind is not inspect.Parameter.VAR_KEYWORD:
                    found[name] = None
    return [name for name in found if name not in ("args", "kwargs")]
