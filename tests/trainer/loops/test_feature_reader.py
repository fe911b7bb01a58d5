"""Records of features are read as they are, or refused by file and record."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from graft.components.features.stored_features import read_features
from graft.contract import example_keys
from graft.contract.errors import DataError
from graft.trainer.loops.feature_reader import read_batches
from graft.trainer.loops.input_fn import load_features


def write(path: Path, rows: Sequence[Sequence[float]]) -> str:
    with tf.io.TFRecordWriter(str(path)) as writer:
        for index, row in enumerate(rows):
            example = tf.train.Example()
            feature = example.features.feature
            feature[example_keys.CONTENT_HASH_KEY].bytes_list.value.append(b"h")
            feature[example_keys.LABEL_KEY].int64_list.value.append(index)
            if row:
                feature[example_keys.FEATURES_KEY].float_list.value.extend(row)
            writer.write(example.SerializeToString())
    return str(path)


def test_batches_keep_the_order(tmp_path: Path) -> None:
    paths = [
        write(tmp_path / "a", [[1, 2], [3, 4], [5, 6]]),
        write(tmp_path / "b", [[7, 8]]),
    ]
    batches = list(read_batches(paths, 3))
    assert [len(each.labels) for each in batches] == [3, 1]
    values = np.concatenate([each.values for each in batches])
    np.testing.assert_array_equal(values, np.arange(1, 9).reshape(4, 2))
    assert np.concatenate([each.labels for each in batches]).tolist() == [0, 1, 2, 0]


@pytest.mark.parametrize("row", [[7.0], [7.0, 8.0, 9.0], []], ids=["few", "many", "no"])
@pytest.mark.parametrize("batch_size", [1, 2, 100])
def test_a_record_with_another_number_of_features_is_named(
    tmp_path: Path, row: list[float], batch_size: int
) -> None:
    paths = [
        write(tmp_path / "a", [[1, 2], [3, 4], [5, 6]]),
        write(tmp_path / "b", [[1, 2], row]),
    ]
    message = rf"Received: {len(row)} in record 1 of '{tmp_path}/b', 2 in record 0 of"
    with pytest.raises(DataError, match=message):
        list(read_batches(paths, batch_size))
    with pytest.raises(DataError, match=message):
        list(read_features(paths))
    with pytest.raises(DataError, match=message):
        load_features(paths)


def test_records_without_features_are_no_features_to_train_on(tmp_path: Path) -> None:
    path = write(tmp_path / "a", [[], []])
    (batch,) = read_batches([path], 5)
    assert batch.values.shape == (2, 0)
    with pytest.raises(DataError, match="Received: 0 numbers a record"):
        load_features([path])
