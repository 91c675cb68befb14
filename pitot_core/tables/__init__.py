"""Tables: the completion that solves Eq. 9 under Gaussian-process priors, without a network (docs/model.md).

`Tables` is what `Pitot()` fits; `TableOptions` are its options.
"""

from pitot_core.tables.hyperparameters import TableOptions
from pitot_core.tables.solved import Tables

__all__ = ["TableOptions", "Tables"]
