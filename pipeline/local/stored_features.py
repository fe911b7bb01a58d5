"""Find the bottleneck features that a run stored, for what trains on them again."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass

from ml_metadata.metadata_store import MetadataStore
from ml_metadata.proto import metadata_store_pb2 as mlmd

from graft.contract import split_names
from graft.contract.errors import UserError
from graft.pipeline.config import PipelineConfig
from graft.pipeline.local.latest_execution import latest_execution


@dataclass(frozen=True)
class StoredFeatures:
    """Features of `train` and `eval` on disk."""

    train: str
    """Pattern of the files."""
    evaluation: str
    """Pattern of the files."""


def find_stored_features(
    config: PipelineConfig, data_fingerprint: str
) -> StoredFeatures:
    """Return the features that the latest run stored, if a run now would use them.

    Args:
        config: The config whose `model` and `data` they must be of.
        data_fingerprint: Of the data as they are now.

    Raises:
        UserError: There are none, or they are of other data or another backbone.
    """
    path = os.path.join(config.pipeline_folder, "metadata.sqlite")
    if not os.path.isfile(path):
        raise UserError(
            f"No features are stored in {config.pipeline_folder!r} yet: `graft run` "
            "with the same config, --data and --output stores them."
        )
    connection = mlmd.ConnectionConfig()
    connection.sqlite.filename_uri = path
    store = MetadataStore(connection)
    _check(
        store,
        config,
        "ImageExampleGen",
        "data_fingerprint",
        expected=data_fingerprint,
        what="other data",
    )
    uri = _check(
        store,
        config,
        "BottleneckFeatures",
        "model",
        expected=config.model.model_dump_json(exclude={"head", "output"}),
        what="another `model`",
        output="features",
    )
    if config.data_quality.drops:
        uri = _check(
            store,
            config,
            "DataQuality",
            "config",
            expected=config.data_quality.model_dump_json(),
            what="another `data_quality`",
            output="checked_examples",
        )
    return StoredFeatures(
        *(
            os.path.join(uri, f"Split-{split}", "*")
            for split in (split_names.TRAIN_SPLIT, split_names.EVAL_SPLIT)
        )
    )


def _check(
    store: MetadataStore,
    config: PipelineConfig,
    node: str,
    key: str,
    *,
    expected: str,
    what: str,
    output: str | None = None,
) -> str:
    """Compare a property of a node's latest execution; return its output's place."""
    again = "`graft run` with the same config, --data and --output stores them."
    execution = latest_execution(store, config.name, node)
    if execution is None:
        raise UserError(
            f"No features are stored in {config.pipeline_folder!r}: no run got as far "
            f"as {node}. {again}"
        )
    received = (
        execution.custom_properties[key].string_value
        or execution.properties[key].string_value
    )
    if _parsed(received) != _parsed(expected):
        raise UserError(
            f"The features stored in {config.pipeline_folder!r} are of {what} than "
            f"the config's. {again}"
        )
    uris = [
        store.get_artifacts_by_id([event.artifact_id])[0].uri
        for event in store.get_events_by_execution_ids([execution.id])
        if event.type == mlmd.Event.OUTPUT and event.path.steps[0].key == output
    ]
    if output is None:
        return ""
    if not uris or not os.path.isdir(uris[0]):
        raise UserError(
            f"The features of the latest run are gone from {config.pipeline_folder!r}. "
            f"{again}"
        )
    return str(uris[0])


def _parsed(text: str) -> object:
    try:
        return json.loads(text)
    except ValueError:
        return text
