"""Devices: where they are, how they are reached, and the agent that runs there.

``devices.py`` reads devices.yaml; ``reach.py`` starts an agent on each device and holds a ``session.py`` with it, over
a ``transport.py``: ``local.py``, ``openssh.py`` (or ``ssh.py``, by paramiko, where there is no ssh client), or
``behind.py`` for any other command. ``agent.py`` is the one file that runs on a device and ``boot.py`` what brings it
there. ``payload.py`` and ``artefacts.py`` are what a device is sent of a workload, ``provision.py`` brings engines
there, ``inspection.py`` is what ``harness devices`` tells, and ``links.py`` remembers what was seen of load and links.
"""
