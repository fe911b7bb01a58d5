"""Gather the contents of a report from the artifacts of a run."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from tfx.types import artifact

from graft.components.artifact_files import exported_model, split_files
from graft.components.canary.result import RESULT_FILE as CANARY_FILE
from graft.components.evaluation.config import GateConfig
from graft.components.evaluation.predictions import Predictions
from graft.components.features.output_properties import (
    COMPUTED,
    DAMAGED,
    ENGINE,
    FROM_STORE,
)
from graft.components.ingestion.artifacts import SUMMARY_FILE
from graft.components.ingestion.fixes.applied_fixes import read_applied_fixes
from graft.components.pictures import find_thumbnails
from graft.components.publishing.config import REASON_PROPERTY
from graft.components.publishing.provenance import describe_environment
from graft.components.quality.artifacts import RESULT_FILE as QUALITY_FILE
from graft.components.quality.profile import drift
from graft.components.report import contents as read
from graft.components.report.confidence import judge_confidence
from graft.components.report.feature_map import (
    FeatureMap,
    map_features,
    read_features,
)
from graft.components.report.gallery import Group, class_samples, confused_samples
from graft.components.report.grad_cam import Explainer, overlay
from graft.components.validation.anomalies import describe_anomalies
from graft.contract.errors import UserError
from graft.contract.split_names import TEST_SPLIT
from graft.trainer.training_facts import TrainingFacts

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Inputs:
    """The artifacts that a report reads; see the component for their types."""

    examples: artifact.Artifact
    evaluation: artifact.Artifact
    model: artifact.Artifact
    model_run: artifact.Artifact
    pushed_model: artifact.Artifact
    quarantine: artifact.Artifact
    anomalies: artifact.Artifact
    infra_blessing: artifact.Artifact | None
    quality: artifact.Artifact | None
    features: artifact.Artifact | None


def gather(
    inputs: Inputs, *, config_json: str, data_fingerprint: str
) -> read.ReportContents:
    """Read all contents of the page and the model card."""
    config = json.loads(config_json)
    evaluation = inputs.evaluation.uri
    predictions = read.load_predictions(evaluation)
    files = split_files([inputs.examples], TEST_SPLIT)
    names, counts = read.count_confusion(predictions)
    mistakes, num_mistakes, encoded = read.worst_mistakes(predictions, files)
    mistakes = _with_heat(mistakes, encoded, inputs.model)
    quarantine = inputs.quarantine.uri
    verdict = read.load_verdict(evaluation)
    confusions = read.most_confused(names, counts)
    samples = class_samples(
        predictions, {each["name"]: each["recall"] for each in verdict.classes}
    )
    confused = confused_samples(
        predictions, [(each.true_name, each.answer) for each in confusions]
    )
    feature_map = _feature_map(inputs.features, predictions)
    shown = _shown_images(samples, confused, feature_map)
    last_run = read.load_last_run(inputs.pushed_model.uri)
    return read.ReportContents(
        verdict=verdict,
        distributions=read.describe_data(verdict),
        last_run=last_run,
        moved=tuple(
            drift(
                None if last_run is None else last_run.data_profile,
                verdict.data_profile,
                GateConfig.model_validate(config["gate"]).max_drift,
            )
        ),
        canary=read.load_json(_uri(inputs.infra_blessing), CANARY_FILE) or None,
        published=_published(inputs.pushed_model),
        class_names=names,
        confusion=counts,
        confusions=confusions,
        bins=read.reliability_bins(predictions),
        mistakes=mistakes,
        num_mistakes=num_mistakes,
        ingestion=read.load_json(quarantine, SUMMARY_FILE),
        quarantined=read.load_quarantine(quarantine, str(config["data"]["path"])),
        anomalies=tuple(describe_anomalies(inputs.anomalies.uri)),
        history=read.load_history(inputs.model_run.uri),
        quality=read.load_json(_uri(inputs.quality), QUALITY_FILE) or None,
        features=_features(inputs.features),
        label_fixes=read_applied_fixes(inputs.examples.uri),
        training=TrainingFacts.read(inputs.model.uri),
        confidence=judge_confidence(predictions) if len(predictions.images) else None,
        samples=samples,
        confused=confused,
        feature_map=feature_map,
        pictures=find_thumbnails(files, shown),
        config=config,
        provenance={
            "written_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "data_fingerprint": data_fingerprint,
            **describe_environment(),
        },
    )


def _with_heat(
    mistakes: tuple[read.Mistake, ...],
    encoded: dict[str, bytes],
    model: artifact.Artifact,
) -> tuple[read.Mistake, ...]:
    """Add Grad-CAM heat maps to the mistakes, if the model supports them."""
    shown = [each for each in mistakes if each.picture is not None]
    if not shown:
        return mistakes
    try:
        explainer = Explainer(exported_model([model]))
        heats = explainer.heat([encoded[each.content_hash] for each in shown])
        explainer.close()
    except Exception:
        # Some architectures have no feature map. The page is useful without heat maps.
        logger.warning("No Grad-CAM for this model", exc_info=True)
        return mistakes
    pictures = {
        each.content_hash: overlay(encoded[each.content_hash], heat)
        for each, heat in zip(shown, heats, strict=True)
    }
    return tuple(
        replace(each, heat=pictures.get(each.content_hash)) for each in mistakes
    )


def _feature_map(
    features: artifact.Artifact | None, predictions: Predictions
) -> FeatureMap | None:
    """Return the map of the test images, if their features were stored."""
    if features is None:
        return None
    try:
        hashes, values = read_features(split_files([features], TEST_SPLIT))
    except UserError as error:
        # The page is useful without the map.
        logger.warning("No map of the features: %s", error)
        return None
    return map_features(hashes, values, predictions)


def _shown_images(
    samples: Sequence[Group], confused: Sequence[Group], found: FeatureMap | None
) -> set[str]:
    """Return the content hashes of all images whose picture the page shows."""
    groups = (*samples, *confused)
    shown = {sample.content_hash for group in groups for sample in group.samples}
    points = () if found is None else found.points
    return shown | {point.content_hash for point in points if point.has_picture}


def _uri(found: artifact.Artifact | None) -> str | None:
    return None if found is None else str(found.uri)


def _features(stored: artifact.Artifact | None) -> read.StoredFeatures | None:
    """Return the counts of BottleneckFeatures, or None if it did not run."""
    if stored is None:
        return None
    return read.StoredFeatures(
        engine=str(stored.get_custom_property(ENGINE)),
        num_from_store=int(stored.get_custom_property(FROM_STORE) or 0),
        num_computed=int(stored.get_custom_property(COMPUTED) or 0),
        num_damaged_files=int(stored.get_custom_property(DAMAGED) or 0),
    )


def _published(pushed: artifact.Artifact) -> dict[str, Any]:
    if int(pushed.get_custom_property("pushed") or 0):
        return {
            "path": pushed.get_custom_property("pushed_destination"),
            "version": pushed.get_custom_property("pushed_version"),
            "reason": None,
        }
    reason = pushed.get_custom_property(REASON_PROPERTY) or "the model was refused"
    return {"path": None, "version": None, "reason": str(reason).rstrip(".")}
