"""ImageExampleGen as a node of a TFX pipeline."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from graft.components.ingestion.artifacts import ImageQuarantine
from graft.components.ingestion.component import ImageExampleGen
from graft.components.ingestion.sources.config import DataConfig
from graft.contract import split_names


def _run(root: Path, data: Path, fingerprint: str) -> None:
    from tfx.components import StatisticsGen
    from tfx.orchestration import metadata, pipeline
    from tfx.orchestration.local.local_dag_runner import LocalDagRunner

    gen = ImageExampleGen(DataConfig(path=str(data)), fingerprint)
    LocalDagRunner().run(
        pipeline.Pipeline(
            pipeline_name="ingestion",
            pipeline_root=str(root / "root"),
            components=[gen, StatisticsGen(examples=gen.outputs["metadata"])],
            enable_cache=True,
            metadata_connection_config=metadata.sqlite_metadata_connection_config(
                str(root / "metadata.sqlite")
            ),
        )
    )


def test_a_pipeline_runs_it_once_for_the_same_data(tmp_path: Path, photos: Path):
    """Two nodes, run three times: the second run is answered by the cache."""
    from ml_metadata import MetadataStore
    from tfx.orchestration import metadata
    from tfx.types import standard_artifacts

    for fingerprint in ("one", "one", "two"):
        _run(tmp_path, photos, fingerprint)

    store = MetadataStore(
        metadata.sqlite_metadata_connection_config(str(tmp_path / "metadata.sqlite"))
    )
    states = [
        execution.last_known_state
        for execution in store.get_executions()
        if store.get_execution_types_by_id([execution.type_id])[0].name.endswith(
            "ImageExampleGen"
        )
    ]
    complete, cached = 3, 5
    assert states == [complete, cached, complete]
    artifacts = store.get_artifacts_by_type(standard_artifacts.Examples.TYPE_NAME)
    assert len(artifacts) == 4  # whole examples and metadata, twice
    for artifact in artifacts:
        assert artifact.properties["split_names"].string_value == (
            '["train", "eval", "test"]'
        )
        properties = artifact.custom_properties
        assert properties["payload_format"].string_value == "FORMAT_TF_EXAMPLE"
        assert properties["span"].int_value == 0
        assert properties["input_fingerprint"].string_value in ("one", "two")
        assert sorted(os.listdir(artifact.uri)) == [
            f"Split-{split}" for split in sorted(split_names.SPLITS)
        ]
    (statistics, _) = store.get_artifacts_by_type("ExampleStatistics")
    assert os.path.isfile(Path(statistics.uri, "Split-train", "FeatureStats.pb"))
    (quarantine, _) = store.get_artifacts_by_type(ImageQuarantine.TYPE_NAME)
    assert sorted(os.listdir(quarantine.uri)) == [
        "duplicates.jsonl",
        "quarantine.jsonl",
        "summary.json",
    ]
    (schema, _) = store.get_artifacts_by_type("Schema")
    assert os.listdir(schema.uri) == ["schema.pbtxt"]


def test_the_artifacts_name_suits_kubeflow():
    """The compiler for Kubeflow Pipelines v2 requires this form of a custom type."""
    assert re.fullmatch(
        r"[a-z][a-z0-9-_]{2,20}[.][A-Z][a-zA-Z0-9-_]{2,49}", ImageQuarantine.TYPE_NAME
    )


def test_a_wrong_channel_is_refused():
    with pytest.raises(TypeError):
        ImageExampleGen("photos")  # type: ignore[call-arg, arg-type]
