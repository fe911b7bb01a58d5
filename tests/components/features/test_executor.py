"""The node as TFX runs it: artifacts in; features and their counts out."""

from __future__ import annotations

import logging
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from tfx.types import standard_artifacts

from graft.components.features.component import BottleneckFeatures
from graft.components.features.feature_records import Records, labels_of
from graft.contract import example_keys, split_names
from graft.contract.errors import DataError
from graft.contract.label_map import LabelMap
from graft.storage.content_store.references import read_reference
from graft.storage.content_store.store_upkeep import pinned
from graft.storage.files import files_below
from graft.trainer.config import ModelConfig
from graft.trainer.loops.feature_reader import read_batches
from graft.trainer.preprocessing.spec import PreprocessingSpec


@pytest.fixture
def run(tmp_path, make_pictures, write_shard):
    """Run the node on 16 pictures of each split: `run(store)`."""
    artifacts = {key: standard_artifacts.Examples() for key in ("examples", "metadata")}
    for key, artifact in artifacts.items():
        artifact.uri = str(tmp_path / key)
        artifact.split_names = '["train", "eval", "test"]'
    for number, split in enumerate(split_names.SPLITS):
        shard = write_shard(make_pictures(4, 10 * number))
        for key, source in (("examples", shard.images), ("metadata", shard.metadata)):
            folder = tmp_path / key / f"Split-{split}"
            folder.mkdir(parents=True)
            shutil.copy(source, folder / "data_tfrecord-00000-of-00001")
    graph = standard_artifacts.TransformGraph()
    graph.uri = str(tmp_path / "graph")
    assets = tmp_path / "graph" / "transform_fn" / "assets"
    assets.mkdir(parents=True)
    (assets / example_keys.CLASS_NAMES_VOCABULARY).write_text(
        "bars\nchecks\nrays\nrows\n"
    )

    def run_node(store: str, *, copy: bool = False) -> standard_artifacts.Examples:
        output = standard_artifacts.Examples()
        output.uri = str(tmp_path / "output")
        shutil.rmtree(output.uri, ignore_errors=True)
        # As TFX calls it, with a pipeline of its own making.
        BottleneckFeatures.EXECUTOR_SPEC.executor_class().Do(
            {
                "examples": [artifacts["examples"]],
                "metadata": [artifacts["metadata"]],
                "transform_graph": [graph],
            },
            {"features": [output]},
            {
                "model": ModelConfig(image_size=64).model_dump_json(),
                "preprocessing": PreprocessingSpec(
                    height=64, width=64, scaling="lite"
                ).to_json(),
                "engine": "auto",
                "precision": "float32",
                "cache_dir": store,
                "copy_into_artifact": copy,
            },
        )
        return output

    return run_node


def _told(output: standard_artifacts.Examples) -> tuple[int, int, int]:
    return tuple(
        output.get_int_custom_property(name)
        for name in ("from_store", "computed", "damaged_files")
    )


def test_what_was_computed_is_told_and_damage_too(run, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    store = tmp_path / "store"
    output = run(str(store))
    assert _told(output) == (0, 48, 0)
    engine = output.get_string_custom_property("engine")
    assert engine in ("openvino-float32", "tensorflow-float32")
    message = f"Features of 0 images came from the store, 48 were computed by {engine}."
    assert message in caplog.text
    assert sorted(os.listdir(output.uri)) == [
        "Split-eval",
        "Split-test",
        "Split-train",
        "store.json",
    ]

    assert _told(run(str(store))) == (48, 0, 0)

    victim = next(store.glob("*/*.arrow"))
    victim.write_bytes(victim.read_bytes()[:-100])
    assert _told(run(str(store))) == (32, 16, 1)
    assert "1 damaged files in the store" in caplog.text


def test_the_artifact_refers_to_the_store_and_reads_as_a_copy(run, tmp_path):
    store = str(tmp_path / "store")
    found = {}
    for copy in (True, False):
        output = run(store, copy=copy)
        shards = [path for path in files_below(output.uri) if "Split-" in path]
        batches = list(read_batches(shards, 10))
        found[copy] = (
            np.concatenate([each.values for each in batches]),
            [key for each in batches for key in each.content_hashes],
            np.concatenate([each.labels for each in batches]).tolist(),
            sum(Path(shard).stat().st_size for shard in shards),
            (read_reference(output.uri) is None, bool(pinned(store))),
        )
    np.testing.assert_array_equal(found[True][0], found[False][0])
    assert found[True][1:3] == found[False][1:3]
    assert found[False][3] < found[True][3] / 10
    assert [found[True][4], found[False][4]] == [(True, False), (False, True)]


def test_without_a_store_nothing_is_left_beside_the_features(run):
    output = run("")
    assert _told(output) == (0, 48, 0)
    assert sorted(path.name for path in Path(output.uri).iterdir()) == [
        "Split-eval",
        "Split-test",
        "Split-train",
    ]


def test_only_the_test_split_may_have_a_class_of_its_own():
    names = [b"cat", b"emu"]
    records = Records(keys=[], filenames=[], class_names=names)
    assert labels_of(records, LabelMap(("cat",)), may_be_unknown=True).tolist() == [
        0,
        -1,
    ]
    with pytest.raises(DataError, match="'emu' has images to evaluate"):
        labels_of(records, LabelMap(("cat",)))
