"""TFRecord files, built-in data sets, and folders on another file system."""

from __future__ import annotations

import gzip
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from graft.components.ingestion.fingerprint import fingerprint
from graft.components.ingestion.listing import list_images
from graft.components.ingestion.sources import built_in
from graft.components.ingestion.sources.config import DataConfig
from graft.components.ingestion.sources.image_ref import read_bytes
from graft.contract import example_keys, split_names
from graft.contract.errors import DataError, UserError
from graft.storage import atomic
from graft.storage.paths import parent_of

Make = Callable[..., Any]


def _example(values: dict[str, bytes | int]) -> bytes:
    example = tf.train.Example()
    for key, value in values.items():
        feature = example.features.feature[key]
        if isinstance(value, int):
            feature.int64_list.value.append(value)
        else:
            feature.bytes_list.value.append(value)
    return example.SerializeToString()


def _write_records(path: Path, records: list[bytes], packed: bool = False) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    options = tf.io.TFRecordOptions("GZIP" if packed else "")
    with tf.io.TFRecordWriter(str(path), options) as writer:
        for record in records:
            writer.write(record)
    return path


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
def test_records_are_read_from_the_middle_of_a_file(
    tmp_path: Path, make_image: Make, packed: bool
):
    images = [make_image(seed) for seed in range(6)]
    records = [
        _example(
            {
                example_keys.IMAGE_KEY: encoded,
                example_keys.CLASS_NAME_KEY: b"cat" if number % 2 else b"dog",
                example_keys.FILENAME_KEY: f"{number}.png".encode(),
            }
        )
        for number, encoded in enumerate(images)
    ]
    path = _write_records(tmp_path / "pets.tfrecord", records, packed)
    refs = list_images(DataConfig(path=str(path)), str(tmp_path / "work")).refs
    assert [read_bytes(ref, 10**6) for ref in refs] == images
    assert [ref.name for ref in refs] == [f"{number}.png" for number in range(6)]
    assert [ref.class_name for ref in refs] == ["dog", "cat"] * 3


def test_records_beside_those_of_a_split_are_no_part_of_it(tmp_path: Path):
    records = [
        _example(
            {
                example_keys.IMAGE_KEY: b"an image",
                example_keys.CLASS_NAME_KEY: b"cat",
            }
        )
    ]
    names = ("pets.tfrecord", "pets-test.tfrecord")
    for name in names:
        _write_records(tmp_path / "data" / name, records)
    found = list_images(DataConfig(path=str(tmp_path / "data")), str(tmp_path))
    splits = {Path(ref.path).name: ref.splits for ref in found.refs}
    assert splits == dict(zip(names, (("train", "eval"), ("test",)), strict=True))
    (tmp_path / "data" / names[1]).unlink()
    alone = list_images(DataConfig(path=str(tmp_path / "data")), str(tmp_path))
    assert {ref.splits for ref in alone.refs} == {("train", "eval", "test")}


def test_eval_records_beside_those_of_dev_are_the_test_set(tmp_path: Path):
    keys = (example_keys.IMAGE_KEY, example_keys.CLASS_NAME_KEY)
    records = [_example(dict(zip(keys, (b"an image", b"cat"), strict=True)))]
    for name in ("train", "dev", "eval"):
        _write_records(tmp_path / "data" / f"{name}-0.tfrecord", records)
    found = list_images(DataConfig(path=str(tmp_path / "data")), str(tmp_path))
    splits = {Path(ref.path).name: ref.splits for ref in found.refs}
    assert splits["dev-0.tfrecord"] == ("eval",)
    assert splits["eval-0.tfrecord"] == ("test",)


def test_records_of_integer_labels_and_other_keys(tmp_path: Path, make_image: Make):
    records = [_example({"image": make_image(n), "label": n % 2}) for n in range(4)]
    _write_records(tmp_path / "data" / "train-00000.tfrecord", records)
    _write_records(tmp_path / "data" / "test-00000.tfrecord", records[:2])
    config = DataConfig(
        path=str(tmp_path / "data"),
        tfrecord_image_key="image",
        tfrecord_label_key="label",
    )
    refs = list_images(config, "unused").refs
    assert [ref.class_name for ref in refs] == ["0", "1", "0", "1", "0", "1"]
    assert [ref.splits for ref in refs] == [("test",)] * 2 + [("train", "eval")] * 4
    assert len({ref.name for ref in refs}) == 6


