"""The work of the Canary component."""

from __future__ import annotations

import dataclasses
import logging
import os

import numpy as np
from tfx.types import artifact

from graft.components.artifact_files import exported_model, split_files
from graft.components.canary.config import CanaryConfig
from graft.components.canary.result import RESULT_FILE
from graft.components.canary.trial import Expected, try_model
from graft.components.evaluation.predictions import PREDICTIONS_FILE, Predictions
from graft.components.pictures import find_images
from graft.contract.signature_names import UNKNOWN_THRESHOLD_FILE
from graft.contract.split_names import TEST_SPLIT
from graft.storage import atomic, files

_BLESSED_FILE = "INFRA_BLESSED"
_NOT_BLESSED_FILE = "INFRA_NOT_BLESSED"
_BLESSED_PROPERTY = "blessed"

logger = logging.getLogger(__name__)


def try_candidate(
    model: artifact.Artifact,
    examples: artifact.Artifact,
    evaluation: artifact.Artifact,
    blessing: artifact.Artifact,
    config: CanaryConfig,
) -> None:
    """Serve the candidate in a new process, send requests, and bless it or not.

    See `graft.components.canary.component.Canary` for the artifacts.
    """
    model_path = exported_model([model])
    expected = _choose_images([examples], evaluation.uri, config.num_images)
    threshold = _read_unknown_threshold(model_path)
    expected = [
        dataclasses.replace(each, unknown_threshold=threshold) for each in expected
    ]
    result = try_model(model_path, expected, config)
    for check in result.checks:
        logger.info("%s: %s: %s", check.name, check.passed, check.message)
    atomic.write_text(os.path.join(blessing.uri, RESULT_FILE), result.to_json())
    # Pusher reads the file and the property that TFX's InfraValidator writes.
    name = _BLESSED_FILE if result.passed else _NOT_BLESSED_FILE
    atomic.write_text(os.path.join(blessing.uri, name), "")
    blessing.set_int_custom_property(_BLESSED_PROPERTY, int(result.passed))


def _read_unknown_threshold(model_path: str) -> float:
    """Return the probability below which the answer is `unknown`; 0 for never."""
    path = os.path.join(model_path, "assets.extra", UNKNOWN_THRESHOLD_FILE)
    return float(files.read_text(path)) if files.exists(path) else 0.0


def _choose_images(
    examples: list[artifact.Artifact], evaluation_uri: str, count: int
) -> list[Expected]:
    """Return images of `test`, evenly spread, with the evaluation's predictions."""
    predictions = Predictions.load(os.path.join(evaluation_uri, PREDICTIONS_FILE))
    hashes = predictions.images.content_hashes
    # The server must return what the exported model did, not what its head alone does.
    asked = np.arange(len(hashes))
    if predictions.is_asked is not None:
        asked = np.flatnonzero(predictions.is_asked)
    places = np.linspace(0, len(asked) - 1, min(count, len(asked)), dtype=int)
    rows = asked[np.unique(places)]
    encoded = find_images(split_files(examples, TEST_SPLIT), hashes[rows].tolist())
    candidate = predictions.candidate
    return [
        Expected(
            encoded[str(hashes[row])],
            candidate.class_names,
            candidate.probabilities[row],
        )
        for row in rows
        if str(hashes[row]) in encoded
    ]
