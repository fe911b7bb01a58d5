"""The contents of a report, read from artifacts. `page.py` makes the HTML."""

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
from graft.components.evaluation.verdict import load_verdict as _load_verdict
from graft.components.ingestion.artifacts import QUARANTINE_FILE
from graft.components.ingestion.fixes.applied_fixes import AppliedFixes
from graft.components.pictures import find_images, thumbnail
from graft.components.publishing.last_run import LAST_RUN_FILE, LastRun
from graft.components.quality.profile import values_of
from graft.components.report.confidence import Confidence
from graft.components.report.feature_map import FeatureMap
from graft.components.report.gallery import Group
from graft.contract.label_map import NO_LABEL, LabelMap
from graft.storage import files
from graft.trainer.custom_config import HISTORY_FILE
from graft.trainer.training_facts import TrainingFacts

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
        true_name: Class name of its label.
        answer: Class name of the prediction.
        confidence: Probability of the prediction.
        probability_of_truth: Probability of the label; 0 for an unknown class.
        baseline_answer: Prediction of the model in production; None without one.
        picture: `data:` URI; None if the image can't be shown.
        heat: `data:` URI of the picture with a Grad-CAM heat map, or None.
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
    """Number of images of the class `true_name` that are classified as `answer`."""

    true_name: str
    answer: str
    count: int


@dataclass(frozen=True)
class QuarantinedImage:
    """An image that can't be used, with the reason."""

    filename: str
    reason: str
    picture: str | None


@dataclass(frozen=True)
class Distribution:
    """The distribution of one property of the data.

    Attributes:
        name: Name of the property, for instance `brightness`.
        rows: Value or range, its share now, and its share in the data of the model in
            production (None if unknown).
        num_hidden: Number of values that are not in `rows`.
        is_drifted: Whether the gate found a drift.
        divergence: Divergence from the data of the model in production; None if
            unknown.
    """

    name: str
    rows: tuple[tuple[str, float, float | None], ...]
    num_hidden: int = 0
    is_drifted: bool = False
    divergence: float | None = None

    @property
    def greatest(self) -> float:
        """The greatest share. Bars are drawn in proportion to it."""
        return max((max(now, before or 0.0) for _, now, before in self.rows), default=1)


@dataclass(frozen=True)
class StoredFeatures:
    """The origin of the features that the head was trained on.

    Attributes:
        engine: The engine that computed them, with its precision.
        num_from_store: Images whose features were in the store.
        num_computed: Images whose features were computed in this run.
        num_damaged_files: Damaged files of the store whose features were computed
            again.
    """

    engine: str
    num_from_store: int
    num_computed: int
    num_damaged_files: int


@dataclass(frozen=True)
class ReportContents:
    """The contents of the page.

    Attributes:
        verdict: The gate's decision.
        canary: Result of the canary, or None without one.
        published: `path` and `version`, or the `reason` why nothing was pushed.
        class_names: The label map.
        confusion: int (K, K), row: label, column: prediction; empty for many classes.
        confusions: The most frequent mistakes.
        bins: The reliability diagram.
        mistakes: The wrong predictions with the greatest confidence.
        num_mistakes: Number of all mistakes.
        ingestion: `summary.json` of ImageExampleGen.
        quarantined: Some of the images that can't be used.
        anomalies: Findings of ExampleValidator, one sentence each.
        history: Metric name to values per epoch or penalty.
        config: The run's config.
        provenance: Code, data and environment, by name.
        quality: `quality.json` of DataQuality, or None.
        features: Origin of the features; None without stored features.
        distributions: Distributions of the data, now and in production.
        last_run: The run before this one; None for the first.
        moved: Change of each property of the data since the last run, as
            `Verdict.drift`.
        timings: Node name to its duration in seconds.
        label_fixes: The label fixes that the data hold; None without fixes.
        training: What the Trainer chose by itself.
        confidence: What the probabilities are worth; None without test images.
        samples: Some test images of each class.
        confused: Some test images of each pair of `confusions`.
        feature_map: A map of the test images; None without stored features.
        pictures: Content hash to the picture of an image of the last three.
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
    label_fixes: AppliedFixes | None = None
    training: TrainingFacts = field(default_factory=TrainingFacts)
    confidence: Confidence | None = None
    samples: tuple[Group, ...] = ()
    confused: tuple[Group, ...] = ()
    feature_map: FeatureMap | None = None
    pictures: dict[str, str] = field(default_factory=dict)


def load_verdict(evaluation_uri: str) -> Verdict:
    """Read the gate's decision."""
    return _load_verdict(os.path.join(evaluation_uri, VERDICT_FILE))


def load_predictions(evaluation_uri: str) -> Predictions:
    """Read the predictions on `test`."""
    return Predictions.load(os.path.join(evaluation_uri, PREDICTIONS_FILE))


def load_history(model_run_uri: str | None) -> dict[str, list[float]]:
    """Read the training history; empty without one."""
    if model_run_uri is None:
        return {}
    history: dict[str, list[float]] = json.loads(
        _read(os.path.join(model_run_uri, HISTORY_FILE)) or "{}"
    )
    return {key: values for key, values in history.items() if isinstance(values, list)}


def load_json(uri: str | None, name: str) -> dict[str, Any]:
    """Read a JSON file of an artifact; empty without one."""
    if uri is None:
        return {}
    values: dict[str, Any] = json.loads(_read(os.path.join(uri, name)) or "{}")
    return values


def load_last_run(pushed_model_uri: str | None) -> LastRun | None:
    """Read Pusher's record of the run before this one; None for the first run."""
    if pushed_model_uri is None:
        return None
    text = _read(os.path.join(pushed_model_uri, LAST_RUN_FILE))
    return None if text is None else LastRun.from_json(text)


def describe_data(verdict: Verdict) -> tuple[Distribution, ...]:
    """Return the distributions of the data, now and in production."""
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
        # Of many values, show those that changed most, then the most frequent ones.
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
    """Read some of the images that can't be used, with pictures where possible."""
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
    """Return all class names, and the confusion matrix (row: label)."""
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
    """Return the mistakes of the greatest confidence, the number of all, and images.

    Returns:
        At most `MOST_MISTAKES` mistakes, the number of all mistakes, and the encoded
        images of the former by content hash.
    """
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
