"""What is run: a directory with a ``suite.toml`` becomes workloads, modules that are built, checked and counted.

First file to open: ``suite.py`` (what a suite and a workload are). ``catalogue.py`` finds suites and what a name
means; ``build.py`` compiles, ``verified.py`` checks outputs, ``imported.py`` takes modules built elsewhere,
``counting.py`` counts what a workload executes.
"""

from harness.suites.catalogue import load_suites, load_workloads, select
from harness.suites.suite import Native, Suite, Workload, identity

__all__ = ["Native", "Suite", "Workload", "identity", "load_suites", "load_workloads", "select"]
