"""From a dataset to a model, and how good that is.

``arrays.py`` makes the arrays that pitot_core learns from, with ``platforms.py`` and ``microarchitecture.py`` for
what is known of a platform; ``heldout.py`` keeps whole jobs apart, ``train.py`` fits, ``more.py`` updates.
``cells.py`` and ``evaluation.py`` are ``harness evaluate``: methods over splits beside the figures of ``paper.py``,
drawn by ``plots.py``. ``export.py`` writes the published layout.
"""
