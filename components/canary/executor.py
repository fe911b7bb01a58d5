"""Executor of the Canary component."""

from __future__ import annotations

import dataclasses
import logging
import os
from typing import TYPE_CHECKING, Any

import numpy as np
from tfx.dsl.components.base import base_executor
from tfx.dsl.io import fileio
from tfx.types import artifact, artifact_utils
from tfx.utils import io_utils

from graft.components.artifact_files import exported_model, split_files
from graft.components.canary.config import CanaryConfig
from graft.components.canary.result import RESULT_FILE
from graft.components.evaluation.predictions import PREDICTIONS_FILE, Predictions
from graft.contract.signature_names import UNKNOWN_THRESHOLD_FILE
from graft.contract.split_names import TEST_SPLIT

MODEL_KEY = "model"
EXAMPLES_KEY = "examples"
EVALUATION_KEY = "evaluation"
BLESSING_KEY = "blessing"
CANARY_KEY = "canary"

_BLESSED_FILE = "INFRA_BLESSED"
_NOT_BLESSED_FILE = "INFRA_NOT_BLESSED"
_BLESSED_PROPERTY = "blessed"

if TYPE_CHECKING:
    from graft.components.canary.trial import Expected

logger = logging.getLogger(__name__)


class Executor(base_executor.BaseExecutor):
    """Serve the candidate in a fresh process, ask it, and bless it or not."""

    def Do(
        self,
        input_dict: dict[str, list[artifact.Artifact]],
        output_dict: dict[str, list[artifact.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Try the candidate.

        Args:
            input_dict: `model`, the candidate, a `Model`; `examples`, raw `Examples`;
                `evaluation`, the gate's `ModelEvaluation`, whose answers are expected.
            output_dict: `blessing`, an `InfraBlessing` with the file and the custom
                property of TFX's InfraValidator, and `canary.json`.
            exec_properties: `canary`, a `CanaryConfig` as JSON.
        """
        # gRPC and Pillow: wiring the pipeline need not wait for them.
        from graft.components.canary.trial import try_model

        config = CanaryConfig.model_validate_json(exec_properties[CANARY_KEY])
        evaluation = artifact_utils.get_single_instance(input_dict[EVALUATION_KEY])
        blessing = artifact_utils.get_single_instance(output_dict[BLESSING_KEY])
        model_path = exported_model(input_dict[MODEL_KEY])
        expected = _choose_images(
            input_dict[EXAMPLES_KEY], evaluation.uri, config.num_images
        )
        threshold = _read_unknown_threshold(model_path)
        expected = [
            dataclasses.replace(each, unknown_threshold=threshold) for each in expected
        ]
        result = try_model(model_path, expected, config)
        for check in result.checks:
            logger.info("%s: %s: %s", check.name, check.passed, check.message)
        io_utils.write_string_file(
            os.path.join(blessing.uri, RESULT_FILE), result.to_json()
        )
        # What TFX's own InfraValidator writes, for Pusher to obey.
        name = _BLESSED_FILE if result.passed else _NOT_BLESSED_FILE
        io_utils.write_string_file(os.path.join(blessing.uri, name), "")
        blessing.set_int_custom_property(_BLESSED_PROPERTY, int(result.passed))


def _read_unknown_threshold(model_path: str) -> float:
    """Return below which probability the model says `unknown`; 0: it never does."""
    path = os.path.join(model_path, "assets.extra", UNKNOWN_THRESHOLD_FILE)
    return float(io_utils.read_string_file(path)) if fileio.exists(path) else 0.0


def _choose_images(
    examples: list[artifact.Artifact], evaluation_uri: str, count: int
) -> list[Expected]:
    """Return images of `test`, spread over the split, with the evaluation's answers."""
    from graft.components.canary.trial import Expected
    from graft.components.pictures import find_images

    predictions = Predictions.load(os.path.join(evaluation_uri, PREDICTIONS_FILE))
    hashes = predictions.images.content_hashes
    rows = np.unique(
        np.linspace(0, len(hashes) - 1, min(count, len(hashes)), dtype=int)
    )
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
