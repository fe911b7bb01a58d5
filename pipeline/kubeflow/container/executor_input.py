"""Convert between Kubeflow's ExecutorInput and what TFX's executors take.

The launcher passes remote URIs and untyped artifacts. TFX's executors take typed
artifacts in local files. This module works on JSON and does not import TFX.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from graft.components.evaluation.baseline import PRODUCTION_PROPERTY, RESOLVED_PROPERTY
from graft.contract.errors import UserError
from graft.pipeline.kubeflow import nested_json

MOUNTS = {"minio://": "/minio/", "s3://": "/s3/", "gs://": "/gcs/"}
"""Folder where the launcher mounts the files of each scheme."""
UNMOUNTED_SCHEMES = ("minio://", "s3://")
LAUNCHER_OUTPUTS = ("executor-logs",)
"""Outputs of the launcher itself; TFX has no type for them."""
ADDED_METADATA = ("display_name", "store_session_info")
FILE_TITLES = frozenset(
    f"tfx.{name}"
    for name in ("Boolean", "Bytes", "File", "Float", "Integer", "JsonValue", "String")
)
"""Types whose URI is a file, not a folder."""


class StepError(UserError):
    """A step can't run with its inputs; the message says why."""


@dataclass(frozen=True)
class UriMap:
    """Maps remote URIs to the launcher's local paths and back.

    Attributes:
        prefix: Folder above the mounts; "" in a container, set in tests.
        is_remote: Leave URIs unchanged, as on Vertex AI, where TFX reads gs:// itself.
    """

    prefix: str = ""
    is_remote: bool = False

    def to_local(self, text: str) -> str:
        """Return the local path of a remote URI; other text is returned unchanged."""
        if self.is_remote:
            return text
        for scheme, mount in MOUNTS.items():
            if text.startswith(scheme):
                return self.prefix + mount + text[len(scheme) :]
        return text

    def to_remote(self, text: str) -> str:
        """Return the remote URI of a local path; other text is returned unchanged."""
        if self.is_remote:
            return text
        for scheme, mount in MOUNTS.items():
            if text.startswith(self.prefix + mount):
                return scheme + text[len(self.prefix + mount) :]
        return text


def title_in(artifact_type: Mapping[str, Any]) -> str:
    """Return the title of an artifact type in either form; "" if it has none."""
    if artifact_type.get("schemaTitle"):
        return str(artifact_type["schemaTitle"])
    for line in str(artifact_type.get("instanceSchema", "")).splitlines():
        if line.startswith("title:"):
            return line.partition(":")[2].strip()
    return ""


def rename_outputs(
    message: Mapping[str, Any], names: Mapping[str, str]
) -> dict[str, Any]:
    """Return an ExecutorInput whose outputs have their names in TFX.

    Args:
        message: The launcher's ExecutorInput.
        names: Name of an output on Kubeflow to its name in TFX, where they differ.
    """
    outputs = message.get("outputs", {})
    artifacts = {
        names.get(key, key): entry
        for key, entry in outputs.get("artifacts", {}).items()
    }
    return {**message, "outputs": {**outputs, "artifacts": artifacts}}


def restore_names(
    output: Mapping[str, Any], names: Mapping[str, str]
) -> dict[str, Any]:
    """Return an ExecutorOutput whose artifacts have their names on Kubeflow.

    Args:
        output: What `rewrite_result` returned.
        names: As for `rename_outputs`.
    """
    kubeflow = {old: new for new, old in names.items()}
    artifacts = {
        kubeflow.get(key, key): entry for key, entry in output["artifacts"].items()
    }
    return {**output, "artifacts": artifacts}