@pytest.mark.parametrize("pattern", ["", "*/*.tfrecord", "*/a.*", "t*/*", "*/*"])
def test_folders_give_the_split_of_records_whatever_the_pattern(
    tmp_path: Path, pattern: str
):
    keys = (example_keys.IMAGE_KEY, example_keys.CLASS_NAME_KEY)
    records = [
        _example(dict(zip(keys, pair, strict=True))) for pair in [(b"x", b"a")] * 2
    ]
    for split in ("train", "val", "test"):
        _write_records(tmp_path / "data" / split / "a.tfrecord", records)
    path = f"{tmp_path}/data/{pattern}".rstrip("/")
    config = DataConfig(path=path, format="tfrecord")
    listing = list_images(config, str(tmp_path))
    splits = {ref.name: ref.splits for ref in listing.refs}
    assert splits["train/a.tfrecord:0"][0] == "train"
    assert splits["test/a.tfrecord:1"] == ("test",)
    assert len(splits) == len(listing.refs) == (4 if pattern == "t*/*" else 6)


@pytest.mark.parametrize("pattern", ["", "*"])
def test_files_beside_records_are_left_aside(tmp_path: Path, pattern: str):
    keys = (example_keys.IMAGE_KEY, example_keys.CLASS_NAME_KEY)
    records = [_example(dict(zip(keys, pair, strict=True))) for pair in [(b"x", b"a")]]
    data = tmp_path / "data"
    for name, packed in (
        ("pets-train.tfrecord-00000-of-00001", False),
        ("pets-test.tfrecord.gz", True),
    ):
        _write_records(data / name, records, packed)
    config = DataConfig(path=str(data / pattern))
    before = fingerprint(config)
    for name in (
        "dataset_info.json",
        "features.json",
        "label.labels.txt",
        "README.md",
        "LICENSE",
        "pets-train.tfrecord.idx",
        "pets-train.tfrecord-00000-of-00001.md5",
        "map.pbtxt",
    ):
        (data / name).write_text("{}")
    listing = list_images(config, str(tmp_path))
    assert [ref.class_name for ref in listing.refs] == ["a", "a"]
    assert listing.ignored == {
        ".json": 2,
        ".txt": 1,
        ".md": 1,
        "documents": 1,
        ".idx": 1,
        ".md5": 1,
        ".pbtxt": 1,
    }
    assert fingerprint(config) == before


def test_our_own_examples_can_be_read_again(
    photos: Path, run_ingestion: Make, tmp_path: Path
):
    first = run_ingestion(photos, "first")
    second = run_ingestion(first.outputs.examples, "second")
    for split in split_names.SPLITS:
        names = [
            sorted(e[example_keys.FILENAME_KEY] for e in result.examples(split))
            for result in (first, second)
        ]
        assert names[0] == names[1]
    assert second.summary["layout"] == "tfrecord"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"no records at all, but longer than a header", "no whole record begins at"),
        (b"short", "no whole record begins at byte 0"),
        (None, "has no feature 'image/encoded'.*'img'.*`tfrecord_image_key`"),
    ],
    ids=["text", "short", "keys"],
)
def test_bad_records(tmp_path: Path, content: bytes | None, message: str):
    path = tmp_path / "bad.tfrecord"
    if content is None:
        _write_records(path, [_example({"img": b"x"})])
    else:
        path.write_bytes(content)
    with pytest.raises(DataError, match=message):
        list_images(DataConfig(path=str(path)), str(tmp_path / "work"))


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
def test_cut_off_records(tmp_path: Path, make_image: Make, packed: bool):
    record = _example(
        {example_keys.IMAGE_KEY: make_image(0), example_keys.CLASS_NAME_KEY: b"cat"}
    )
    path = _write_records(tmp_path / "whole.tfrecord", [record] * 3)
    content = path.read_bytes()[:-30]
    cut = tmp_path / "cut.tfrecord"
    cut.write_bytes(gzip.compress(content)[:-20] if packed else content)
    with pytest.raises(DataError, match="is truncated"):
        list_images(DataConfig(path=str(cut)), str(tmp_path / "work"))


