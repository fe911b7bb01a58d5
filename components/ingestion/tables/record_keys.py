"""Say which features of a tf.Example may be the image and the label."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from graft.components.ingestion.sources.config import DataConfig
from graft.components.ingestion.sources.labels import text_of_feature
from graft.components.ingestion.sources.layout_answers import (
    Option,
    settings_as_arguments,
)
from graft.contract.errors import DataError
from graft.contract.image_signatures import has_image_signature

_LABELS = (
    "image/class/text class/text class_name label_name label/text class label category "
    "target species image/class/label class/label label_id class_id y"
).split()


def require_keys(features: Mapping[str, Any], config: DataConfig, where: str) -> None:
    """Refuse a record without the features of the image and the label.

    Args:
        features: Key to feature.
        config: Names the keys.
        where: The record, for a message.

    Raises:
        DataError: One is missing. The message names the features that may be meant.
    """
    keys = (config.tfrecord_image_key, config.tfrecord_label_key)
    missing = [key for key in keys if key not in features]
    if not missing:
        return
    image, label = _image_key(features, keys[0]), _label_key(features, keys[1])
    if image is None:
        mend = (
            "None of them holds an encoded image (JPEG, PNG, GIF, BMP or WebP); raw "
            "pixels are not read. Write the bytes of an image file, and name the "
            "feature by `tfrecord_image_key`."
        )
    elif label is None:
        mend = (
            "None of them is called as labels are, and holds one: name it by "
            "`tfrecord_label_key`. If the file is of a test set without labels, leave "
            "it out, for instance by a pattern such as 'records/train-*'."
        )
    else:
        settings: dict[str, object] = {}
        if image != keys[0]:
            settings["tfrecord_image_key"] = image
        if label != keys[1]:
            settings["tfrecord_label_key"] = label
        arguments = settings_as_arguments(Option(settings, ""), "")
        mend = f"If they are the image and the label, set `{arguments}`."
    raise DataError(
        f"{where} has no feature {missing[0]!r}. Received: {sorted(features)}. {mend}"
    )


def _image_key(features: Mapping[str, Any], given: str) -> str | None:
    """Return the key of the first feature that holds one encoded image."""
    for key in sorted(features, key=lambda each: (each != given, each)):
        values = features[key].bytes_list.value
        if len(values) == 1 and has_image_signature(values[0]):
            return key
    return None


def _label_key(features: Mapping[str, Any], given: str) -> str | None:
    """Return the key of a feature that is called as labels are, and holds one."""
    for key in (given, *_LABELS):
        if key in features:
            try:
                text_of_feature(features[key])
            except ValueError:
                continue
            return key
    return None
