"""Images are found by their content, each once, in the order of the records."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import tensorflow as tf
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from graft.components import pictures
from graft.components.pictures import find_images, wanted_images
from graft.contract import example_keys


def _hash(image: bytes) -> str:
    return hashlib.sha256(image).hexdigest()


def _write(path: Path, images: list[bytes]) -> str:
    with tf.io.TFRecordWriter(str(path)) as writer:
        for image in images:
            example = tf.train.Example()
            feature = example.features.feature
            feature[example_keys.CONTENT_HASH_KEY].bytes_list.value.append(
                _hash(image).encode()
            )
            feature[example_keys.IMAGE_KEY].bytes_list.value.append(image)
            feature["more"].float_list.value.extend([1.0, 2.0])
            writer.write(example.SerializeToString())
    return str(path)


_IMAGES = st.lists(st.integers(0, 20).map(lambda each: b"image %d" % each), max_size=50)


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    shards=st.lists(_IMAGES, min_size=1, max_size=3),
    wanted=st.sets(st.integers(0, 25).map(lambda each: b"image %d" % each)),
)
def test_each_wanted_image_is_found_once(
    tmp_path: Path, shards: list[list[bytes]], wanted: set[bytes]
) -> None:
    paths = [_write(tmp_path / str(i), images) for i, images in enumerate(shards)]
    found = list(wanted_images(paths, {_hash(image) for image in wanted}))
    all_images = dict.fromkeys(image for images in shards for image in images)
    assert found == [(_hash(image), image) for image in all_images if image in wanted]


def test_reading_ends_with_the_last_wanted_image(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pictures, "_RECORDS_AT_ONCE", 4)
    images = [b"image %d" % number for number in range(8)]
    path = Path(_write(tmp_path / "shard", images))
    # The rest of the file is no TFRecord.
    path.write_bytes(path.read_bytes()[:-9])
    assert find_images([str(path)], [_hash(images[2])]) == {_hash(images[2]): images[2]}
    assert find_images([str(path)], []) == {}
    with pytest.raises(tf.errors.DataLossError):
        find_images([str(path)], [_hash(images[7])])