def test_digits_are_the_1797_of_scikit_learn(tmp_path: Path):
    from sklearn.datasets import load_digits

    listing = list_images(DataConfig(path="sklearn:digits"), str(tmp_path))
    digits = load_digits()
    assert len(listing.refs) == 1797
    for number in (0, 1, 1796):
        ref = listing.refs[number]
        with Image.open(io.BytesIO(read_bytes(ref, 10**6))) as image:
            assert image.format == "PNG"
            pixels = np.asarray(image)
        assert pixels.shape == (8, 8)
        np.testing.assert_allclose(
            pixels, digits.images[number] * 255 / 16, atol=0.5, rtol=0
        )
        assert ref.class_name == str(digits.target[number])
        assert ref.source == "sklearn:digits"


def _small_keras_set() -> Any:
    pixels = np.arange(4 * 8 * 8 * 3, dtype=np.uint8).reshape(4, 8, 8, 3)
    labels = np.array([[3], [0], [3], [9]], np.uint8)
    return (pixels, labels), (pixels[:2], labels[:2])


def test_keras_sets_keep_their_test_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("keras.datasets.cifar10.load_data", _small_keras_set)
    refs = list_images(DataConfig(path="keras:cifar10"), str(tmp_path)).refs
    assert [ref.class_name for ref in refs] == [
        "cat", "airplane", "cat", "truck", "cat", "airplane"
    ]  # fmt: skip
    assert [ref.splits for ref in refs] == [("train", "eval")] * 4 + [("test",)] * 2
    with Image.open(io.BytesIO(read_bytes(refs[1], 10**6))) as image:
        assert (np.asarray(image) == _small_keras_set()[0][0][1]).all()


def test_a_keras_set_that_can_not_be_downloaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def fail() -> None:
        raise OSError("no network")

    monkeypatch.setattr("keras.datasets.mnist.load_data", fail)
    with pytest.raises(DataError, match="can't load its data set 'mnist': no network"):
        list_images(DataConfig(path="keras:mnist"), str(tmp_path))


@pytest.mark.parametrize(
    ("name", "number"),
    [("cifar10", 10), ("cifar100", 100), ("mnist", 10), ("fashion_mnist", 10)],
)
def test_keras_sets_have_all_their_classes(name: str, number: int):
    names = built_in._CLASS_NAMES[name]
    assert len(set(names)) == number
    if name.startswith("cifar"):
        assert list(names) == sorted(names)


@pytest.fixture
def remote(photos: Path, s3_folder: str) -> str:
    """The folder of photos in a bucket."""
    for path in photos.rglob("*.png"):
        name = path.relative_to(photos).as_posix()
        atomic.write_bytes(f"{s3_folder}/pets/{name}", path.read_bytes())
    atomic.write_bytes(f"{s3_folder}/pets/.hidden/x.png", b"x")
    atomic.write_bytes(f"{s3_folder}/pets-not/cat/x.png", b"x")
    atomic.write_text(f"{s3_folder}/list.csv", "path,label\npets/cat/000.png,cat\n")
    return f"{s3_folder}/pets"


def test_a_remote_folder_gives_what_a_local_one_does(
    remote: str, photos: Path, run_ingestion: Make, monkeypatch: pytest.MonkeyPatch
):
    local = run_ingestion(photos, "local")
    found = run_ingestion(remote, "remote")
    assert found.splits_by_name() == local.splits_by_name()
    assert len(found.splits_by_name()) == 80


def test_a_remote_fingerprint_changes_with_the_objects(remote: str):
    before = fingerprint(DataConfig(path=remote))
    atomic.write_bytes(f"{remote}/cat/new.png", b"x")
    assert fingerprint(DataConfig(path=remote)) != before


def test_a_remote_manifest_names_objects_beside_it(remote: str, photos: Path):
    manifest = f"{parent_of(remote)}/list.csv"
    (ref,) = list_images(DataConfig(path=manifest), "unused").refs
    assert ref.path == f"{remote}/cat/000.png"
    assert read_bytes(ref, 10**6) == (photos / "cat/000.png").read_bytes()


def test_no_such_remote_folder(remote: str):
    with pytest.raises(DataError, match="must name an existing folder"):
        list_images(DataConfig(path=f"{remote}-nothing"), "unused")


def test_an_unknown_file_system():
    with pytest.raises(UserError, match=r"begin with .*s3://.*'ftp://"):
        list_images(DataConfig(path="ftp://host/folder"), "unused")
