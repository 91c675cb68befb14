"""Which jobs, in which order, on which device: from a request to a dataset that is finished or can be resumed.

First file to open: ``workers.py`` (a job from the plan to a row on disk). ``collection.py`` is ``harness collect``
from its request on, ``plan.py`` the jobs and their order, ``adaptive.py`` the order that teaches most, ``listener.py``
who hears how it goes, ``status.py`` what is done, failed and left.
"""
