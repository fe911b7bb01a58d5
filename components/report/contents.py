"""What a report says, gathered from artifacts; no HTML here."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from graft.components.evaluation.calibration import ReliabilityBin, reliability
from graft.components.evaluation.predictions import PREDICTIONS_FILE, Predictions
from graft.components.evaluation.verdict import VERDICT_FILE, Verdict
from graft.components.ingestion.artifacts import QUARANTINE_FILE
from graft.components.pictures import find_images, thumbnail
from graft.components.publishing.last_run import LAST_RUN_FILE, LastRun
from graft.components.quality.profile import values_of
from graft.contract.label_map import NO_LABEL, LabelMap
from graft.storage import files
from graft.trainer.custom_config import HISTORY_FILE

MOST_MISTAKES = 24
MOST_QUARANTINED = 24
MOST_CONFUSIONS = 12
MOST_CLASSES_IN_MATRIX = 40
MOST_VALUES = 12


@dataclass(frozen=True)
class Mistake:
    """An image that the candidate gets wrong.

    Attributes:
        filename: Relative to the data set's root.
        true_name: What it is labelled as.
        answer: What the candidate says.
        confidence: The probability of that answer.
        probability_of_truth: The probability of the label; 0 for an unknown one.
        baseline_answer: What the model in production says; None without one.
        picture: `data:` URI; None where the image can't be shown.
        heat: `data:` URI of the same with what the answer rests on; None without.
        content_hash: SHA-256 of the image.
    """

    filename: str
    true_name: str
    answer: str
    confidence: float
    probability_of_truth: float
    baseline_answer: str | None
    picture: str | None
    heat: str | None
    content_hash: str


@dataclass(frozen=True)
class Confusion:
    """A pair of classes: how many images of `true_name` are called `answer`."""

    true_name: str
    answer: str
    count: int


@dataclass(frozen=True)
class QuarantinedImage:
    """An image that could not be used, and why."""

    filename: str
    reason: str
    picture: str | None


@dataclass(frozen=True)
class Distribution:
    """How the values of one property of the data are spread.

    Attributes:
        name: Of the property, as `brightness`.
        rows: Value or range, its share now, and its share in the data of the model in
            production (None where that is not known).
        num_hidden: Values that are not among the rows.
        is_drifted: Whether the gate found that it has moved.
        divergence: How far; None where it is not known.
    """

    name: str
    rows: tuple[tuple[str, float, float | None], ...]
    num_hidden: int = 0
    is_drifted: bool = False
    divergence: float | None = None

    @property
    def greatest(self) -> float:
        """The greatest share of all, which bars are drawn in proportion to."""
        return max((max(now, before or 0.0) for _, now, before in self.rows), default=1)


@dataclass(frozen=True)
class StoredFeatures:
    """How the features that the head was trained on were come by.

    Attributes:
        engine: What computed them, with its precision.
        num_from_store: Images whose features were there already.
        num_computed: Images that had to go through the backbone.
        num_damaged_files: Files of the store that were set aside and computed anew.
    """

    engine: str
    num_from_store: int
    num_computed: int
    num_damaged_files: int


@dataclass(frozen=True)
class ReportContents:
    """Everything that the page shows.

    Attributes:
        verdict: The gate's decision.
        canary: What the canary wrote, or None where there was none.
        published: `path` and `version`, or `reason` why nothing was pushed.
        class_names: The label map.
        confusion: int (K, K), rows true, columns answered; empty for many classes.
        confusions: The most frequent mistakes.
        bins: The reliability diagram.
        mistakes: The surest wrong answers first.
        num_mistakes: How many there are in all.
        ingestion: `summary.json` of ImageExampleGen.
        quarantined: Some of the images that could not be used.
        anomalies: What ExampleValidator found, a sentence each.
        history: Metric name to values per epoch or penalty.
        quality: `quality.json` of DataQuality, or None.
        features: Where the features of the head came from; None without stored ones.
        distributions: What the data look like as a whole, now and then.
        last_run: The run before this one; None for the first.
        moved: How far each property is from the data of the last run: as
            `Verdict.drift`.
        config: The run's config.
        provenance: Code, data and environment, by name.
    """

    verdict: Verdict
    canary: dict[str, Any] | None
    published: dict[str, Any]
    class_names: tuple[str, ...]
    confusion: np.ndarray
    confusions: tuple[Confusion, ...]
    bins: tuple[ReliabilityBin, ...]
    mistakes: tuple[Mistake, ...]
    num_mistakes: int
    ingestion: dict[str, Any]
    quarantined: tuple[QuarantinedImage, ...]
    anomalies: tuple[str, ...]
    history: dict[str, list[float]]
    config: dict[str, Any]
    provenance: dict[str, Any]
    quality: dict[str, Any] | None = None
    features: StoredFeatures | None = None
    distributions: tuple[Distribution, ...] = ()
    last_run: LastRun | None = None
    moved: tuple[dict[str, Any], ...] = ()
    timings: dict[str, float] = field(default_factory=dict)


def load_verdict(evaluation_uri: str) -> Verdict:
    """Read the gate's decision."""
    return Verdict.from_json(_read(os.path.join(evaluation_uri, VERDICT_FILE)) or "")


def load_predictions(evaluation_uri: str) -> Predictions:
    """Read the answers on `test`."""
    return Predictions.load(os.path.join(evaluation_uri, PREDICTIONS_FILE))


def load_history(model_run_uri: str | None) -> dict[str, list[float]]:
    """Read the course of training; empty where none was written."""
    if model_run_uri is None:
        return {}
    history: dict[str, list[float]] = json.loads(
        _read(os.path.join(model_run_uri, HISTORY_FILE)) or "{}"
    )
    return {key: values for key, values in history.items() if isinstance(values, list)}


