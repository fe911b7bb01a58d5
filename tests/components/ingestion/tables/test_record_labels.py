"""A TFRecord's label is one name or one index, the same kind in all records."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf

from graft.components.ingestion.fingerprint import fingerprint
from graft.components.ingestion.listing import list_images
from graft.components.ingestion.sources.config import DataConfig
from graft.contract.errors import DataError
from graft.contract.example_keys import (
    CLASS_NAME_KEY,
    FILENAME_KEY,
    IMAGE_KEY,
    LABEL_KEY,
    SOURCE_KEY,
)


def feature_of(values: list[Any]) -> tf.train.Feature:
    """Return a feature whose kind is that of the values; none for no values."""
    if not values:
        return tf.train.Feature()
    if isinstance(values[0], int):
        return tf.train.Feature(int64_list=tf.train.Int64List(value=values))
    if isinstance(values[0], float):
        return tf.train.Feature(float_list=tf.train.FloatList(value=values))
    encoded = [v.encode() if isinstance(v, str) else v for v in values]
    return tf.train.Feature(bytes_list=tf.train.BytesList(value=encoded))


def write_records(path: Path, records: list[dict[str, list[Any]]]) -> Path:
    """Write tf.Examples, each with an image of its own."""
    with tf.io.TFRecordWriter(str(path)) as writer:
        for number, values in enumerate(records):
            features = {IMAGE_KEY: [b"image %d" % number], **values}
            example = tf.train.Example(
                features=tf.train.Features(
                    feature={key: feature_of(v) for key, v in features.items()}
                )
            )
            writer.write(example.SerializeToString())
    return path


def labels_of(path: Path, key: str = CLASS_NAME_KEY) -> list[str]:
    config = DataConfig(path=str(path), tfrecord_label_key=key)
    return [ref.class_name for ref in list_images(config, str(path.parent)).refs]


BAD = {
    "one-hot": ([["cat"], [0, 1, 0]], r"record 1 .*has 3 values.*index of the 1"),
    "several": ([["dog", "cat"]], r'record 0 .*has 2 values.*Received: \["dog", "cat"'),
    "none": ([["cat"], []], r"record 1 .*has 0 values.*Received: \[\]"),
    "float": ([[1.0]], r"record 0 .*is a float.*Received: \[1.0\]"),
    "NaN": ([[float("nan")]], r"is a float.*Received: \[NaN\]"),
    "negative": ([[-1]], r"is a negative number"),
    "blank": ([[""]], r"record 0 .*is blank"),
    "no UTF-8": ([[b"\xe9t\xe9"]], r"is not UTF-8 text.*Received: \[.\\\\xe9t"),
    "control character": ([["a\nb"]], r"record 0 .*control character"),
    "kinds": (
        [["cat"], ["dog"], [2]],
        r"all be names.*number 2 \(.*record 2 .*name 'cat' \(.*record 0 ",
    ),
}


@pytest.mark.parametrize(("labels", "message"), BAD.values(), ids=BAD)
def test_bad_labels(tmp_path: Path, labels: list[list[Any]], message: str) -> None:
    records = [{CLASS_NAME_KEY: values} for values in labels]
    path = write_records(tmp_path / "a.tfrecord", records)
    with pytest.raises(DataError, match=message):
        labels_of(path)


def test_kinds_of_two_files(tmp_path: Path) -> None:
    write_records(tmp_path / "a.tfrecord", [{CLASS_NAME_KEY: [1]}])
    write_records(tmp_path / "b.tfrecord", [{CLASS_NAME_KEY: ["cat"]}])
    with pytest.raises(DataError, match=r"number 1 \(.*a.tfrecord.*'cat' \(.*b.tfrec"):
        labels_of(tmp_path)


def test_names_and_indices(tmp_path: Path) -> None:
    records = [{CLASS_NAME_KEY: [name]} for name in ("👩‍🔬", "7", "a/b, c ")]
    assert labels_of(write_records(tmp_path / "a.tfrecord", records)) == [
        "👩‍🔬", "7", "a/b, c"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("pairs", "key", "message"),
    [
        ([("cat", 0), ("dog", 1), ("cat", 0)], CLASS_NAME_KEY, None),
        (
            [("cat", 0), ("dog", 1), ("cat", 1)],
            CLASS_NAME_KEY,
            r"'cat' with \[1\], but",
        ),
        ([("cat", 0), ("dog", 0)], CLASS_NAME_KEY, r"'dog' with \[0\], but 'cat'"),
        ([("crane", 134), ("crane", 517)], CLASS_NAME_KEY, "record 1 .* disagree"),
        ([("crane", 134), ("crane", 517)], LABEL_KEY, None),
        ([("cat", 0), ("dog", 0)], LABEL_KEY, r"'0' with \[\"dog\"\], but '0' with"),
        ([("cat", -1), ("dog", -1)], CLASS_NAME_KEY, None),
    ],
)
def test_name_and_index_agree(
    tmp_path: Path, pairs: list[tuple[str, int]], key: str, message: str | None
) -> None:
    records = [{CLASS_NAME_KEY: [name], LABEL_KEY: [label]} for name, label in pairs]
    path = write_records(tmp_path / "a.tfrecord", records)
    if message is None:
        place = 0 if key == CLASS_NAME_KEY else 1
        assert labels_of(path, key) == [str(pair[place]) for pair in pairs]
    else:
        with pytest.raises(DataError, match=message):
            labels_of(path, key)


def test_several_images_in_one_record(tmp_path: Path) -> None:
    record = {CLASS_NAME_KEY: ["cat"], IMAGE_KEY: [b"a", b"b"]}
    path = write_records(tmp_path / "a.tfrecord", [record])
    with pytest.raises(DataError, match=r"record 0 .*'image/encoded' has 2 values"):
        labels_of(path)


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
def test_a_damaged_label_is_noticed(
    tmp_path: Path, packed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = [{CLASS_NAME_KEY: ["cat"]}, {CLASS_NAME_KEY: ["dog"]}]
    path = write_records(tmp_path / "a.tfrecord", records)
    content = path.read_bytes().replace(b"dog", b"fog")
    compress: Callable[[bytes], bytes] = gzip.compress if packed else bytes
    path.write_bytes(compress(content))
    with pytest.raises(DataError, match=r"is damaged: the record at byte .* checksum"):
        labels_of(path)


def test_a_label_key_of_ones_own_has_no_partner(tmp_path: Path) -> None:
    records = [
        {"my/label": ["cat"], LABEL_KEY: [0], CLASS_NAME_KEY: ["x"]},
        {"my/label": ["cat"], LABEL_KEY: [1], CLASS_NAME_KEY: ["y"]},
    ]
    path = write_records(tmp_path / "a.tfrecord", records)
    assert labels_of(path, "my/label") == ["cat", "cat"]


def test_a_partner_without_a_value_contradicts_nothing(tmp_path: Path) -> None:
    records = [
        {CLASS_NAME_KEY: ["cat"], LABEL_KEY: []},
        {CLASS_NAME_KEY: ["cat"], LABEL_KEY: [1]},
        {CLASS_NAME_KEY: ["dog"], LABEL_KEY: []},
    ]
    assert labels_of(write_records(tmp_path / "a.tfrecord", records)) == [
        *("cat", "cat", "dog")
    ]


def test_what_else_a_record_says_may_be_missing(tmp_path: Path) -> None:
    records: list[dict[str, list[Any]]] = [
        {CLASS_NAME_KEY: ["cat"], FILENAME_KEY: [], SOURCE_KEY: []},
        {CLASS_NAME_KEY: ["cat"], FILENAME_KEY: ["1.jpg"], SOURCE_KEY: ["studio"]},
        {CLASS_NAME_KEY: ["dog"], IMAGE_KEY: []},
    ]
    path = write_records(tmp_path / "a.tfrecord", records)
    refs = list_images(DataConfig(path=str(path)), str(tmp_path)).refs
    assert [(ref.name, ref.source, ref.size) for ref in refs] == [
        ("a.tfrecord:0", "a.tfrecord", 7),
        ("1.jpg", "studio", 7),
        ("a.tfrecord:2", "a.tfrecord", 0),
    ]


@pytest.mark.parametrize("cut", [1, 3, 6, 30])
def test_a_file_that_ends_within_a_record(tmp_path: Path, cut: int) -> None:
    records = [{CLASS_NAME_KEY: ["cat"]}, {CLASS_NAME_KEY: ["dog"]}]
    path = write_records(tmp_path / "a.tfrecord", records)
    path.write_bytes(path.read_bytes()[:-cut])
    with pytest.raises(DataError, match=r"is truncated: no whole record begins at"):
        labels_of(path)


def _shards(folder: Path, names: list[str]) -> Path:
    for name in names:
        record = {IMAGE_KEY: [name.encode()], CLASS_NAME_KEY: [b"cat"]}
        write_records(folder / name, [record])
    return folder


@pytest.mark.parametrize("end", ["", ".tfrecord"])
@pytest.mark.parametrize("pattern", ["", "/train-*"])
def test_a_missing_shard_stops(tmp_path: Path, end: str, pattern: str) -> None:
    _shards(tmp_path, [f"train-0000{number}-of-00003{end}" for number in (0, 2)])
    path = str(tmp_path) + pattern
    for read in (
        lambda config: list_images(config, str(tmp_path / "work")),
        fingerprint,
    ):
        with pytest.raises(DataError, match=r"lacks 1 shard of 3, such as '.*00001-of"):
            read(DataConfig(path=path))
    one = tmp_path / f"train-00000-of-00003{end}"
    config = DataConfig(path=str(one), format="tfrecord")
    assert len(list_images(config, str(tmp_path / "work")).refs) == 1


def test_complete_shards_of_several_sets_are_read(tmp_path: Path) -> None:
    names = [f"a-0000{number}-of-00002" for number in (0, 1)]
    _shards(tmp_path, [*names, "b-00000-of-00001", "other.tfrecord"])
    config = DataConfig(path=str(tmp_path))
    assert len(list_images(config, str(tmp_path / "work")).refs) == 4
