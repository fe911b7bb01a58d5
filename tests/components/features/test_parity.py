"""The exported model agrees with the features that its head was trained on."""

from __future__ import annotations

import tarfile
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
import tensorflow_transform as tft

from graft.contract import signature_names
from graft.trainer.backbones.backbone import build_backbone
from graft.trainer.config import ModelConfig
from graft.trainer.export.saved_model import ServingModel, export_model
from graft.trainer.heads.head import build_head
from graft.trainer.heads.objective import probabilities
from graft.trainer.preprocessing.spec import PreprocessingSpec

NAMES = ("cat", "dog")


def test_the_export_answers_as_the_head_does_on_stored_features(
    real_data, make_extraction, write_shard, extract, make_picture, analyse, tmp_path
):
    """Compare features from store and OpenVINO with those in the exported model."""
    pictures = [
        make_picture(path, name, content)
        for path, name, content in _photographs(real_data / "cats_vs_dogs.tar", 12)
    ]
    model = ModelConfig()
    spec = PreprocessingSpec(height=224, width=224, scaling="lite")
    extraction = make_extraction(model=model, spec=spec, class_names=NAMES)
    extracted = extract(extraction, write_shard(pictures))
    assert extracted.num_computed == len(pictures)
    stored = np.stack([extracted.values[each.filename] for each in pictures])

    keras.utils.set_random_seed(0)
    backbone = build_backbone(model)
    head = build_head(model, backbone.output_shape[1:], len(NAMES))
    images = [each.encoded for each in pictures]
    folder = analyse(images, [each.class_name for each in pictures], spec)
    export_model(
        ServingModel(
            transform=tft.TFTransformOutput(folder).transform_features_layer(),
            backbone=backbone,
            head=head,
            class_names=NAMES,
        ),
        str(tmp_path / "model"),
    )
    expected = np.asarray(probabilities(head(stored)))
    assert expected.std(0).min() > 0.01  # the photographs differ
    signature = tf.saved_model.load(str(tmp_path / "model")).signatures[
        signature_names.IMAGES_SIGNATURE
    ]
    answers = signature(**{signature_names.IMAGES_INPUT: tf.constant(images)})
    np.testing.assert_allclose(answers["probabilities"], expected, atol=1e-4)


def _photographs(archive: Path, per_class: int) -> list[tuple[str, str, bytes]]:
    found: dict[str, list[tuple[str, str, bytes]]] = {name: [] for name in NAMES}
    with tarfile.open(archive) as file:
        for member in file:
            name = Path(member.name).parent.name
            content = file.extractfile(member) if name in found else None
            if content is not None and len(found[name]) < per_class:
                found[name].append((member.name, name, content.read()))
    return [row for rows in found.values() for row in rows]
