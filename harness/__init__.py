"""Measure WebAssembly workloads on a heterogeneous cluster and predict how long they take.

The words of the project, used the same way in code, columns and messages:

device       a machine that runs modules
engine       a WebAssembly implementation in one mode, such as ``wasmtime-j``
platform     an engine on a device, written ``engine:device``
workload     a module with its argv, stdin and files, named ``suite/size/name``
co-runner    a workload running beside the one being measured
job          one measurement on one platform of one to four workloads together
sample       one execution of a workload inside a job
observation  one workload's samples in one job
dataset      a directory of Parquet files holding observations
"""

__version__ = "0.1.0"
