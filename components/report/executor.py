"""Executor of the Report component."""

from __future__ import annotations

import json
import logging
import os
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

from tfx.dsl.components.base import base_executor
from tfx.types import artifact, artifact_utils
from tfx.utils import io_utils

from graft.components.artifact_files import exported_model, split_files
from graft.components.canary.result import RESULT_FILE as CANARY_FILE
from graft.components.evaluation.config import GateConfig
from graft.components.features.output_properties import (
    COMPUTED,
    DAMAGED,
    ENGINE,
    FROM_STORE,
)
from graft.components.ingestion.artifacts import SUMMARY_FILE
from graft.components.publishing.executor import REASON_PROPERTY
from graft.components.publishing.provenance import describe_environment
from graft.components.quality.artifacts import RESULT_FILE as QUALITY_FILE
from graft.components.quality.profile import drift
from graft.components.report import contents as read
from graft.components.report.grad_cam import Explainer, overlay
from graft.components.report.page import render_card, render_page
from graft.components.validation.anomaly_check import read_anomalies
from graft.contract.split_names import TEST_SPLIT

EXAMPLES_KEY = "examples"
EVALUATION_KEY = "evaluation"
MODEL_KEY = "model"
MODEL_RUN_KEY = "model_run"
PUSHED_MODEL_KEY = "pushed_model"
INFRA_BLESSING_KEY = "infra_blessing"
QUARANTINE_KEY = "quarantine"
ANOMALIES_KEY = "anomalies"
QUALITY_KEY = "quality"
FEATURES_KEY = "features"
REPORT_KEY = "report"
CARD_KEY = "model_card"
CONFIG_KEY = "config"
DATA_FINGERPRINT_KEY = "data_fingerprint"

REPORT_FILE = "report.html"
CARD_FILE = "model_card.md"

logger = logging.getLogger(__name__)

Artifacts = dict[str, list[artifact.Artifact]]


class Executor(base_executor.BaseExecutor):
    """Write the page and the model card."""

    def Do(
        self,
        input_dict: Artifacts,
        output_dict: Artifacts,
        exec_properties: dict[str, Any],
    ) -> None:
        """Gather and render.

        Args:
            input_dict: `examples`, raw `Examples`; `evaluation`, the gate's
                `ModelEvaluation`; `model`, the candidate; `model_run`, a `ModelRun`
                with `history.json`; `pushed_model`, a `PushedModel`; `infra_blessing`,
                the canary's, may be absent; `quarantine`, an `ImageQuarantine`;
                `anomalies`, an `ExampleAnomalies`; `quality`, a `DataQualityReport`,
                and `features`, the output of BottleneckFeatures, may be absent.
            output_dict: `report`, a `RunReport`; `model_card`, a `ModelCard`: the URI
                of each is the file itself.
            exec_properties: `config`, the run's config as JSON; `data_fingerprint`.
        """
        contents = gather(input_dict, exec_properties)
        for key, name, text in (
            (REPORT_KEY, REPORT_FILE, render_page(contents)),
            (CARD_KEY, CARD_FILE, render_card(contents)),
        ):
            output = artifact_utils.get_single_instance(output_dict[key])
            output.uri = os.path.join(output.uri, name)
            io_utils.write_string_file(output.uri, text)


