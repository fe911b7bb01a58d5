"""The contents of a report with everything that a page can show."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from graft.components.evaluation.predictions import (
    Answers,
    EvaluatedImages,
    Predictions,
)
from graft.components.evaluation.verdict import RuleResult, Verdict
from graft.components.ingestion.fixes.applied_fixes import AppliedFixes
from graft.components.pictures import THUMBNAIL_PIXELS, data_uri
from graft.components.quality.checks import TITLES
from graft.components.quality.executor import most_shown
from graft.components.report.confidence import judge_confidence
from graft.components.report.contents import (
    MOST_MISTAKES,
    MOST_QUARANTINED,
    Distribution,
    Mistake,
    QuarantinedImage,
    ReportContents,
    StoredFeatures,
    count_confusion,
    most_confused,
    reliability_bins,
)
from graft.components.report.feature_map import map_features
from graft.components.report.gallery import class_samples, confused_samples

HASH = "0123456789abcdef" * 4
FOLDER = "photos of the summer in the mountains/a class with a long name"


def picture(seed: int = 0) -> str:
    """Return a small JPEG as a `data:` URI."""
    pixels = np.random.default_rng(seed).integers(0, 255, (40, 60, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=60)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()


def large_picture(seed: int) -> str:
    """Return a thumbnail of the largest size, with more detail than photographs."""
    pixels = np.random.default_rng(seed).integers(0, 255, (80, 80, 3), dtype=np.uint8)
    size = (THUMBNAIL_PIXELS, THUMBNAIL_PIXELS)
    return data_uri(Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC))


@pytest.fixture(scope="session")
def make_full_contents(
    make_contents: Callable[..., ReportContents],
) -> Callable[[int], ReportContents]:
    """Return contents with as many pictures as a page may show, all large."""

    def make(num_classes: int) -> ReportContents:
        small = make_contents(num_classes)
        mistakes = [
            replace(_mistake(index, small.class_names), picture=large_picture(index))
            for index in range(MOST_MISTAKES)
        ]
        checks = [
            {
                "name": name,
                "title": title,
                "policy": "warn",
                "num_findings": 1000,
                "not_searched": {},
                "findings": _full_findings(name),
            }
            for name, title in TITLES.items()
        ]
        quality = {**_quality(), "checks": checks}
        full = replace(
            small,
            mistakes=tuple(replace(each, heat=large_picture(9)) for each in mistakes),
            quarantined=tuple(
                QuarantinedImage(f"{FOLDER}/{index}.jpg", "damaged", large_picture(3))
                for index in range(MOST_QUARANTINED)
            ),
            quality=quality,
        )
        pictures = {key: large_picture(1) for key in full.pictures}
        return replace(full, pictures=pictures)

    return make


def _full_findings(check: str) -> list[dict[str, Any]]:
    """Return as many findings of a check as a page shows."""
    has_partner = check in ("leaks", "label_conflicts")
    return [
        {
            "filename": f"{FOLDER}/a{index}.jpg",
            "message": "labelled cat, which has a probability of 0.17; dog has 0.83",
            "picture": large_picture(index),
            "other": f"{FOLDER}/b{index}.jpg" if has_partner else None,
            "other_picture": large_picture(index + 50) if has_partner else None,
        }
        for index in range(most_shown(check))
    ]


def make_predictions(names: tuple[str, ...], number: int = 240) -> Predictions:
    """Return predictions of which about a quarter is wrong."""
    rng = np.random.default_rng(1)
    truth = rng.integers(0, len(names), number)
    scores = rng.normal(size=(number, len(names)))
    scores[np.arange(number), truth] += 2.5
    shares = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    images = EvaluatedImages(
        np.array([names[label] for label in truth]),
        np.array([f"{index:064x}" for index in range(number)]),
        np.array([f"{FOLDER}/image_{index:04d}.jpg" for index in range(number)]),
    )
    return Predictions(images, Answers(names, shares.astype(np.float32)))


@pytest.fixture(scope="session")
def make_contents() -> Callable[..., ReportContents]:
    """Return contents: make_contents(number of classes, **fields to replace)."""

    def make(num_classes: int = 4, **changes: Any) -> ReportContents:
        names = (
            "a class with a long name of several words",
            *(f"class{index}" for index in range(1, num_classes)),
        )
        predictions = make_predictions(names, max(240, 2 * num_classes))
        fields = {**_run_fields(names), **_prediction_fields(predictions), **changes}
        made = ReportContents(**fields)
        groups = (*made.samples, *made.confused)
        keys = {sample.content_hash for group in groups for sample in group.samples}
        if made.feature_map is not None:
            keys |= {p.content_hash for p in made.feature_map.points if p.has_picture}
        made.pictures.update({key: picture(int(key, 16)) for key in keys})
        return made

    return make


def _prediction_fields(predictions: Predictions) -> dict[str, Any]:
    """Return the fields that come from the predictions."""
    found, counts = count_confusion(predictions)
    confusions = most_confused(found, counts)
    recalls = dict.fromkeys(predictions.candidate.class_names, 0.75)
    pairs = [(each.true_name, each.answer) for each in confusions]
    values = np.random.default_rng(2).normal(size=(240, 16)).astype(np.float32)
    hashes = [str(key) for key in predictions.images.content_hashes[:240]]
    return {
        "class_names": found,
        "confusion": counts,
        "confusions": confusions,
        "bins": reliability_bins(predictions),
        "confidence": judge_confidence(predictions),
        "samples": class_samples(predictions, recalls),
        "confused": confused_samples(predictions, pairs),
        "feature_map": map_features(hashes, values, predictions),
    }


def _run_fields(names: tuple[str, ...]) -> dict[str, Any]:
    """Return the other fields."""
    check = {"passed": True, "name": "probabilities_add_up", "message": "yes"}
    return {
        "verdict": _verdict(names),
        "canary": {"passed": True, "checks": [check]},
        "published": {
            "path": f"graft_output/serving/{'m' * 20}/1796037744",
            "version": "1796037744",
            "reason": None,
        },
        "mistakes": tuple(_mistake(index, names) for index in range(6)),
        "num_mistakes": 60,
        "ingestion": _ingestion(names),
        "quarantined": (QuarantinedImage(f"{FOLDER}/x.jpg", "damaged PNG", None),),
        "anomalies": ("image/height: a value is out of range",),
        "history": {
            "penalty": [0.001, 0.01, 0.1],
            "loss": [0.1, 0.2, 0.4],
            "eval_loss": [0.4, 0.3, 0.5],
        },
        "config": {
            "name": "report",
            "data": {"path": "../a folder/photos"},
            "model": {"preset": "efficientnet_lite0"},
            "training": {"strategy": "feature_extraction"},
            "push": {"model_name": "photos"},
        },
        "provenance": {
            "written_at": "2026-11-30T10:00:00+00:00",
            "data_fingerprint": HASH,
            "lock_sha256": HASH,
        },
        "quality": _quality(),
        "features": StoredFeatures("openvino-float32", 100, 20, 0),
        "distributions": _distributions(),
        "timings": {"ImageExampleGen": 2.5, "Trainer": 12.0},
        "label_fixes": AppliedFixes(
            [{"path": "fixes.csv", "sha256": HASH, "rows": 3, "undecided": 0}],
            {"relabelled": 2, "dropped": 1, "added": 0, "confirmed": 0},
            {"Anna": 3},
            {"test": 1},
            [{"before": names[0], "after": names[-1], "count": 2}],
            [],
        ),
    }


def _verdict(names: tuple[str, ...]) -> Verdict:
    metrics = {
        "accuracy": 0.75,
        "balanced_accuracy": 0.7,
        "log_loss": 0.4,
        "calibration_error": 0.05,
        "num_test_images": 240,
        "size_mb": 14.6,
        "latency_ms": 12.0,
    }
    rules = (
        RuleResult("min_accuracy", "overall", 0.75, 0.7, "pass", "accuracy 0.75"),
        RuleResult("must_beat_largest_class", "overall", 0.7, 0.5, "pass", "better"),
        RuleResult("comparison", "production", None, None, "note", "no model yet"),
    )
    rows = tuple(
        {
            "name": name,
            "num_images": 24,
            "num_predicted": 24,
            "precision": 0.7,
            "recall": 0.6 + 0.3 * index / len(names),
            "f1": 0.65,
            "baseline_recall": None,
        }
        for index, name in enumerate(names)
    )
    slices = (
        {
            "feature": "image/source",
            "value": "photos",
            "num_images": 240,
            "accuracy": 0.75,
            "baseline_accuracy": None,
        },
    )
    largest = {"name": names[0], "share": 0.3, "standing": "better"}
    return Verdict(
        True, rules, metrics, classes=rows, slices=slices, largest_class=largest
    )


def _mistake(index: int, names: tuple[str, ...]) -> Mistake:
    return Mistake(
        filename=f"{FOLDER}/image_{index:04d}.jpg",
        true_name=names[0],
        answer=names[-1],
        confidence=0.9,
        probability_of_truth=0.05,
        baseline_answer=names[1],
        picture=picture(index),
        heat=picture(index + 100),
        content_hash=f"{index:064x}",
    )


def _ingestion(names: tuple[str, ...]) -> dict[str, Any]:
    counts = {split: dict.fromkeys(names, 20) for split in ("train", "eval", "test")}
    return {
        "splits": {split: 20 * len(names) for split in counts},
        "counts": counts,
        "num_quarantined": 1,
        "warnings": ["Files that are not images were left aside: 3 of kind .txt."],
    }


def _quality() -> dict[str, Any]:
    def finding(name: str, other: str | None = None) -> dict[str, Any]:
        return {
            "filename": f"{FOLDER}/{name}",
            "message": "labelled cat, which has a probability of 0.17; dog has 0.83",
            "picture": picture(7),
            "other": other and f"{FOLDER}/{other}",
            "other_picture": other and picture(8),
        }

    checks = [
        ("leaks", "Near-copies in different splits", [finding("a.jpg", "b.jpg")]),
        ("label_errors", "Doubtful labels", [finding("c.jpg")]),
        ("dark", "Dark images", []),
    ]
    return {
        "dropped": [],
        "checks": [
            {
                "name": name,
                "title": title,
                "policy": "warn",
                "num_findings": len(found),
                "not_searched": {},
                "findings": found,
            }
            for name, title, found in checks
        ],
    }


def _distributions() -> tuple[Distribution, ...]:
    rows = (("0 to 32", 0.2, None), ("32 to 64", 0.8, None))
    return tuple(
        Distribution(name, rows) for name in ("brightness", "longer edge, px", "class")
    )
