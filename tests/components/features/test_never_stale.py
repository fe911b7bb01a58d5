"""After a change of each part of the key, features are new and the accuracy holds.

The head is a nearest class mean. It has nothing to tune, so wrong features are noticed.
"""

from __future__ import annotations

import shutil
from dataclasses import replace

import keras
import numpy as np
import pytest
import tensorflow as tf

from graft.trainer.backbones.backbone import build_backbone
from graft.trainer.backbones.feature_engine import TensorFlowEngine
from graft.trainer.config import ModelConfig
from graft.trainer.preprocessing import image_preprocessing
from graft.trainer.preprocessing.image_preprocessing import preprocess_images
from graft.trainer.preprocessing.spec import PreprocessingSpec

SIZE = 64
MODEL = ModelConfig(image_size=SIZE)
SPEC = PreprocessingSpec(height=SIZE, width=SIZE, scaling="lite")
RELATIVE = 1e-4
PER_CLASS = 8
ENOUGH = 0.9
LAST_LAYER = "top_activation"


def _fresh(model: ModelConfig, spec: PreprocessingSpec, pictures) -> np.ndarray:
    """Compute features as the exported model does: no store, no Beam, TensorFlow."""
    pixels = preprocess_images(tf.constant([each.encoded for each in pictures]), spec)
    (values,) = TensorFlowEngine(build_backbone(model)).run([pixels.numpy()])
    return values.reshape(len(pictures), -1)


def _accuracy(train: np.ndarray, labels, test: np.ndarray, test_labels) -> float:
    labels = np.asarray(labels)
    if train.shape[1] != test.shape[1]:
        return 0.0
    means = np.stack([train[labels == label].mean(0) for label in np.unique(labels)])
    distances = ((test[:, None] - means) ** 2).sum(-1)
    return float((distances.argmin(1) == np.asarray(test_labels)).mean())


@pytest.fixture
def weights_file(tmp_path):
    """Write the preset's weights, the last channels shuffled, under one path.

    The features are as good as before, in another order: old ones are worth nothing.
    """

    def write(seed: int) -> str:
        backbone = build_backbone(ModelConfig(image_size=SIZE, cut=LAST_LAYER))
        num_channels = backbone.output_shape[-1]
        order = np.random.default_rng(seed).permutation(num_channels)
        for variable in backbone.weights:
            if variable.shape[-1] == num_channels:
                variable.assign(keras.ops.take(variable, order, axis=-1))
        path = str(tmp_path / "own.weights.h5")
        backbone.save_weights(path)
        return path

    return write


@pytest.fixture
def change_graph(monkeypatch):
    """Change only the code of preprocessing, not the config."""

    def change() -> None:
        original = image_preprocessing.normalise_pixels
        changed = lambda pixels, scaling: -original(pixels, scaling)  # noqa: E731
        monkeypatch.setattr(image_preprocessing, "normalise_pixels", changed)
        monkeypatch.setattr(
            "graft.components.features.image_batches.normalise_pixels", changed
        )

    return change


CHANGES = {
    "the spec of preprocessing": {"spec": replace(SPEC, scaling="caffe")},
    "the graph of preprocessing": {"graph": True},
    "the bytes of the weights": {"weights": True},
    "the cut": {"model": ModelConfig(image_size=SIZE, cut=LAST_LAYER)},
    "the pooling": {"model": ModelConfig(image_size=SIZE, pooling="max")},
    "the engine": {"engine": "tensorflow"},
    "the precision": {"precision": "bfloat16"},
}


@pytest.mark.parametrize("what", CHANGES)
def test_a_changed_part_gives_its_own_features_and_the_accuracy_holds(
    what,
    make_pictures,
    write_shard,
    make_extraction,
    extract,
    stored_once,
    weights_file,
    change_graph,
    tmp_path,
):
    change = dict(CHANGES[what])
    pictures, unseen = make_pictures(PER_CLASS), make_pictures(PER_CLASS, 100)
    shard, model = write_shard(pictures), MODEL
    shutil.copytree(stored_once, tmp_path / "store")
    stale = None
    if change.pop("weights", False):
        path = weights_file(1)
        model = ModelConfig(image_size=SIZE, cut=LAST_LAYER, weights=path)
        stale = extract(make_extraction(model=model), shard)
        assert weights_file(2) == path  # the same path, other bytes
    else:
        assert extract(make_extraction(), shard).num_computed == 0
    if change.pop("graph", False):
        change_graph()
    model, spec = change.pop("model", model), change.pop("spec", SPEC)
    after = extract(make_extraction(model=model, spec=spec, **change), shard)

    assert after.num_computed == len(pictures)
    fresh = _fresh(model, spec, [*pictures, *unseen])
    expected, test = fresh[: len(pictures)], fresh[len(pictures) :]
    values = np.stack([after.values[each.filename] for each in pictures])
    if what != "the precision":
        scale = np.abs(expected).max()
        np.testing.assert_allclose(values, expected, atol=RELATIVE * scale)
    labels = [after.labels[each.filename] for each in pictures]
    assert _accuracy(values, labels, test, labels) >= ENOUGH
    if stale is not None:
        # The old features give a lower accuracy, so this test can fail.
        values = np.stack([stale.values[each.filename] for each in pictures])
        assert _accuracy(values, labels, test, labels) < ENOUGH


def test_a_file_with_new_bytes_and_its_old_name_is_computed_anew(
    make_pictures, write_shard, make_extraction, extract, stored_once, tmp_path
):
    pictures, unseen = make_pictures(PER_CLASS), make_pictures(PER_CLASS, 100)
    shutil.copytree(stored_once, tmp_path / "store")
    extraction = make_extraction()
    # The same names and labels, each with the picture of another class behind it.
    moved = pictures[PER_CLASS:] + pictures[:PER_CLASS]
    fresh = make_pictures(PER_CLASS, 50)
    redrawn = [
        replace(old, encoded=new.encoded)
        for old, new in zip(
            pictures, fresh[PER_CLASS:] + fresh[:PER_CLASS], strict=True
        )
    ]
    after = extract(extraction, write_shard(redrawn))
    assert after.num_computed == len(redrawn)
    labels = [after.labels[each.filename] for each in redrawn]
    values = np.stack([after.values[each.filename] for each in redrawn])
    expected = _fresh(MODEL, SPEC, redrawn)
    np.testing.assert_allclose(values, expected, atol=RELATIVE * expected.max())
    turned = [
        labels[[m.class_name for m in moved].index(each.class_name)] for each in unseen
    ]
    test = _fresh(MODEL, SPEC, unseen)
    assert _accuracy(values, labels, test, turned) >= ENOUGH
