"""The work of the gate: predict, measure, judge, bless."""

from __future__ import annotations

import logging
import os
from dataclasses import replace
from typing import Any

from tfx.components.evaluator import constants
from tfx.types import artifact

from graft.components.artifact_files import exported_model, read_json, split_files
from graft.components.evaluation.baseline import read_baseline, read_production
from graft.components.evaluation.baseline_rules import Baseline
from graft.components.evaluation.config import GateConfig
from graft.components.evaluation.inference import LoadedModel, first_example, predict
from graft.components.evaluation.metrics import Measured
from graft.components.evaluation.predictions import PREDICTIONS_FILE, Predictions
from graft.components.evaluation.rules import judge
from graft.components.evaluation.signatures import Signatures, read_signatures
from graft.components.evaluation.verdict import VERDICT_FILE, Verdict
from graft.components.quality.artifacts import PROFILE_FILE
from graft.components.quality.profile import Profile
from graft.contract.split_names import TEST_SPLIT
from graft.storage import atomic, files, hashing

_CANDIDATE = "candidate"
_BASELINE = "baseline"

logger = logging.getLogger(__name__)


def evaluate(
    *,
    examples: artifact.Artifact,
    model: artifact.Artifact,
    baseline_model: artifact.Artifact | None,
    quality: artifact.Artifact | None,
    evaluation: artifact.Artifact,
    blessing: artifact.Artifact,
    gate: GateConfig,
) -> None:
    """Decide whether the candidate may be pushed, and write the verdict.

    See `graft.components.evaluation.component.Evaluator` for the artifacts.
    """
    example_files = split_files([examples], TEST_SPLIT)
    judged_files = hashing.hash_folder(exported_model([model]))
    candidate = LoadedModel(exported_model([model]))
    baseline, loaded_baseline = _open_baseline(baseline_model)
    models = {_CANDIDATE: candidate}
    if loaded_baseline is not None and gate.comparison.enabled:
        models[_BASELINE] = loaded_baseline
    images, answers, failures = predict(example_files, models, gate.slice_keys)
    if _CANDIDATE in failures:
        raise failures[_CANDIDATE]
    if _BASELINE in failures and baseline is not None:
        failure = _first_line(failures[_BASELINE])
        baseline = replace(baseline, failure=failure)
    predictions = Predictions(images, answers[_CANDIDATE], answers.get(_BASELINE))
    measured = Measured(
        size_mb=sum(map(files.size_of, files.files_below(candidate.path))) / 1e6,
        latency_ms=candidate.latency_ms(first_example(example_files)),
        signatures=read_signatures(candidate.path),
    )
    for loaded in models.values():
        loaded.close()
    predictions.save(os.path.join(evaluation.uri, PREDICTIONS_FILE))
    if gate.write_tfma_metrics:
        # TFMA is slow to import.
        from graft.components.evaluation.tfma_metrics import write_tfma_metrics

        write_tfma_metrics(predictions, gate.slice_keys, evaluation.uri)
    verdict = replace(
        judge(predictions, measured, baseline, gate, _profile(quality)),
        judged_against=_production_of(baseline_model),
        judged_files=judged_files,
    )
    atomic.write_text(os.path.join(evaluation.uri, VERDICT_FILE), verdict.to_json())
    _bless(model, blessing, verdict)
    for rule in verdict.rules:
        logger.info("%s: %s", rule.outcome, rule.message)


def _open_baseline(
    found: artifact.Artifact | None,
) -> tuple[Baseline | None, LoadedModel | None]:
    """Load the model in production. If that fails, return the reason instead."""
    served = None if found is None else read_baseline(found)
    if found is None or served is None:
        return None, None
    signatures: Signatures | None = None
    failure = served.failure
    loaded = None
    if failure is None:
        try:
            path = exported_model([found])
            signatures = read_signatures(path)
            loaded = LoadedModel(path)
        except Exception as error:
            logger.warning("The baseline does not load", exc_info=error)
            failure = _first_line(error)
    profile = served.manifest.get("data_profile")
    baseline = Baseline(served.version, served.files_hash, signatures, failure, profile)
    return baseline, loaded


def _production_of(found: artifact.Artifact | None) -> dict[str, Any] | None:
    """Return what was in production, for the verdict to name."""
    production = None if found is None else read_production(found)
    return None if production is None else production.to_dict()


def _profile(quality: artifact.Artifact | None) -> Profile | None:
    """Return the profile of the run's data, or None without DataQuality."""
    if quality is None:
        return None
    path = os.path.join(quality.uri, PROFILE_FILE)
    profile: Profile | None = read_json(path)
    return profile


def _first_line(error: Exception) -> str:
    text = str(error).strip().splitlines()
    return f"{type(error).__name__}: {text[0][:300] if text else ''}"


def _bless(
    model: artifact.Artifact, blessing: artifact.Artifact, verdict: Verdict
) -> None:
    """Write the blessing as TFX's Evaluator does, for Pusher and resolvers to read."""
    blessing.set_string_custom_property(
        constants.ARTIFACT_PROPERTY_CURRENT_MODEL_URI_KEY, model.uri
    )
    blessing.set_int_custom_property(
        constants.ARTIFACT_PROPERTY_CURRENT_MODEL_ID_KEY, model.id
    )
    is_blessed = verdict.is_blessed
    name = (
        constants.BLESSED_FILE_NAME if is_blessed else constants.NOT_BLESSED_FILE_NAME
    )
    atomic.write_text(os.path.join(blessing.uri, name), "")
    # A copy for Pusher, which reads only the blessing.
    atomic.write_text(os.path.join(blessing.uri, VERDICT_FILE), verdict.to_json())
    blessing.set_int_custom_property(
        constants.ARTIFACT_PROPERTY_BLESSED_KEY,
        constants.BLESSED_VALUE if is_blessed else constants.NOT_BLESSED_VALUE,
    )