def rewrite_inputs(
    message: Mapping[str, Any],
    inputs_spec: Mapping[str, Any],
    overrides: Mapping[str, Sequence[Sequence[Any]]],
    uris: UriMap,
) -> dict[str, Any]:
    """Return the `inputs` of an ExecutorInput as TFX's executors take them.

    Args:
        message: The launcher's ExecutorInput.
        inputs_spec: The component's ComponentInputsSpec, for the types.
        overrides: Input name to the places, `[property, key, ...]`, that it replaces.
        uris: The map of URIs.

    Returns:
        `artifacts` with types, local URIs and unwrapped metadata, absent ones left out;
        `parameterValues` with the overrides merged in.

    Raises:
        StepError: A parameter names an object store, or a value that does not exist.
    """
    inputs = message.get("inputs", {})
    artifacts: dict[str, Any] = {}
    for key, entry in inputs.get("artifacts", {}).items():
        declared = inputs_spec.get("artifacts", {}).get(key, {}).get("artifactType")
        present = [
            _input_artifact(artifact, declared, uris)
            for artifact in entry.get("artifacts", ())
            if not _is_absent(artifact, uris)
        ]
        if present:
            artifacts[key] = {"artifacts": present}
    values = {
        name: value
        for name, value in inputs.get("parameterValues", {}).items()
        if value is not None
    }
    for name, places in overrides.items():
        if name in values:
            _override(values, name, values.pop(name), places)
    for name, value in values.items():
        for path, uri in unmounted_uris(value):
            key = ".".join([name, *map(str, path)])
            raise StepError(describe_unmounted(key, uri))
    return {"artifacts": artifacts, "parameterValues": values}


def rewrite_outputs(
    message: Mapping[str, Any],
    output_types: Mapping[str, Any],
    uris: UriMap,
    *,
    hidden: Collection[str] = (),
) -> dict[str, Any]:
    """Return the `outputs` of an ExecutorInput as TFX's executors take them.

    Args:
        message: The launcher's ExecutorInput.
        output_types: Key of an output to its type in TFX, if the compiled file names a
            type of the dashboard.
        uris: The map of URIs.
        hidden: Keys of outputs that TFX does not define.

    Returns:
        `outputs` with TFX's types and local URIs.
    """
    outputs = dict(message.get("outputs", {}))
    artifacts: dict[str, Any] = {}
    for key, entry in outputs.get("artifacts", {}).items():
        if key in LAUNCHER_OUTPUTS or key in hidden:
            continue
        artifacts[key] = {
            "artifacts": [
                {
                    **artifact,
                    "uri": uris.to_local(artifact["uri"]),
                    "type": output_types.get(key, artifact.get("type", {})),
                }
                for artifact in entry.get("artifacts", ())
            ]
        }
    return {**outputs, "artifacts": artifacts}


def make_folders(part: Mapping[str, Any]) -> None:
    """Create the folder of each artifact, or the parent folder of a file."""
    for _, artifact in each_artifact(part):
        uri = artifact["uri"]
        if "://" in uri or os.path.exists(uri):
            continue
        is_file = title_in(artifact.get("type", {})) in FILE_TITLES
        os.makedirs(os.path.dirname(uri) if is_file else uri, exist_ok=True)


def rewrite_result(
    result: Mapping[str, Any], message: Mapping[str, Any], uris: UriMap
) -> dict[str, Any]:
    """Return TFX's ExecutorOutput as the launcher takes it.

    Args:
        result: ExecutorOutput with local URIs.
        message: The launcher's ExecutorInput, with the place of each output.
        uris: The map of URIs.

    Returns:
        `artifacts` with uri and metadata alone, without nulls; `parameterValues`.

    Raises:
        StepError: An output is outside of its place.
    """
    given = message.get("outputs", {}).get("artifacts", {})
    artifacts: dict[str, Any] = {}
    for key, entry in result.get("artifacts", {}).items():
        expected = given.get(key, {}).get("artifacts", ())
        rewritten = []
        for index, artifact in enumerate(entry.get("artifacts", ())):
            uri = uris.to_remote(artifact["uri"])
            place = expected[index]["uri"] if index < len(expected) else None
            if place is not None and not _lies_in(uri, place):
                raise StepError(
                    f"Output {key!r} must lie below {place!r}: Kubeflow uploads "
                    f"nothing else. Received: {uri!r}"
                )
            metadata = {
                name: map_texts(value, uris.to_remote)
                for name, value in artifact.get("metadata", {}).items()
                if value is not None
            }
            dashboard_type = title_in(expected[index].get("type", {})) if place else ""
            if dashboard_type.startswith("system."):
                metadata.pop("tfx_version", None)
            rewritten.append(
                {
                    **({"name": artifact["name"]} if artifact.get("name") else {}),
                    "uri": uri,
                    "metadata": metadata,
                }
            )
        artifacts[key] = {"artifacts": rewritten}
    output: dict[str, Any] = {"artifacts": artifacts}
    values = result.get("parameterValues", {})
    if values:
        output["parameterValues"] = {
            name: value for name, value in values.items() if value is not None
        }
    return output


