"""Devices: where they are, how they are reached, and the agent that runs there.

``devices.py`` reads devices.yaml; ``reach.py`` starts an agent on each device, over a ``transport.py`` (``local.py``,
``openssh.py`` or, where there is no ssh client, ``ssh.py``, and ``behind.py`` for any other command), and holds a ``session.py`` with it. ``agent.py`` is the one file that runs on a device. ``payload.py``
and ``artefacts.py`` are what a device is sent of a workload, ``provision.py`` brings engines there, and
``inspection.py`` is what ``harness devices`` tells.
"""