def gather(
    input_dict: Artifacts, exec_properties: dict[str, Any]
) -> read.ReportContents:
    """Read everything that the page shows."""
    config = json.loads(exec_properties[CONFIG_KEY])
    evaluation = _uri(input_dict, EVALUATION_KEY) or ""
    predictions = read.load_predictions(evaluation)
    files = split_files(input_dict[EXAMPLES_KEY], TEST_SPLIT)
    names, counts = read.count_confusion(predictions)
    mistakes, num_mistakes, encoded = read.worst_mistakes(predictions, files)
    mistakes = _with_heat(mistakes, encoded, input_dict[MODEL_KEY])
    quarantine = _uri(input_dict, QUARANTINE_KEY)
    verdict = read.load_verdict(evaluation)
    last_run = read.load_last_run(_uri(input_dict, PUSHED_MODEL_KEY))
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
        canary=read.load_json(_uri(input_dict, INFRA_BLESSING_KEY), CANARY_FILE)
        or None,
        published=_published(input_dict[PUSHED_MODEL_KEY]),
        class_names=names,
        confusion=counts,
        confusions=read.most_confused(names, counts),
        bins=read.reliability_bins(predictions),
        mistakes=mistakes,
        num_mistakes=num_mistakes,
        ingestion=read.load_json(quarantine, SUMMARY_FILE),
        quarantined=read.load_quarantine(quarantine, str(config["data"]["path"])),
        anomalies=_anomalies(input_dict[ANOMALIES_KEY]),
        history=read.load_history(_uri(input_dict, MODEL_RUN_KEY)),
        quality=read.load_json(_uri(input_dict, QUALITY_KEY), QUALITY_FILE) or None,
        features=_features(input_dict.get(FEATURES_KEY)),
        config=config,
        provenance={
            "written_at": datetime.now(timezone.utc).isoformat(timespec="seconds"),
            "data_fingerprint": exec_properties[DATA_FINGERPRINT_KEY],
            **describe_environment(),
        },
    )


def _with_heat(
    mistakes: tuple[read.Mistake, ...],
    encoded: dict[str, bytes],
    models: list[artifact.Artifact],
) -> tuple[read.Mistake, ...]:
    """Add what the answers rest on, where the model lets itself be explained."""
    shown = [each for each in mistakes if each.picture is not None]
    if not shown:
        return mistakes
    try:
        explainer = Explainer(exported_model(models))
        heats = explainer.heat([encoded[each.content_hash] for each in shown])
        explainer.close()
    except Exception:
        # Any architecture may come along; the page is worth having without.
        logger.warning("No Grad-CAM for this model", exc_info=True)
        return mistakes
    pictures = {
        each.content_hash: overlay(encoded[each.content_hash], heat)
        for each, heat in zip(shown, heats, strict=True)
    }
    return tuple(
        replace(each, heat=pictures.get(each.content_hash)) for each in mistakes
    )


def _uri(input_dict: Artifacts, key: str) -> str | None:
    artifacts = input_dict.get(key)
    return str(artifacts[0].uri) if artifacts else None


def _features(artifacts: list[artifact.Artifact] | None) -> read.StoredFeatures | None:
    """Return what BottleneckFeatures says of its work; None where it did not run."""
    if not artifacts:
        return None
    stored = artifact_utils.get_single_instance(artifacts)
    return read.StoredFeatures(
        engine=str(stored.get_custom_property(ENGINE)),
        num_from_store=int(stored.get_custom_property(FROM_STORE) or 0),
        num_computed=int(stored.get_custom_property(COMPUTED) or 0),
        num_damaged_files=int(stored.get_custom_property(DAMAGED) or 0),
    )


def _published(artifacts: list[artifact.Artifact]) -> dict[str, Any]:
    pushed = artifact_utils.get_single_instance(artifacts)
    if int(pushed.get_custom_property("pushed") or 0):
        return {
            "path": pushed.get_custom_property("pushed_destination"),
            "version": pushed.get_custom_property("pushed_version"),
            "reason": None,
        }
    reason = pushed.get_custom_property(REASON_PROPERTY) or "the model was refused"
    return {"path": None, "version": None, "reason": str(reason).rstrip(".")}


def _anomalies(artifacts: list[artifact.Artifact]) -> tuple[str, ...]:
    """Return what ExampleValidator found in any split, warnings included."""
    found = artifact_utils.get_single_instance(artifacts)
    return tuple(
        f"{split}, {feature}: {info.short_description}. {info.description}"
        for split, anomalies in read_anomalies(found)
        for feature, info in sorted(anomalies.anomaly_info.items())
    )
