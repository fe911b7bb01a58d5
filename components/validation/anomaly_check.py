"""AnomalyCheck: end the run when ExampleValidator found an anomaly of severity error.

No `from __future__ import annotations` here: TFX reads the types of the function.
"""

import logging
import os
from collections.abc import Iterator

from tensorflow_metadata.proto.v0 import anomalies_pb2
from tfx.dsl.component.experimental.annotations import (
    InputArtifact,
    OutputArtifact,
)
from tfx.dsl.component.experimental.decorators import component
from tfx.types import artifact, artifact_utils, standard_artifacts

from graft.contract.errors import DataError
from graft.storage import files

logger = logging.getLogger(__name__)


def describe_errors(anomalies: anomalies_pb2.Anomalies) -> list[str]:
    """Return one line per anomaly of severity error. Warnings are left out."""
    lines = []
    for feature, info in sorted(anomalies.anomaly_info.items()):
        if info.severity == anomalies_pb2.AnomalyInfo.ERROR:
            lines.append(f"{feature}: {info.short_description}. {info.description}")
    if anomalies.HasField("dataset_anomaly_info"):
        info = anomalies.dataset_anomaly_info
        if info.severity == anomalies_pb2.AnomalyInfo.ERROR:
            lines.append(f"{info.short_description}. {info.description}")
    return lines


def read_anomalies(
    found: artifact.Artifact,
) -> Iterator[tuple[str, anomalies_pb2.Anomalies]]:
    """Yield each split's name and the anomalies that ExampleValidator found."""
    for split in artifact_utils.decode_split_names(found.split_names):
        path = os.path.join(found.uri, f"Split-{split}", "SchemaDiff.pb")
        yield split, anomalies_pb2.Anomalies.FromString(files.read_bytes(path))


@component
def AnomalyCheck(
    anomalies: InputArtifact[standard_artifacts.ExampleAnomalies],
    checked: OutputArtifact[standard_artifacts.String],
) -> None:
    """End the run if a split has an anomaly of severity error.

    Args:
        anomalies: The anomalies that ExampleValidator found.
        checked: A value file, written if there is no error. Its value has no meaning.

    Raises:
        DataError: A split has an error; the message lists all of them.
    """
    lines = []
    for split, found in read_anomalies(anomalies):
        lines += [f"  {split}: {line}" for line in describe_errors(found)]
    if lines:
        raise DataError(
            "The data does not fit the schema:\n"
            + "\n".join(lines)
            + "\nCorrect the data, or allow them in a schema of your own and name its "
            "file in `data_validation.schema_path`."
        )
    checked.value = "no errors"
