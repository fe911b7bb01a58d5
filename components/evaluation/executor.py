"""The work of the gate: predict, measure, judge, bless."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import apache_beam as beam
from tfx.components.evaluator import constants
from tfx.types import artifact

from graft.components import progress
from graft.components.artifact_files import exported_model, read_json, split_files
from graft.components.beam_jobs import num_workers
from graft.components.evaluation.answer_store import AnswerStore
from graft.components.evaluation.answers import (
    AskWorkers,
    Production,
    find_answers,
    remember_candidate,
    score_features,
)
from graft.components.evaluation.asking_job import (
    Question,
    WorkersAnswers,
    ask_on_workers,
)
from graft.components.evaluation.baseline import read_baseline, read_production
from graft.components.evaluation.baseline_rules import Baseline
from graft.components.evaluation.config import GateConfig
from graft.components.evaluation.exported_model import LoadedModel, read_label_map
from graft.components.evaluation.inference import first_example
from graft.components.evaluation.metrics import Measured
from graft.components.evaluation.predictions import PREDICTIONS_FILE
from graft.components.evaluation.rules import judge
from graft.components.evaluation.signatures import Signatures, read_signatures
from graft.components.evaluation.verdict import VERDICT_FILE, Verdict
from graft.components.ingestion.fixes.applied_fixes import read_applied_fixes
from graft.components.quality.artifacts import PROFILE_FILE
from graft.components.quality.profile import Profile
from graft.contract.split_names import TEST_SPLIT
from graft.storage import atomic, files, hashing

logger = logging.getLogger(__name__)


def evaluate(
    *,
    examples: artifact.Artifact,
    model: artifact.Artifact,
    baseline_model: artifact.Artifact | None,
    quality: artifact.Artifact | None,
    features: artifact.Artifact | None,
    evaluation: artifact.Artifact,
    blessing: artifact.Artifact,
    gate: GateConfig,
    cache_dir: str,
    pipeline: beam.Pipeline | None = None,
) -> None:
    """Decide whether the candidate may be pushed, and write the verdict.

    The arguments are those of `graft.components.evaluation.component.Evaluator`.
    """
    example_files = split_files([examples], TEST_SPLIT)
    path = exported_model([model])
    judged_files = hashing.hash_folder(path)
    candidate = LoadedModel(path)
    feature_files = [] if features is None else split_files([features], TEST_SPLIT)
    folder = cache_dir if gate.answers.remember else ""
    baseline, production = _open_baseline(baseline_model, folder, judged_files)
    answers = os.path.join(evaluation.uri, "answers")
    found = find_answers(
        example_files,
        candidate=candidate,
        scored=score_features(
            candidate, feature_files, gate.answers, hashing.hash_json(judged_files)
        ),
        production=production if gate.comparison.enabled else None,
        slice_keys=gate.slice_keys,
        question=Question(path, judged_files, len(candidate.class_names)),
        ask_workers=_on_workers(pipeline, example_files, answers),
    )
    files.remove_folder(answers)
    if found.failure is not None and baseline is not None:
        baseline = replace(baseline, failure=_first_line(found.failure))
    predictions = found.predictions
    measured = Measured(
        size_mb=sum(map(files.size_of, files.files_below(candidate.path))) / 1e6,
        latency_ms=candidate.latency_ms(first_example(example_files)),
        signatures=read_signatures(candidate.path),
    )
    candidate.close()
    predictions.save(os.path.join(evaluation.uri, PREDICTIONS_FILE))
    if gate.write_tfma_metrics:
        # TFMA is slow to import.
        from graft.components.evaluation.tfma_metrics import write_tfma_metrics

        write_tfma_metrics(predictions, gate.slice_keys, evaluation.uri)
    fixes = read_applied_fixes(examples.uri)
    verdict = replace(
        judge(predictions, measured, baseline, gate, _profile(quality)),
        judged_against=_production_of(baseline_model),
        judged_files=judged_files,
        answers={name: ways.to_dict() for name, ways in found.ways.items()},
        label_fixes=None if fixes is None else fixes.totals(),
    )
    if verdict.is_blessed:
        # The next run may find it in production.
        store = AnswerStore(folder, judged_files, len(candidate.class_names))
        remember_candidate(found, store)
    atomic.write_text(os.path.join(evaluation.uri, VERDICT_FILE), verdict.to_json())
    _bless(model, blessing, verdict)
    for rule in verdict.rules:
        logger.info("%s: %s", rule.outcome, rule.message)


def _on_workers(
    pipeline: beam.Pipeline | None, example_files: list[str], folder: str
) -> AskWorkers | None:
    """Return the function that asks models on a cluster; None without one.

    Args:
        pipeline: Made by TFX; its options name the cluster.
        example_files: TFRecords of the test images.
        folder: Folder for the answers, which the workers see.
    """
    if pipeline is None or not num_workers(pipeline.options):
        return None
    options = pipeline.options

    def ask(questions: Mapping[str, Question]) -> dict[str, WorkersAnswers]:
        return ask_on_workers(
            beam.Pipeline(options=options),
            example_files,
            questions,
            folder=folder,
            progress=progress.current(),
            reports=f"{folder}_progress",
        )

    return ask


def _open_baseline(
    found: artifact.Artifact | None, store_folder: str, candidate: dict[str, str]
) -> tuple[Baseline | None, Production | None]:
    """Read the model in production. If that fails, return the reason instead."""
    served = None if found is None else read_baseline(found)
    if found is None or served is None:
        return None, None
    signatures: Signatures | None = None
    failure = served.failure
    production = None
    is_candidate = False
    if failure is None:
        try:
            path = exported_model([found])
            signatures = read_signatures(path)
            class_names = read_label_map(path).class_names
            hashes = hashing.hash_folder(path)
            is_candidate = hashes == candidate
            production = Production(
                class_names,
                lambda: LoadedModel(path),
                AnswerStore(store_folder, hashes, len(class_names)),
                Question(path, hashes, len(class_names), store_folder),
            )
        except Exception as error:
            logger.warning("The baseline can't be read", exc_info=error)
            failure = _first_line(error)
    profile = served.manifest.get("data_profile")
    baseline = Baseline(
        served.version, served.files_hash, signatures, failure, profile, is_candidate
    )
    return baseline, production


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
