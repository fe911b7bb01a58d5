"""Small pictures, shards of them, and extraction as in a worker."""

from __future__ import annotations

import hashlib
import io
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from graft.components.features.extraction import (
    Extraction,
    ExtractShard,
    Shard,
    release_workers,
)
from graft.components.features.image_batches import ImageReader
from graft.contract import example_keys
from graft.storage.paths import is_remote
from graft.trainer.config import ModelConfig
from graft.trainer.preprocessing.spec import PreprocessingSpec

CLASSES = ("bars", "checks", "rays", "rows")
SIZE = 64


@dataclass(frozen=True)
class Picture:
    """One image file of a data set."""

    filename: str
    class_name: str
    encoded: bytes

    @property
    def key(self) -> bytes:
        return hashlib.sha256(self.encoded).digest()


@dataclass(frozen=True)
class Extracted:
    """The result of a shard: file name to features and label."""

    values: Mapping[str, np.ndarray]
    labels: Mapping[str, int]
    num_computed: int

    def matrix(self) -> np.ndarray:
        return np.stack([self.values[name] for name in sorted(self.values)])


def draw(class_name: str, seed: int) -> bytes:
    """Draw a picture of a class, PNG: a pattern in two random colours, with noise."""
    rng = np.random.default_rng([CLASSES.index(class_name), seed])
    y, x = np.mgrid[:48, :48] + rng.integers(0, 48, (2, 1, 1))
    pattern = {
        "bars": x // 6 % 2,
        "rows": y // 6 % 2,
        "checks": (x // 6 + y // 6) % 2,
        "rays": (x + y) // 8 % 2,
    }[class_name]
    dark, light = rng.integers(0, 90, 3), rng.integers(160, 255, 3)
    pixels = np.where(pattern[..., None], light, dark) + rng.normal(0, 6, (48, 48, 3))
    buffer = io.BytesIO()
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture(scope="session")
def make_pictures() -> Callable[..., list[Picture]]:
    """Make a data set: `make_pictures(per_class, first_seed=0)`."""

    def make(per_class: int, first_seed: int = 0) -> list[Picture]:
        return [
            Picture(f"{name}/{seed}.png", name, draw(name, seed))
            for name in CLASSES
            for seed in range(first_seed, first_seed + per_class)
        ]

    return make


@pytest.fixture(scope="session")
def make_picture() -> type[Picture]:
    """Make one picture: `make_picture(filename, class_name, encoded)`."""
    return Picture


@pytest.fixture(scope="session")
def write_shard(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Shard]:
    """Write a data set as a shard of examples: `write_shard(pictures)`."""

    def write(pictures: list[Picture]) -> Shard:
        folder = tmp_path_factory.mktemp("shard")
        paths = [str(folder / name) for name in ("metadata", "images", "features")]
        with (
            tf.io.TFRecordWriter(paths[0]) as metadata,
            tf.io.TFRecordWriter(paths[1]) as images,
        ):
            for picture in pictures:
                example = tf.train.Example()
                feature = example.features.feature
                for key, value in (
                    (example_keys.CONTENT_HASH_KEY, picture.key.hex()),
                    (example_keys.FILENAME_KEY, picture.filename),
                    (example_keys.CLASS_NAME_KEY, picture.class_name),
                ):
                    feature[key].bytes_list.value.append(value.encode())
                metadata.write(example.SerializeToString())
                feature[example_keys.IMAGE_KEY].bytes_list.value.append(picture.encoded)
                images.write(example.SerializeToString())
        return Shard(*paths)

    return write


@pytest.fixture
def make_extraction(
    tmp_path: Path, stored_once: str
) -> Iterator[Callable[..., Extraction]]:
    """Make an `Extraction`; all fields have defaults, also the store.

    A new store on disk has no features, but OpenVINO's graph of the default backbone:
    building it takes seconds. `make_extraction(has_graph=False)` leaves it out.
    """

    def make(*, has_graph: bool = True, **changes: object) -> Extraction:
        extraction = describe(**{"store": str(tmp_path / "store"), **changes})
        store = Path(extraction.store_folder)
        if has_graph and not is_remote(extraction.store_folder) and not store.exists():
            without_features = shutil.ignore_patterns("*.arrow", "*.index")
            shutil.copytree(stored_once, store, ignore=without_features)
        return extraction

    release_workers()
    yield make
    release_workers()


def describe(
    store: str,
    model: ModelConfig | None = None,
    spec: PreprocessingSpec | None = None,
    engine: str = "openvino",
    precision: str = "float32",
    class_names: tuple[str, ...] = CLASSES,
) -> Extraction:
    """Make an `Extraction` from 64-pixel images."""
    return Extraction(
        model_json=(model or ModelConfig(image_size=SIZE)).model_dump_json(),
        preprocessing_json=(
            spec or PreprocessingSpec(height=SIZE, width=SIZE, scaling="lite")
        ).to_json(),
        engine=engine,
        precision=precision,
        store_folder=store,
        class_names=class_names,
    )


@pytest.fixture(scope="session")
def stored_once(
    make_pictures: Callable[..., list[Picture]],
    write_shard: Callable[..., Shard],
    tmp_path_factory: pytest.TempPathFactory,
) -> str:
    """A store with the features of `make_pictures(8)`. Copy it before changing it."""
    folder = str(tmp_path_factory.mktemp("stored") / "store")
    do_fn = ExtractShard(describe(folder))
    do_fn.setup()
    list(do_fn.process(write_shard(make_pictures(8))))
    release_workers()
    return folder


@pytest.fixture
def extract(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Extracted]:
    """Extract a shard as in a new process: `extract(extraction, shard)`."""

    def run(extraction: Extraction, shard: Shard) -> Extracted:
        release_workers()
        computed = 0
        original = ImageReader.read

        def counted(*arguments):
            nonlocal computed
            for batch in original(*arguments):
                computed += len(batch.keys)
                yield batch

        with monkeypatch.context() as patch:
            patch.setattr(ImageReader, "read", counted)
            do_fn = ExtractShard(extraction)
            do_fn.setup()
            list(do_fn.process(shard))
        return read_extracted(shard.target, computed)

    return run


def read_extracted(path: str, num_computed: int = 0) -> Extracted:
    """Read a shard of features."""
    values, labels = {}, {}
    for record in tf.data.TFRecordDataset(path).as_numpy_iterator():
        feature = tf.train.Example.FromString(record).features.feature
        name = feature[example_keys.FILENAME_KEY].bytes_list.value[0].decode()
        values[name] = np.array(feature[example_keys.FEATURES_KEY].float_list.value)
        labels[name] = feature[example_keys.LABEL_KEY].int64_list.value[0]
    return Extracted(values, labels, num_computed)
