"""Records of features are read back, and raw examples have none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import tensorflow as tf

from graft.components.features.stored_features import read_features
from graft.contract import example_keys


def _write(path: Path, rows: dict[str, list[float]]) -> str:
    with tf.io.TFRecordWriter(str(path)) as writer:
        for key, values in rows.items():
            example = tf.train.Example()
            feature = example.features.feature
            feature[example_keys.CONTENT_HASH_KEY].bytes_list.value.append(key.encode())
            if values:
                feature[example_keys.FEATURES_KEY].float_list.value.extend(values)
            writer.write(example.SerializeToString())
    return str(path)


def test_all_rows_are_read_in_order(tmp_path):
    rows = {f"{number:064x}": [number, 0.5, -number] for number in range(600)}
    names = list(rows)
    files = [
        _write(tmp_path / "a", {name: rows[name] for name in names[:300]}),
        _write(tmp_path / "b", {name: rows[name] for name in names[300:]}),
    ]
    parts = list(read_features(files))
    assert [name for hashes, _ in parts for name in hashes] == names
    found = np.concatenate([values for _, values in parts])
    np.testing.assert_array_equal(found, np.array(list(rows.values()), np.float32))
    assert sum(len(hashes) for hashes, _ in read_features(files, 7)) == 7


def test_raw_examples_and_no_files_have_no_features(tmp_path):
    raw = _write(tmp_path / "raw", {"0" * 64: [], "1" * 64: []})
    assert list(read_features([raw])) == []
    assert list(read_features([])) == []