def load_json(uri: str | None, name: str) -> dict[str, Any]:
    """Read a JSON file of an artifact; empty where there is none."""
    if uri is None:
        return {}
    values: dict[str, Any] = json.loads(_read(os.path.join(uri, name)) or "{}")
    return values


def load_last_run(pushed_model_uri: str | None) -> LastRun | None:
    """Read what Pusher left about the run before this one; None for the first run."""
    if pushed_model_uri is None:
        return None
    text = _read(os.path.join(pushed_model_uri, LAST_RUN_FILE))
    return None if text is None else LastRun.from_json(text)


def describe_data(verdict: Verdict) -> tuple[Distribution, ...]:
    """Return how the data are spread, beside those of the model in production."""
    drift = {shift["name"]: shift for shift in verdict.drift}
    earlier = verdict.baseline_data_profile or {}
    found = []
    for name, counts in (verdict.data_profile or {}).items():
        before = earlier.get(name)
        values = values_of(name, {*counts, *(before or {})})
        now_total = max(sum(counts.values()), 1)
        rows = [
            (
                value,
                counts.get(value, 0) / now_total,
                None
                if before is None
                else before.get(value, 0) / max(sum(before.values()), 1),
            )
            for value in values
        ]
        # Of many classes, those that have moved most, or are the most frequent.
        chosen = sorted(rows, key=_interest, reverse=True)[:MOST_VALUES]
        found.append(
            Distribution(
                name=name,
                rows=tuple(row for row in rows if row in chosen),
                num_hidden=len(rows) - len(chosen),
                is_drifted=bool(drift.get(name, {}).get("is_drifted")),
                divergence=drift.get(name, {}).get("divergence"),
            )
        )
    return tuple(found)


def _interest(row: tuple[str, float, float | None]) -> tuple[float, float]:
    _, now, before = row
    return (0.0 if before is None else abs(now - before), now)


def load_quarantine(uri: str | None, data_path: str) -> tuple[QuarantinedImage, ...]:
    """Read some of the images that could not be used, with pictures if they open."""
    if uri is None:
        return ()
    text = _read(os.path.join(uri, QUARANTINE_FILE)) or ""
    images = []
    for line in text.splitlines()[:MOST_QUARANTINED]:
        entry = json.loads(line)
        path = os.path.join(data_path, entry["filename"])
        encoded = b""
        if os.path.isfile(path):
            with open(path, "rb") as file:
                encoded = file.read()
        images.append(
            QuarantinedImage(entry["filename"], entry["reason"], thumbnail(encoded))
        )
    return tuple(images)


def count_confusion(predictions: Predictions) -> tuple[tuple[str, ...], np.ndarray]:
    """Return all class names, and how often each (row) is called each (column)."""
    truth = predictions.images.class_names
    names = LabelMap.of([*predictions.candidate.class_names, *map(str, truth)])
    counts = np.zeros((len(names), len(names)), np.int64)
    rows = names.labels_of(truth)
    columns = names.labels_of(predictions.candidate.predicted_names())
    np.add.at(counts, (rows, columns), 1)
    return names.class_names, counts


def most_confused(names: Sequence[str], counts: np.ndarray) -> tuple[Confusion, ...]:
    """Return the most frequent mistakes, most frequent first."""
    wrong = counts.copy()
    np.fill_diagonal(wrong, 0)
    order = np.argsort(-wrong, axis=None, kind="stable")[:MOST_CONFUSIONS]
    pairs = [divmod(int(index), len(names)) for index in order]
    return tuple(
        Confusion(names[row], names[column], int(wrong[row, column]))
        for row, column in pairs
        if wrong[row, column]
    )


def reliability_bins(predictions: Predictions) -> tuple[ReliabilityBin, ...]:
    """Return the bins of the reliability diagram."""
    is_right = predictions.candidate.is_right(predictions.images.class_names)
    return tuple(reliability(predictions.candidate.confidences(), is_right))


def worst_mistakes(
    predictions: Predictions, example_files: Sequence[str]
) -> tuple[tuple[Mistake, ...], int, dict[str, bytes]]:
    """Return the surest wrong answers, how many there are, and the images' bytes."""
    images, candidate = predictions.images, predictions.candidate
    wrong = np.flatnonzero(~candidate.is_right(images.class_names))
    confidences = candidate.confidences()
    answers = candidate.predicted_names()
    baseline = predictions.baseline
    others = None if baseline is None else baseline.predicted_names()
    labels = candidate.labels_of(images.class_names)
    worst = wrong[np.argsort(-confidences[wrong], kind="stable")][:MOST_MISTAKES]
    encoded = find_images(example_files, images.content_hashes[worst].tolist())
    mistakes = []
    for index in worst:
        true_name = str(images.class_names[index])
        key = str(images.content_hashes[index])
        mistakes.append(
            Mistake(
                filename=str(images.filenames[index]),
                true_name=true_name,
                answer=str(answers[index]),
                confidence=float(confidences[index]),
                probability_of_truth=0.0
                if labels[index] == NO_LABEL
                else float(candidate.probabilities[index, labels[index]]),
                baseline_answer=None if others is None else str(others[index]),
                picture=thumbnail(encoded[key]) if key in encoded else None,
                heat=None,
                content_hash=key,
            )
        )
    return tuple(mistakes), len(wrong), encoded


def _read(path: str) -> str | None:
    return files.read_text(path) if files.exists(path) else None
