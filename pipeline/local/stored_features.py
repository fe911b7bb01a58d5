"""Find the bottleneck features that a run stored, to train on them again."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import Any

from graft.contract import split_names
from graft.contract.errors import UserError
from graft.pipeline.config import PipelineConfig
from graft.pipeline.local.metadata_store import LocalMetadata, property_of

_REMEDY = "`graft run` with the same config, --data and --output stores them."


@dataclass(frozen=True)
class StoredFeatures:
    """Paths of the stored features.

    Attributes:
        train: Pattern of the files of `train`.
        evaluation: Pattern of the files of `eval`.
        transform_graph: Folder of the Transform graph with their label map.
    """

    train: str
    evaluation: str
    transform_graph: str


@dataclass(frozen=True)
class _Expectation:
    """An execution property that decides whether stored features can be used.

    Attributes:
        node: Node whose latest execution is compared.
        property: Name of the execution property.
        value: The value that a run now would give.
        subject: What the value describes, for the message to the user.
    """

    node: str
    property: str
    value: str
    subject: str


def find_stored_features(
    config: PipelineConfig, data_fingerprint: str
) -> StoredFeatures:
    """Return the features of the latest run, if a run now would use the same ones.

    Args:
        config: Config whose `data`, `model` and `data_quality` the features must match.
        data_fingerprint: Fingerprint of the data as they are now.

    Raises:
        UserError: There are no features, or they are of other data or another backbone.
    """
    if not os.path.isfile(config.metadata_path):
        raise UserError(
            f"No features are stored in {config.pipeline_folder!r} yet: {_REMEDY}"
        )
    expectations = [
        _Expectation(
            "ImageExampleGen",
            "data_fingerprint",
            data_fingerprint,
            "the data as they are now",
        ),
        _Expectation(
            "BottleneckFeatures",
            "model",
            config.model.model_dump_json(exclude={"head", "output"}),
            "the config's `model`",
        ),
    ]
    source = ("BottleneckFeatures", "features")
    if config.data_quality.drops:
        expectations.append(
            _Expectation(
                "DataQuality",
                "config",
                config.data_quality.model_dump_json(),
                "the config's `data_quality`",
            )
        )
        source = ("DataQuality", "checked_examples")
    metadata = LocalMetadata(config.metadata_path)
    for expectation in expectations:
        _check(metadata, config, expectation)
    _check_lineage(metadata, config, source[0])
    features = _folder_of(metadata.latest_output(config.name, *source), config)
    extraction = metadata.latest_execution(config.name, "BottleneckFeatures")
    inputs = {} if extraction is None else metadata.inputs_of(extraction)
    return StoredFeatures(
        train=os.path.join(features, f"Split-{split_names.TRAIN_SPLIT}", "*"),
        evaluation=os.path.join(features, f"Split-{split_names.EVAL_SPLIT}", "*"),
        transform_graph=_folder_of(inputs.get("transform_graph"), config),
    )


def _check_lineage(metadata: LocalMetadata, config: PipelineConfig, node: str) -> None:
    """Refuse features of an earlier run than the one that read the data last.

    A run on new data may have stopped before it computed features.
    """
    steps = [
        ("ImageExampleGen", "examples", "BottleneckFeatures", "examples"),
        ("BottleneckFeatures", "features", "DataQuality", "training_examples"),
    ]
    for maker, output, user, key in steps[: 1 + (node == "DataQuality")]:
        made = metadata.latest_output(config.name, maker, output)
        execution = metadata.latest_execution(config.name, user)
        used = None if execution is None else metadata.inputs_of(execution).get(key)
        if made is None or used is None or made.id != used.id:
            raise UserError(
                f"The latest run in {config.pipeline_folder!r} stopped before {user}. "
                f"The features stored there are of an earlier run. {_REMEDY}"
            )


def _folder_of(artifact: Any, config: PipelineConfig) -> str:
    if artifact is None or not os.path.isdir(artifact.uri):
        raise UserError(
            "The features of the latest run were removed from "
            f"{config.pipeline_folder!r}. {_REMEDY}"
        )
    return str(artifact.uri)


def _check(
    metadata: LocalMetadata, config: PipelineConfig, expectation: _Expectation
) -> None:
    """Refuse features that another config or other data made."""
    execution = metadata.latest_execution(config.name, expectation.node)
    if execution is None:
        raise UserError(
            f"No features are stored in {config.pipeline_folder!r}: no run reached "
            f"{expectation.node}. {_REMEDY}"
        )
    stored = property_of(execution, expectation.property)
    if _parsed(stored) != _parsed(expectation.value):
        raise UserError(
            f"The features stored in {config.pipeline_folder!r} do not match "
            f"{expectation.subject}. {_REMEDY}"
        )


def _parsed(text: str) -> object:
    """Return JSON as values, so that the order of keys does not count."""
    try:
        return json.loads(text)
    except ValueError:
        return text
