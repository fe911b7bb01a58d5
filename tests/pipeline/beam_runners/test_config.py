"""A runner has the settings that it needs, and mistakes are named."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from graft.pipeline.config import ConfigError, load_config

FLINK = ("beam.runner=flink", "beam.flink.master=localhost:8081")
DATAFLOW = (
    "beam.runner=dataflow",
    "beam.dataflow.project=my-project",
    "beam.dataflow.region=europe-west4",
    "beam.dataflow.temp_location=gs://bucket/tmp",
    "beam.dataflow.image=registry.example.org/graft:1",
)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["beam.runner=spark"], "'local', 'flink' or 'dataflow'. Received: 'spark'"),
        (["beam.runner=flink"], "`beam.flink.master` must name .* Received: None"),
        (FLINK, "either `job_server_jar`.* or `job_server`.* Received: neither"),
        (
            [*FLINK, "beam.flink.job_server=a:1", "beam.flink.job_server_jar=a"],
            "Received: both",
        ),
        (["beam.flink.master=http://flink:8081"], "must be HOST:PORT"),
        (["beam.flink.master=flink"], "must be HOST:PORT, .*Received: 'flink'"),
        (["beam.flink.parallelism=0"], "greater than or equal to 1. Received: 0"),
        (
            ["beam.runner=dataflow"],
            "`beam.dataflow.project`, `beam.dataflow.region`, .* must be set",
        ),
        ([*DATAFLOW, "beam.dataflow.temp_location=/tmp"], "Received: '/tmp'"),
        ([*DATAFLOW, "beam.dataflow.gpu=L4"], "`beam.dataflow.gpu`.*Received: 'L4'"),
    ],
)
def test_mistake_is_named(overrides: list[str], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(None, data="x", overrides=overrides)
    assert re.search(message, str(caught.value)), caught.value


def test_workers_get_absolute_paths(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/someone")
    config = load_config(
        None,
        data="photos",
        overrides=["features.cache=gs://bucket/x", "model.weights=~/weights"],
    ).with_absolute_paths()
    assert config.data.path == str(tmp_path / "photos")
    assert config.output == str(tmp_path / "graft_output")
    assert config.features.cache == "gs://bucket/x"
    assert config.model.weights == "/home/someone/weights"
    built_in = load_config(None, data="sklearn:digits", overrides=["output=/x"])
    assert built_in.with_absolute_paths() == built_in
