"""A record without the keys of the config stops, and what it prints reads it."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf

from graft.components.ingestion.listing import list_images
from graft.contract.errors import DataError
from graft.pipeline.config import load_config


def _feature(value: Any) -> tf.train.Feature:
    if isinstance(value, int):
        return tf.train.Feature(int64_list=tf.train.Int64List(value=[value]))
    if isinstance(value, list):
        return tf.train.Feature(int64_list=tf.train.Int64List(value=value))
    return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))


def _write(path: Path, records: list[dict[str, Any]]) -> None:
    with tf.io.TFRecordWriter(str(path)) as writer:
        for record in records:
            features = {key: _feature(value) for key, value in record.items()}
            example = tf.train.Example(features=tf.train.Features(feature=features))
            writer.write(example.SerializeToString())


@pytest.mark.parametrize(
    ("keys", "labels"),
    [
        ({"image": "image", "label": "class"}, (0, 1)),
        ({"image": "img", "label": "label"}, (b"cat", b"dog")),
        ({"image": "image/encoded", "label": "image/class/label"}, (3, 4)),
        ({"image": "jpeg", "label": "image/class/text"}, (b"cat", b"dog")),
        ({"image": "on", "label": "category"}, (0, 1)),
    ],
)
def test_the_keys_that_are_printed_read_the_records(
    tmp_path: Path,
    make_image: Callable[..., bytes],
    keys: dict[str, str],
    labels: tuple[Any, Any],
) -> None:
    path = tmp_path / "a.tfrecord"
    _write(
        path,
        [
            {
                "id": b"x",
                "height": 5,
                keys["image"]: make_image(n),
                keys["label"]: label,
            }
            for n, label in enumerate(labels)
        ],
    )
    config = load_config(None, data=str(path)).data
    with pytest.raises(DataError, match=r"record 0 .*has no feature '") as stopped:
        list_images(config, str(tmp_path))
    words = shlex.split(re.findall(r"set `(.*)`\.", str(stopped.value))[0])
    overrides = [after for word, after in pairwise(words) if word == "--set"]
    config = load_config(None, data=str(path), overrides=overrides).data
    assert len(list_images(config, str(tmp_path)).refs) == 2


@pytest.mark.parametrize(
    ("record", "mend"),
    [
        ({"image": b"\0" * 784, "label": 1}, "raw pixels are not read"),
        ({"image": [0] * 784, "label": 1}, "raw pixels are not read"),
        ({"label": 1}, "None of them holds an encoded image"),
        ({"image": None, "id": b"x"}, "of a test set without labels, leave"),
        ({"image": None, "label": [0, 1]}, "None of them is called as labels are"),
    ],
)
def test_records_without_image_or_label_are_explained(
    tmp_path: Path,
    make_image: Callable[..., bytes],
    record: dict[str, Any],
    mend: str,
) -> None:
    path = tmp_path / "a.tfrecord"
    _write(path, [{k: make_image(1) if v is None else v for k, v in record.items()}])
    with pytest.raises(DataError) as stopped:
        list_images(load_config(None, data=str(path)).data, str(tmp_path))
    assert mend in str(stopped.value)
    assert "`--set" not in str(stopped.value)
