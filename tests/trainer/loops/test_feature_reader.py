"""Records of features are read as they are, or refused by file and record."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from graft.components.features.feature_records import Records, write_features
from graft.components.features.stored_features import read_features
from graft.contract import example_keys
from graft.contract.errors import DamagedFileError, DataError
from graft.storage.content_store.references import refer
from graft.storage.content_store.store import ContentStore
from graft.trainer.loops.feature_reader import read_batches, stored_files
from graft.trainer.loops.feature_source import FeatureSource


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
        FeatureSource.of(paths).load_within(np.inf)


def test_records_without_features_are_no_features_to_train_on(tmp_path: Path) -> None:
    path = write(tmp_path / "a", [[], []])
    (batch,) = read_batches([path], 5)
    assert batch.values.shape == (2, 0)
    with pytest.raises(DataError, match="Received: 0 numbers a record"):
        FeatureSource.of([path]).load_within(np.inf)


KEYS = [hashlib.sha256(bytes([number])).digest() for number in range(7)]
VALUES = np.random.default_rng(0).normal(size=(7, 3)).astype(np.float32)


def write_artifact(folder: Path, *, as_references: bool) -> tuple[Path, list[str]]:
    """Write two shards as BottleneckFeatures does; return the store and the shards."""
    store = ContentStore(str(folder / "store"), {"engine": "a"}).open()
    for part in (slice(4), slice(4, None)):
        if KEYS[part][0] not in store:
            store.put(KEYS[part], VALUES[part])
    artifact = folder / ("references" if as_references else "copies")
    shards = []
    for number, part in enumerate((slice(0, 7, 2), slice(1, 7, 2))):
        shards.append(str(artifact / "Split-train" / f"data-{number}"))
        texts = [b"x"] * len(KEYS[part])
        write_features(
            shards[-1],
            Records(KEYS[part], texts, texts),
            np.arange(7)[part],
            store,
            as_references=as_references,
        )
    if as_references:
        refer(str(artifact), store.folder, stored_files(shards))
    return Path(store.namespace_folder), shards


@pytest.mark.parametrize("shuffle", [None, (1, 2)])
@pytest.mark.parametrize("batch_size", [1, 2, 100])
def test_references_give_the_bits_of_a_copy(
    tmp_path: Path, batch_size: int, shuffle: tuple[int, ...] | None
) -> None:
    found = []
    for as_references in (False, True):
        _, shards = write_artifact(tmp_path, as_references=as_references)
        source = FeatureSource.of([f"{Path(shards[0]).parent}/*"])
        found.append(list(source.batches(batch_size, shuffle)))
    for copied, referred in zip(*found, strict=True):
        for one, other in zip(copied, referred, strict=True):
            assert one.dtype == other.dtype
            np.testing.assert_array_equal(one, other)
    order = [label for _, labels in found[1] for label in labels]
    assert (order == [0, 2, 4, 6, 1, 3, 5]) == (shuffle is None)
    np.testing.assert_array_equal(
        np.concatenate([values for values, _ in found[1]]), VALUES[order]
    )


def test_missing_features_are_counted_and_nothing_is_left_out(tmp_path: Path) -> None:
    store, shards = write_artifact(tmp_path, as_references=True)
    for path in store.glob("*.arrow"):
        if VALUES[5].tobytes() in path.read_bytes():
            path.unlink()
    with pytest.raises(DataError, match=r"lacks the features of 3 images of 7, which"):
        FeatureSource.of(shards).load_within(np.inf)
    with pytest.raises(DataError, match=r"features\.copy_into_artifact: true"):
        list(read_features(shards))
    shutil.rmtree(store)
    with pytest.raises(DataError, match=r"lacks the features of 7 images of 7, which"):
        FeatureSource.of(shards).load_within(np.inf)
    Path(shards[0]).parents[1].joinpath("store.json").unlink()
    with pytest.raises(DataError, match=r"refer to a store, and store\.json is miss"):
        FeatureSource.of(shards).load_within(np.inf)


def test_a_damaged_reference_is_named(tmp_path: Path) -> None:
    _, shards = write_artifact(tmp_path, as_references=True)
    for text in ("[]", "{", '{"folder": 3}'):
        Path(shards[0]).parents[1].joinpath("store.json").write_text(text)
        with pytest.raises(DamagedFileError, match=r"store\.json' is damaged"):
            FeatureSource.of(shards).load_within(np.inf)
