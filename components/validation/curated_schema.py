"""CuratedSchema: import the schema that a user wrote, again if its content changes.

TFX caches ImportSchemaGen by the path alone, so it would miss a changed file.

No `from __future__ import annotations` here: TFX reads the types of the function.
"""

import os

from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2
from tfx.dsl.component.experimental.annotations import OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.types import standard_artifacts

from graft.contract.errors import DataError
from graft.storage import atomic, files, hashing
from graft.storage.path_hints import hint_about

FILE_NAME = "schema.pbtxt"


def schema_fingerprint(path: str) -> str:
    """Return a hash of the schema's text, or an empty string without the file.

    The machine that compiles for Kubeflow may not see the cluster's files.
    """
    return hashing.hash_file(path) if files.exists(path) else ""


@component
def CuratedSchema(
    schema: OutputArtifact[standard_artifacts.Schema],
    path: Parameter[str],
    content_fingerprint: Parameter[str] = "",
) -> None:
    """Copy the schema into an artifact after checking that it can be parsed.

    Args:
        schema: Receives schema.pbtxt.
        path: A schema in protobuf's text format.
        content_fingerprint: Part of TFX's cache key. Not read otherwise.

    Raises:
        DataError: The file does not exist, or it holds no schema.
    """
    del content_fingerprint
    if not files.exists(path):
        raise DataError(
            f"`data_validation.schema_path` must name an existing file. Received: "
            f"{path!r}. {hint_about(path) or 'Check the spelling.'}"
        )
    text = files.read_text(path)
    try:
        text_format.Parse(text, schema_pb2.Schema())
    except text_format.ParseError as error:
        raise DataError(
            "`data_validation.schema_path` must name a schema in protobuf's text "
            f"format, such as the one that SchemaGen leaves in the artifacts. {path}: "
            f"{error}"
        ) from None
    atomic.write_text(os.path.join(schema.uri, FILE_NAME), text)
