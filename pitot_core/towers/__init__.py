"""Towers: the completion of the paper, two-tower embedding networks trained by gradient descent (METHOD 3 and 4).

`Towers` is what `Pitot(method="towers")` fits; `TowerOptions` are its options.
"""

from pitot_core.towers.ensemble import Towers
from pitot_core.towers.options import TowerOptions

__all__ = ["TowerOptions", "Towers"]
