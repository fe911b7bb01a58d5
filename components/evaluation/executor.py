"""Executor of the gate: ask, analyse, judge, bless."""

from __future__ import annotations

import json
import logging
import os
from dataclasses import replace
from typing import Any

from tfx.components.evaluator import constants
from tfx.dsl.components.base import base_executor
from tfx.dsl.io import fileio
from tfx.types import artifact, artifact_utils
from tfx.utils import io_utils

from graft.components.artifact_files import exported_model, read_json, split_files
from graft.components.evaluation.baseline import read_baseline
from graft.components.evaluation.config import GateConfig
from graft.components.evaluation.inference import AskedModel, first_example, predict
from graft.components.evaluation.predictions import PREDICTIONS_FILE, Predictions
from graft.components.evaluation.rules import Baseline, Measured, judge
from graft.components.evaluation.signatures import Signatures, read_signatures
from graft.components.evaluation.verdict import VERDICT_FILE, Verdict
from graft.components.quality.artifacts import PROFILE_FILE
from graft.components.quality.profile import Profile

EXAMPLES_KEY = "examples"
QUALITY_KEY = "quality"
MODEL_KEY = "model"
BASELINE_MODEL_KEY = "baseline_model"
EVALUATION_KEY = "evaluation"
BLESSING_KEY = "blessing"
GATE_KEY = "gate"
EXAMPLE_SPLITS_KEY = "example_splits"

_CANDIDATE = "candidate"
_BASELINE = "baseline"

logger = logging.getLogger(__name__)


class Executor(base_executor.BaseExecutor):
    """Decide whether the candidate may be pushed, and write down why."""

    def Do(
        self,
        input_dict: dict[str, list[artifact.Artifact]],
        output_dict: dict[str, list[artifact.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Evaluate and judge.

        Args:
            input_dict: `examples`, raw `Examples`; `model`, the candidate, a `Model`;
                `baseline_model`, a `Model` of `ServedModel`, which may hold nothing, or
                be absent; `quality`, a `DataQualityReport`, may be absent.
            output_dict: `evaluation`, a `ModelEvaluation` with `verdict.json` (a
                `Verdict`), `predictions.npz` (`Predictions`), and TFMA's files if the
                gate wants them;
                `blessing`, a `ModelBlessing` with the file and the custom properties
                of TFX's Evaluator, and `verdict.json`.
            exec_properties: `gate`, a `GateConfig` as JSON; `example_splits`, names of
                splits as a JSON list.
        """
        gate = GateConfig.model_validate_json(exec_properties[GATE_KEY])
        splits = json.loads(exec_properties[EXAMPLE_SPLITS_KEY])
        evaluation = artifact_utils.get_single_instance(output_dict[EVALUATION_KEY])
        files = [
            file
            for split in splits
            for file in split_files(input_dict[EXAMPLES_KEY], split)
        ]
        candidate = AskedModel(exported_model(input_dict[MODEL_KEY]))
        baseline, asked_baseline = _open_baseline(input_dict.get(BASELINE_MODEL_KEY))
        models = {_CANDIDATE: candidate}
        if asked_baseline is not None and gate.comparison.enabled:
            models[_BASELINE] = asked_baseline
        images, answers, failures = predict(files, models, gate.slice_keys)
        if _CANDIDATE in failures:
            raise failures[_CANDIDATE]
        if _BASELINE in failures and baseline is not None:
            failure = _first_line(failures[_BASELINE])
            baseline = replace(baseline, failure=failure)
        predictions = Predictions(images, answers[_CANDIDATE], answers.get(_BASELINE))
        measured = Measured(
            size_mb=_size_bytes(candidate.path) / 1e6,
            latency_ms=candidate.latency_ms(first_example(files)),
            signatures=read_signatures(candidate.path),
        )
        for model in models.values():
            model.close()
        fileio.makedirs(evaluation.uri)
        predictions.save(os.path.join(evaluation.uri, PREDICTIONS_FILE))
        if gate.write_tfma_metrics:
            # TFMA is slow to import.
            from graft.components.evaluation.tfma_metrics import write_tfma_metrics

            write_tfma_metrics(predictions, gate.slice_keys, evaluation.uri)
        verdict = judge(
            predictions, measured, baseline, gate, _profile(input_dict.get(QUALITY_KEY))
        )
        io_utils.write_string_file(
            os.path.join(evaluation.uri, VERDICT_FILE), verdict.to_json()
        )
        _bless(input_dict, output_dict, exec_properties, verdict)
        for rule in verdict.rules:
            logger.info("%s: %s", rule.outcome, rule.message)


def _open_baseline(
    artifacts: list[artifact.Artifact] | None,
) -> tuple[Baseline | None, AskedModel | None]:
    """Load the model in production; one that no longer loads says why instead."""
    served = read_baseline(artifacts[0]) if artifacts else None
    if artifacts is None or served is None:
        return None, None
    signatures: Signatures | None = None
    failure = served.failure
    asked = None
    if failure is None:
        try:
            path = exported_model(artifacts)
            signatures = read_signatures(path)
            asked = AskedModel(path)
        except Exception as error:
            logger.warning("The baseline does not load", exc_info=error)
            failure = _first_line(error)
    profile = served.manifest.get("data_profile")
    baseline = Baseline(served.version, served.files_hash, signatures, failure, profile)
    return baseline, asked


def _profile(artifacts: list[artifact.Artifact] | None) -> Profile | None:
    """Return what the run's data look like, where DataQuality has looked."""
    if not artifacts:
        return None
    path = os.path.join(artifacts[0].uri, PROFILE_FILE)
    profile: Profile | None = read_json(path)
    return profile


def _first_line(error: Exception) -> str:
    text = str(error).strip().splitlines()
    return f"{type(error).__name__}: {text[0][:300] if text else ''}"


def _size_bytes(folder: str) -> int:
    import tensorflow as tf

    return sum(
        int(tf.io.gfile.stat(os.path.join(parent, name)).length)
        for parent, _, names in tf.io.gfile.walk(folder)
        for name in names
    )


def _bless(
    input_dict: dict[str, list[artifact.Artifact]],
    output_dict: dict[str, list[artifact.Artifact]],
    exec_properties: dict[str, Any],
    verdict: Verdict,
) -> None:
    """Write the blessing as TFX's Evaluator does, for Pusher and resolvers to read."""
    blessing = artifact_utils.get_single_instance(output_dict[BLESSING_KEY])
    model = artifact_utils.get_single_instance(input_dict[MODEL_KEY])
    blessing.set_string_custom_property(
        constants.ARTIFACT_PROPERTY_CURRENT_MODEL_URI_KEY, model.uri
    )
    blessing.set_int_custom_property(
        constants.ARTIFACT_PROPERTY_CURRENT_MODEL_ID_KEY, model.id
    )
    if "current_component_id" in exec_properties:
        blessing.set_string_custom_property(
            "component_id", exec_properties["current_component_id"]
        )
    is_blessed = verdict.is_blessed
    name = (
        constants.BLESSED_FILE_NAME if is_blessed else constants.NOT_BLESSED_FILE_NAME
    )
    io_utils.write_string_file(os.path.join(blessing.uri, name), "")
    # A copy: Pusher, which sees the blessing alone, puts it into the manifest.
    io_utils.write_string_file(
        os.path.join(blessing.uri, VERDICT_FILE), verdict.to_json()
    )
    blessing.set_int_custom_property(
        constants.ARTIFACT_PROPERTY_BLESSED_KEY,
        constants.BLESSED_VALUE if is_blessed else constants.NOT_BLESSED_VALUE,
    )
