"""AnomalyCheck: end the run when ExampleValidator found an anomaly of severity error.

No `from __future__ import annotations` here: TFX reads the types of the function.
"""

from tfx.dsl.component.experimental.annotations import (
    InputArtifact,
    OutputArtifact,
)
from tfx.dsl.component.experimental.decorators import component
from tfx.types import standard_artifacts

from graft.components.validation.anomalies import describe_anomalies
from graft.contract.errors import DataError


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
    errors = describe_anomalies(anomalies.uri, errors_only=True)
    if errors:
        raise DataError(
            "The data does not fit the schema:\n"
            + "\n".join(f"  {error}" for error in errors)
            + "\nCorrect the data, or allow them in a schema of your own and name its "
            "file in `data_validation.schema_path`."
        )
    checked.value = "no errors"
