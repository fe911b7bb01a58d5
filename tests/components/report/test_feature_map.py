"""The map of the test images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from graft.components.evaluation.predictions import (
    Answers,
    EvaluatedImages,
    Predictions,
)
from graft.components.report import feature_map
from graft.components.report.feature_map import map_features, read_features
from graft.contract import example_keys


@pytest.fixture
def predictions() -> Predictions:
    """Sixty images of six classes, of which the last one is wrong."""
    truth = np.array([f"class{index % 6}" for index in range(60)])
    names = tuple(f"class{index}" for index in range(6))
    shares = np.eye(6, dtype=np.float32)[np.arange(60) % 6]
    shares[59] = np.eye(6)[0]
    hashes = np.array([f"{index:02d}" for index in range(60)])
    images = EvaluatedImages(truth, hashes, np.char.add(hashes, ".png"))
    return Predictions(images, Answers(names, shares))


def test_images_that_are_alike_lie_together(predictions: Predictions):
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(6, 32)) * 10
    values = centres[np.arange(60) % 6] + rng.normal(size=(60, 32))
    order = rng.permutation(60)  # features come in another order than predictions
    hashes = [f"{index:02d}" for index in order]
    found = map_features(hashes, values[order].astype(np.float32), predictions)
    assert found is not None
    places = {point.filename: np.array([point.x, point.y]) for point in found.points}
    assert len(places) == 60
    near = np.linalg.norm(places["00.png"] - places["06.png"])
    far = max(
        np.linalg.norm(places["00.png"] - places[f"0{other}.png"])
        for other in range(1, 6)
    )
    assert near < far / 3
    assert all(0 <= place.min() and place.max() <= 1 for place in places.values())
    assert 0 < found.explained <= 1
    assert found.class_names == ("class0", "class1", "class2", "class3")
    by_name = {point.filename: point for point in found.points}
    assert by_name["05.png"].colour is None
    assert by_name["03.png"].colour == 3
    assert [name for name, p in by_name.items() if not p.is_right] == ["59.png"]
    assert by_name["59.png"].has_picture  # a mistake goes first in its cell
    columns, rows = feature_map.PICTURE_CELLS
    assert 6 <= sum(p.has_picture for p in found.points) <= columns * rows


@pytest.mark.parametrize(
    "values",
    [
        np.ones((60, 8), np.float32),
        np.full((60, 8), np.nan, np.float32),
        np.ones((2, 8), np.float32),
        np.empty((0, 0), np.float32),
        np.arange(60, dtype=np.float32)[:, None],
    ],
    ids="equal nan two none one-number".split(),
)
def test_without_two_axes_there_is_no_map(predictions: Predictions, values):
    hashes = [f"{index:02d}" for index in range(len(values))]
    assert map_features(hashes, values, predictions) is None


def test_features_are_read_up_to_a_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    path = str(tmp_path / "features")
    with tf.io.TFRecordWriter(path) as writer:
        for index in range(5):
            example = tf.train.Example()
            feature = example.features.feature
            feature[example_keys.CONTENT_HASH_KEY].bytes_list.value.append(
                b"h%d" % index
            )
            feature[example_keys.FEATURES_KEY].float_list.value.extend([index, 1.0])
            writer.write(example.SerializeToString())
    hashes, values = read_features([path])
    assert hashes == ["h0", "h1", "h2", "h3", "h4"]
    assert values.tolist() == [[float(index), 1.0] for index in range(5)]
    monkeypatch.setattr(feature_map, "MOST_POINTS", 3)
    assert len(read_features([path])[0]) == 3
