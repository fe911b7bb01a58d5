"""Write the doubtful labels and the mistakes of a run for a person to decide on.

Two files: a CSV whose columns `action` and `new_label` are blank, and a page with the
pictures in the same order. `graft run --labels` reads the decisions.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from graft.components.evaluation.predictions import PREDICTIONS_FILE, Predictions
from graft.components.ingestion.fixes.applied_fixes import read_applied_fixes
from graft.components.ingestion.fixes.fix_rows import (
    COLUMNS,
    CONFIDENCE,
    CONTENT_HASH,
    LABEL,
    NUMBER,
    PATH,
    SUGGESTION,
    WHY,
    protected,
)
from graft.components.quality.artifacts import DOUBTFUL_FILE
from graft.components.report.page import page_environment
from graft.contract.printable import escaped
from graft.storage import files
from graft.storage.paths import join

DOUBTFUL = "doubtful label"
MISTAKE = "mistake on test"

MOST_PICTURES = 1_000
"""Rows of the page that have a picture."""
MOST_PICTURE_BYTES = 9_000_000
"""The page stays below 10 MB."""

_SHARDS = "Split-*"


@dataclass(frozen=True)
class Row:
    """An image whose label a person should look at.

    Attributes:
        path: Name of the image in the data.
        label: Its class in the data.
        suggestion: The class that it may have instead.
        confidence: Probability of the suggestion.
        why: `DOUBTFUL` or `MISTAKE`.
        content_hash: SHA-256 of the image.
    """

    path: str
    label: str
    suggestion: str
    confidence: float
    why: str
    content_hash: str


@dataclass(frozen=True)
class Sheet:
    """The rows of a run, those that need a look most first within each kind.

    Attributes:
        rows: Doubtful labels of `train`, then mistakes on `test`.
        num_confirmed: Images left out, since a person has decided on them.
        has_doubtful: Whether the run's labels were checked.
        examples_uri: The run's examples.
        class_names: The classes of the model.
    """

    rows: tuple[Row, ...]
    num_confirmed: int
    has_doubtful: bool
    examples_uri: str
    class_names: tuple[str, ...] = ()

    def count(self, why: str) -> int:
        """Return the number of rows of a kind."""
        return sum(row.why == why for row in self.rows)


def gather_rows(examples_uri: str, quality_uri: str, evaluation_uri: str) -> Sheet:
    """Read a run's doubtful labels and mistakes.

    Args:
        examples_uri: The `Examples` of ImageExampleGen.
        quality_uri: The `DataQualityReport`.
        evaluation_uri: The `ModelEvaluation`.
    """
    fixes = read_applied_fixes(examples_uri)
    confirmed = fixes.confirmed_hashes if fixes else frozenset()
    doubtful_path = join(quality_uri, DOUBTFUL_FILE)
    has_doubtful = files.exists(doubtful_path)
    rows = _doubtful_rows(doubtful_path) if has_doubtful else []
    predictions = Predictions.load(join(evaluation_uri, PREDICTIONS_FILE))
    rows += _mistakes(predictions)
    kept = tuple(row for row in rows if row.content_hash not in confirmed)
    return Sheet(
        kept,
        len(rows) - len(kept),
        has_doubtful,
        examples_uri,
        predictions.candidate.class_names,
    )


def _doubtful_rows(path: str) -> list[Row]:
    lines = map(json.loads, files.read_text(path).splitlines())
    return [
        Row(
            line["filename"],
            line["label"],
            line["suggestion"],
            line["confidence"],
            DOUBTFUL,
            line["content_hash"],
        )
        for line in lines
    ]


def _mistakes(predictions: Predictions) -> list[Row]:
    images, candidate = predictions.images, predictions.candidate
    confidences = candidate.confidences()
    answers = candidate.predicted_names()
    wrong = np.flatnonzero(answers != images.class_names)
    order = wrong[np.argsort(-confidences[wrong], kind="stable")]
    return [
        Row(
            str(images.filenames[index]),
            str(images.class_names[index]),
            str(answers[index]),
            float(confidences[index]),
            MISTAKE,
            str(images.content_hashes[index]),
        )
        for index in order
    ]


def to_csv(rows: Sequence[Row]) -> str:
    """Return the rows as CSV, with the mark by which spreadsheets see UTF-8."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerows([COLUMNS, *_cells(rows)])
    return "\ufeff" + text.getvalue()


def _cells(rows: Sequence[Row]) -> list[list[str]]:
    """Return the cells of each row, in the order of `COLUMNS`."""
    found = []
    for number, row in enumerate(rows, 1):
        cells = {
            NUMBER: str(number),
            PATH: protected(row.path),
            LABEL: protected(row.label),
            SUGGESTION: protected(row.suggestion),
            CONFIDENCE: f"{row.confidence:.3f}",
            WHY: row.why,
            CONTENT_HASH: row.content_hash,
        }
        found.append([cells.get(column, "") for column in COLUMNS])
    return found


def to_page(sheet: Sheet, csv_name: str) -> str:
    """Return the page with the pictures of the rows, in their order.

    Decisions can be noted in it and saved as a CSV file.

    Args:
        sheet: The rows.
        csv_name: Name of the CSV file.
    """
    pictures = _pictures(sheet)
    template = page_environment().get_template("label_sheet.html.jinja")
    page = template.render(
        rows=[(row, pictures.get(row.content_hash)) for row in sheet.rows],
        num_pictures=len(pictures),
        csv_name=csv_name,
        class_names=sheet.class_names,
        sheet={
            "name": csv_name,
            "columns": COLUMNS,
            "rows": _cells(sheet.rows),
            "class_names": sheet.class_names,
        },
    )
    return escaped(page, keep="\n\t")


def _pictures(sheet: Sheet) -> Mapping[str, str]:
    """Return the thumbnails of the first rows, by content hash."""
    from graft.components.pictures import find_thumbnails

    wanted = [row.content_hash for row in sheet.rows[:MOST_PICTURES]]
    shards = sorted(map(str, Path(sheet.examples_uri).glob(f"{_SHARDS}/*")))
    return _within_bytes(find_thumbnails(shards, wanted), wanted)


def _within_bytes(
    pictures: Mapping[str, str], order: Collection[str]
) -> dict[str, str]:
    kept: dict[str, str] = {}
    num_bytes = 0
    for content_hash in order:
        picture = pictures.get(content_hash)
        if picture is None or content_hash in kept:
            continue
        num_bytes += len(picture)
        if num_bytes > MOST_PICTURE_BYTES:
            break
        kept[content_hash] = picture
    return kept
