"""`graft tune` on features of a run, and what it refuses."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import yaml
from ml_metadata.metadata_store import MetadataStore
from ml_metadata.proto import metadata_store_pb2 as mlmd
from typer.testing import CliRunner, Result

from graft.components.ingestion.fingerprint import fingerprint
from graft.contract import example_keys
from graft.contract.errors import DataError, UserError
from graft.pipeline.cli import app
from graft.pipeline.config import PipelineConfig, load_config
from graft.pipeline.local.last_run import remember_run
from graft.pipeline.local.run_names import data_key

_WIDTH = 4


def _store_features(
    config: PipelineConfig, class_names: Sequence[str] = ("inner", "outer")
) -> None:
    """Write the metadata of a run, its label map, and features of two classes."""
    folder = Path(config.pipeline_folder)
    folder.mkdir(parents=True)
    store = _open(config)
    artifact_type = store.put_artifact_type(mlmd.ArtifactType(name="Examples"))
    uri = folder / "features"
    graph = folder / "graph"
    assets = graph / "transform_fn" / "assets"
    assets.mkdir(parents=True)
    (assets / example_keys.CLASS_NAMES_VOCABULARY).write_text("\n".join(class_names))
    for seed, split in enumerate(("train", "eval")):
        (uri / f"Split-{split}").mkdir(parents=True)
        _write(uri / f"Split-{split}" / "data", seed)
    examples = _put_execution(
        store,
        config,
        "ImageExampleGen",
        {"data_fingerprint": fingerprint(config.data)},
        {"examples": mlmd.Artifact(type_id=artifact_type, uri=str(folder / "1"))},
    )
    _put_execution(
        store,
        config,
        "BottleneckFeatures",
        {"model": config.model.model_dump_json(exclude={"head", "output"})},
        {"features": mlmd.Artifact(type_id=artifact_type, uri=str(uri))},
        {
            "examples": store.get_artifacts_by_id(examples)[0],
            "transform_graph": mlmd.Artifact(type_id=artifact_type, uri=str(graph)),
        },
    )


def _open(config: PipelineConfig) -> MetadataStore:
    connection = mlmd.ConnectionConfig()
    connection.sqlite.filename_uri = config.metadata_path
    connection.sqlite.connection_mode = 3
    return MetadataStore(connection)


def _put_execution(
    store: MetadataStore,
    config: PipelineConfig,
    node: str,
    properties: dict[str, str],
    outputs: dict[str, mlmd.Artifact],
    inputs: dict[str, mlmd.Artifact] | None = None,
) -> list[int]:
    """Store an execution, and return the IDs of its artifacts."""
    execution = mlmd.Execution(
        type_id=store.put_execution_type(mlmd.ExecutionType(name=node)),
        last_known_state=mlmd.Execution.COMPLETE,
    )
    for key, value in properties.items():
        execution.custom_properties[key].string_value = value
    pairs = []
    for kind, artifacts in (
        (mlmd.Event.INPUT, inputs or {}),
        (mlmd.Event.OUTPUT, outputs),
    ):
        for key, artifact in artifacts.items():
            event = mlmd.Event(type=kind)
            event.path.steps.add().key = key
            pairs.append((artifact, event))
    node_type = store.put_context_type(mlmd.ContextType(name="node"))
    context = mlmd.Context(type_id=node_type, name=f"{config.name}.{node}")
    _, artifact_ids, _ = store.put_execution(
        execution, pairs, [context], reuse_context_if_already_exist=True
    )
    return list(artifact_ids)


def _write(path: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for index in range(120):
            label = index % 2
            point = rng.normal(size=_WIDTH)
            point *= (1 + label + rng.normal() * 0.1) / np.linalg.norm(point)
            example = tf.train.Example()
            feature = example.features.feature
            feature[example_keys.FEATURES_KEY].float_list.value.extend(point)
            feature[example_keys.LABEL_KEY].int64_list.value.append(label)
            writer.write(example.SerializeToString())


@pytest.fixture
def config_path(tmp_path: Path) -> Path:
    values = {
        "name": "rings",
        "output": str(tmp_path / "out"),
        "data": {"path": "sklearn:digits"},
        "training": {"epochs": 8},
    }
    path = tmp_path / "rings.yaml"
    path.write_text(yaml.safe_dump(values))
    return path


def _tune(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["tune", *arguments])


@pytest.mark.timeout(600)
def test_best_config_and_table_and_going_on(config_path: Path) -> None:
    config = load_config(config_path)
    _store_features(config)
    first = _tune(str(config_path), "--trials", "4", "--seed", "1")
    assert first.exit_code == 0, first.output
    assert "The config as it is: accuracy 0." in first.output
    second = _tune(str(config_path), "--trials", "7", "--seed", "1")
    assert second.exit_code == 0, second.output
    assert "Going on with 4 trials" in second.output
    folder = Path(config.pipeline_folder) / "tuning"
    with (folder / "trials.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 7
    # A linear head can't separate rings, so some trial must beat the config's.
    best = load_config(folder / "best.yaml")
    assert best.model.head
    assert best.data == config.data
    assert best.output == config.output
    losses = [float(row["eval_loss"]) for row in rows if row["eval_loss"]]
    text = (folder / "best.yaml").read_text()
    assert f"log-loss {min(losses):.4f}" in text.partition("before:")[0]


def test_the_number_of_classes_is_that_of_the_label_map(config_path: Path) -> None:
    # The greatest label is 1, but the label map has three classes. The Trainer refuses
    # these features, too.
    _store_features(load_config(config_path), ("inner", "outer", "outside"))
    result = _tune(str(config_path), "--trials", "1")
    assert isinstance(result.exception, DataError), result.output
    assert "none of the classes [2]" in str(result.exception)


def _change_model(config_path: Path) -> list[str]:
    _store_features(load_config(config_path))
    return ["--set", "model.preset=efficientnet_lite1"]


def _lose_features(config_path: Path) -> list[str]:
    config = load_config(config_path)
    _store_features(config)
    folder = Path(config.pipeline_folder)
    (folder / "features").rename(folder / "moved")
    return []


def _stop_before_features(config_path: Path) -> list[str]:
    """A run that read new data, and stopped before it computed features."""
    config = load_config(config_path)
    _store_features(config)
    store = _open(config)
    kind = store.get_artifact_type("Examples").id
    folder = Path(config.pipeline_folder) / "2"
    _put_execution(
        store,
        config,
        "ImageExampleGen",
        {"data_fingerprint": fingerprint(config.data)},
        {"examples": mlmd.Artifact(type_id=kind, uri=str(folder))},
    )
    return []


_BAD: dict[str, tuple[Callable[[Path], list[str]], str]] = {
    "no run yet": (lambda path: [], "No features are stored.*`graft run`"),
    "another backbone": (
        _change_model,
        "do not match the config's `model`",
    ),
    "a run stopped": (
        _stop_before_features,
        "stopped before BottleneckFeatures.*`graft run`",
    ),
    "features gone": (_lose_features, "were removed.*`graft run`"),
    "backbone in the loop": (
        lambda path: ["--set", "training.strategy=frozen"],
        "`training.strategy` must be one of.*'frozen'",
    ),
}


@pytest.mark.parametrize(("prepare", "message"), _BAD.values(), ids=_BAD)
def test_refusals(
    prepare: Callable[[Path], list[str]], message: str, config_path: Path
) -> None:
    arguments = prepare(config_path)
    result = _tune(str(config_path), *arguments)
    assert result.exit_code != 0
    with pytest.raises(UserError, match=message):
        raise result.exception or AssertionError("nothing was refused")


def test_other_data_are_refused(config_path: Path, tmp_path: Path) -> None:
    from PIL import Image

    _store_features(load_config(config_path))
    for name in ("cat", "dog"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        Image.new("RGB", (8, 8)).save(tmp_path / "photos" / name / "1.png")
    result = _tune(str(config_path), "--data", str(tmp_path / "photos"))
    assert isinstance(result.exception, UserError)
    assert "do not match the data" in str(result.exception)


@pytest.mark.timeout(600)
def test_features_of_a_run_with_label_fixes_need_the_same_ones(
    config_path: Path, tmp_path: Path
) -> None:
    names = []
    for name in ("b.csv", "a.csv"):
        names.append(str(tmp_path / name))
        (tmp_path / name).write_text(f"path,new_label\n{name}.png,1\n")
    config = load_config(config_path)
    _store_features(config.with_label_fixes(names))
    data = data_key(config.data.path)
    remember_run(config.pipeline_folder, model="m", data=data, label_fixes=names)
    result = _tune(str(config_path))
    assert isinstance(result.exception, UserError)
    assert f"To keep them: --labels {names[0]} --labels {names[1]}" in result.stderr
    options = [word for name in reversed(names) for word in ("--labels", name)]
    assert _tune(str(config_path), "--trials", "1", *options).exit_code == 0
