"""What predictions are for: a time, a placement, here or there, a policy. A model is asked only by `pitot_core.Pitot`.

``predict.py`` answers from names to times and bounds. ``place.py`` is ``harness place``: ``demands.py`` what is asked,
``deadlines.py`` who meets them together, ``colocations.py`` all such sets, ``assignment.py`` the best choice of them by
``packing.py`` and ``rounding.py`` (``greedy.py`` where they are too many), ``place_check.py`` what it is worth by
``truth.py``, ``place_front.py`` the few to choose from, ``place_picture.py`` how it looks.
``offload.py`` is ``harness offload``: the ``inequality.py`` over a ``forecast.py`` of what `fleet.links` remembers
and a ``probe.py`` sees. ``policy_study.py`` is ``harness simulate``: ``policies.py`` that ``simulate.py`` runs on the
jobs of ``traces.py``.
"""
