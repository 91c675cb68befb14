"""`harness report`: one HTML page about a dataset and, where there is one, about a model of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from harness.dataset.store import Dataset
from harness.errors import DatasetError, ModelError, UsageError
from harness.files import real, replacing
from harness.report.accuracy import accuracy, stored_accuracy
from harness.report.changed import changed
from harness.report.coverage import coverage
from harness.report.embeddings import embeddings
from harness.report.energy import energy
from harness.report.failures import failures
from harness.report.fastest import fastest, fitted
from harness.report.heatmaps import HeatMap
from harness.report.interference import interference
from harness.report.judged import Judged, judge
from harness.report.markup import Section
from harness.report.memory import memory
from harness.report.next_jobs import next_jobs
from harness.report.noise import noise
from harness.report.overview import overview, when
from harness.report.page import page
from harness.report.programs import programs
from harness.report.provenance import provenance
from harness.report.rows import Rows, load_rows
from harness.report.slowdowns import slowdowns
from harness.report.steadiness import steadiness
from harness.report.whatif import what_if
from harness.report.worst import worst
from harness.spelling import several
from pitot_core import Pitot
from pitot_core.steps import one_blas_thread

STEPS = 10  # number of parts of the page that `write_report` announces


def write_report(
    dataset: Dataset,
    model: Pitot | None,
    path: Path,
    said: Callable[[str], None] = lambda _: None,
    since: Path | None = None,
) -> None:
    """Write the page; it appears whole or not at all. Raises DatasetError, UsageError.

    ``since`` is an earlier dataset, with which this one is then compared.

    ``said`` is called with a sentence before each of the STEPS parts of the page is made.
    """
    with one_blas_thread():
        text = _written(dataset, model, said, since)
    try:
        with replacing(path) as partial:
            partial.write_text(text, encoding="utf-8")
    except OSError as error:
        reason = error.strerror or error
        raise UsageError(
            f"the report cannot be written to {path}: {reason}; name another file with -o."
        ) from error


def _written(dataset: Dataset, model: Pitot | None, said: Callable[[str], None], since: Path | None) -> str:
    """The page's text."""
    said("observations")
    rows = load_rows(dataset)
    said("the model's answers")
    judged, why = _judged(dataset, rows, model) if model else (None, "")
    said("coverage")
    found = fitted(rows)
    sections: list[Section] = fastest(dataset, rows, found) + overview(dataset, rows, found)
    if since:
        sections += changed(dataset.root, since)
    maps: list[HeatMap] = []
    covered, drawn = coverage(dataset, rows)
    sections += covered
    maps += drawn
    said("slowdowns")
    sections += slowdowns(rows)
    said("interference")
    suffered, drawn = interference(rows, judged)
    sections += suffered
    maps += drawn
    taken, drawn = memory(rows)
    sections += taken
    maps += drawn
    said("noise")
    sections += steadiness(dataset, rows) + noise(dataset, rows)
    said("accuracy")
    if judged and len(judged.rows):
        sections += accuracy(judged) + worst(rows, judged)
    elif model:
        sections += stored_accuracy(model, why)
    said("embeddings")
    sections += embeddings(judged.model) if judged else []
    said("what to measure next")
    sections += next_jobs(dataset, rows)
    sections += what_if(model, real(dataset.root).name)
    said("failures")
    sections += energy(dataset)
    sections += failures(rows) + programs(dataset, rows) + provenance(dataset.info)
    sections = [section for section in sections if section.body or section.empty]
    named = [dataset.info.named()] if dataset.info.named() else []
    told = [*named, several(len(rows), "observation"), dataset.info.source, f"dataset {dataset.info.id[:12]}"]
    if days := when(rows):
        told.insert(2 + len(named), f"measured {days} (UTC)")
    return page(f"Dataset {real(dataset.root).name}", f"{', '.join(told)}.", sections, maps)


def _judged(dataset: Dataset, rows: Rows, model: Pitot) -> tuple[Judged | None, str]:
    """The model's answers for its held-out jobs, or why there are none."""
    try:
        judged = judge(dataset, rows, model)
    except (ModelError, DatasetError) as error:
        return None, str(error)
    return judged, "no job was held out."
