"""Two datasets, engines or devices: what is faster, by how much, and how sure that is.

``comparison.py`` is ``harness compare``; ``pairing.py`` finds which measurements belong together, ``ratios.py`` has
the statistics, ``machines.py`` tells whether both sides ran in the same way.
"""
