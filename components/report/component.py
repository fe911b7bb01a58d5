"""Declaration of the Report component.

No `from __future__ import annotations` here: TFX reads the types of the function.
"""

import os

from tfx.dsl.component.experimental.annotations import (
    InputArtifact,
    OutputArtifact,
    Parameter,
)
from tfx.dsl.component.experimental.decorators import component
from tfx.types import standard_artifacts

from graft.components.ingestion.artifacts import ImageQuarantine
from graft.components.quality.artifacts import DataQualityReport
from graft.components.report.artifacts import ModelCard, RunReport
from graft.storage import atomic

REPORT_FILE = "report.html"
CARD_FILE = "model_card.md"


@component
def Report(  # noqa: PLR0917 - TFX reads positional parameters
    examples: InputArtifact[standard_artifacts.Examples],
    evaluation: InputArtifact[standard_artifacts.ModelEvaluation],
    model: InputArtifact[standard_artifacts.Model],
    model_run: InputArtifact[standard_artifacts.ModelRun],
    pushed_model: InputArtifact[standard_artifacts.PushedModel],
    quarantine: InputArtifact[ImageQuarantine],
    anomalies: InputArtifact[standard_artifacts.ExampleAnomalies],
    report: OutputArtifact[RunReport],
    model_card: OutputArtifact[ModelCard],
    config: Parameter[str],
    data_fingerprint: Parameter[str],
    infra_blessing: InputArtifact[standard_artifacts.InfraBlessing] = None,
    quality: InputArtifact[DataQualityReport] = None,
    features: InputArtifact[standard_artifacts.Examples] = None,
) -> None:
    """Write the report of a run and its model card.

    Args:
        examples: Raw examples of ImageExampleGen.
        evaluation: From the gate.
        model: The candidate.
        model_run: From Trainer, with `history.json`.
        pushed_model: From Pusher.
        quarantine: From ImageExampleGen.
        anomalies: From ExampleValidator.
        report: Receives one HTML file. Its URI is set to that of the file.
        model_card: Receives one Markdown file. Its URI is set to that of the file.
        config: The run's config as JSON.
        data_fingerprint: Identifies the data.
        infra_blessing: From the canary.
        quality: From DataQuality.
        features: From BottleneckFeatures.
    """
    # Imported here, since TensorFlow is slow to import and wiring does not need it.
    from graft.components.report.executor import Inputs, gather
    from graft.components.report.page import render_card, render_page

    contents = gather(
        Inputs(
            examples=examples,
            evaluation=evaluation,
            model=model,
            model_run=model_run,
            pushed_model=pushed_model,
            quarantine=quarantine,
            anomalies=anomalies,
            infra_blessing=infra_blessing,
            quality=quality,
            features=features,
        ),
        config_json=config,
        data_fingerprint=data_fingerprint,
    )
    for output, name, text in (
        (report, REPORT_FILE, render_page(contents)),
        (model_card, CARD_FILE, render_card(contents)),
    ):
        output.uri = os.path.join(output.uri, name)
        atomic.write_text(output.uri, text)