def each_artifact(part: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield key and artifact of the `inputs` or `outputs` of an ExecutorInput."""
    for key, entry in part.get("artifacts", {}).items():
        for artifact in entry.get("artifacts", ()):
            yield key, artifact


def unmounted_uris(value: Any) -> Iterator[tuple[tuple[nested_json.Key, ...], str]]:
    """Yield path and URI of each text in a property that names an object store."""
    if isinstance(value, str):
        for path, text in nested_json.texts(value):
            if text.startswith(UNMOUNTED_SCHEMES):
                yield path, text


def describe_unmounted(key: str, uri: str) -> str:
    """Return the message about a value that names an object store."""
    return (
        f"`{key}` names object storage, which Kubeflow does not download for a step. "
        f"Mount a volume and use its path. Received: {uri!r}"
    )


def map_texts(value: Any, change: Callable[[str], str]) -> Any:
    """Return a JSON value with each text in it changed, keys left out."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, list):
        return [map_texts(item, change) for item in value]
    if isinstance(value, dict):
        return {key: map_texts(item, change) for key, item in value.items()}
    return value


def _is_absent(artifact: Mapping[str, Any], uris: UriMap) -> bool:
    """Return whether an artifact stands for "none": by its mark, or without content.

    Metadata counts as content: a PushedModel has no files.
    """
    metadata = artifact.get("metadata", {})
    count = metadata.get(RESOLVED_PROPERTY)
    if PRODUCTION_PROPERTY in metadata:
        return False  # That no version is served is what the gate must know.
    if count is not None and float(count) == 0:
        return True
    if set(metadata) - {*ADDED_METADATA, "tfx_version"}:
        return False
    return not uris.is_remote and not os.path.exists(uris.to_local(artifact["uri"]))


def _input_artifact(
    artifact: Mapping[str, Any], declared: Any, uris: UriMap
) -> dict[str, Any]:
    metadata = {
        name: map_texts(_unwrap(value), uris.to_local)
        for name, value in artifact.get("metadata", {}).items()
        if name not in ADDED_METADATA and value is not None
    }
    local = artifact.get("customPath") or uris.to_local(artifact["uri"])
    result = {"uri": local, "metadata": metadata}
    if artifact.get("name"):
        result["name"] = artifact["name"]
    own = artifact.get("type") or {}
    result["type"] = declared if declared and not title_in(own) else own
    return result


def _unwrap(value: Any) -> Any:
    """Return a list or struct without the wrapper of the metadata store."""
    if isinstance(value, dict) and len(value) == 1:
        key, inner = next(iter(value.items()))
        if (key == "list" and isinstance(inner, list)) or (
            key == "struct" and isinstance(inner, dict)
        ):
            return inner
    return value


def _override(
    values: dict[str, Any], name: str, value: Any, places: Sequence[Sequence[Any]]
) -> None:
    for property_name, *path in places:
        if property_name not in values:
            raise StepError(
                f"{name!r} replaces a part of {property_name!r}, which was not given."
            )
        text = values[property_name]
        old = nested_json.read(text, path)
        new = value
        if isinstance(old, int) and isinstance(value, float) and value.is_integer():
            # Protos have one type of number in JSON.
            new = int(value)
        values[property_name] = nested_json.replace(text, path, new)


def _lies_in(uri: str, place: str) -> bool:
    normal = os.path.normpath(uri)
    place = os.path.normpath(place)
    return normal == place or normal.startswith(place.rstrip("/") + "/")
