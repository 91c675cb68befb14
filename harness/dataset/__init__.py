"""What was measured, on disk: a directory of Parquet that is complete at every moment whatever is killed.

``store.py`` has `Dataset`, which reads and writes all of it; ``info.py`` is dataset.json, ``records.py`` a finished
job as it comes from a device, ``journal.py`` where it is kept first, ``entry_rows.py`` the rows it becomes and
``schema.py`` their Parquet shape. Reading goes through ``snapshot.py``: the parts (``parts.py``) and journals of one
moment, each workload of a job once (``ends.py``).
``published.py`` and ``fetch.py`` bring in the published data, ``spreadsheet.py`` writes CSV.
"""
