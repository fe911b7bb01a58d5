"""Small images, folders of them, and ingestion without TFX."""

from __future__ import annotations

import io
import itertools
import json
import os
import re
import shlex
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import apache_beam as beam
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from graft.components.ingestion.ingest import OutputFolders, ingest
from graft.components.ingestion.listing import list_images
from graft.components.ingestion.sources.config import DataConfig
from graft.contract import example_keys, split_names
from graft.contract.errors import DataError
from graft.pipeline.config import load_config


def _make_image(
    seed: int, size: tuple[int, int] = (12, 16), kind: str = "PNG", **options: Any
) -> bytes:
    """Encode a picture (height, width) of noise; each seed gives another one."""
    pixels = np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format=kind, **options)
    return buffer.getvalue()


def _write_photos(
    root: Path, classes: tuple[str, ...] = ("cat", "dog"), number: int = 40
) -> Path:
    """Write folders of PNG files, one folder per class."""
    seed = 0
    for name in classes:
        (root / name).mkdir(parents=True, exist_ok=True)
        for index in range(number):
            (root / name / f"{index:03d}.png").write_bytes(_make_image(seed))
            seed += 1
    return root


@dataclass
class Ingested:
    """Folders and contents of one ingestion."""

    outputs: OutputFolders

    @property
    def summary(self) -> dict[str, Any]:
        return json.loads(Path(self.outputs.quarantine, "summary.json").read_text())

    def lines(self, name: str) -> list[dict[str, Any]]:
        text = Path(self.outputs.quarantine, name).read_text()
        return [json.loads(line) for line in text.splitlines()]

    def examples(self, split: str, kind: str = "examples") -> list[dict[str, Any]]:
        """Return the examples of a split, in order, as dictionaries."""
        folder = Path(getattr(self.outputs, kind), f"Split-{split}")
        found = []
        for path in sorted(folder.iterdir()):
            for record in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
                feature = tf.train.Example.FromString(record).features.feature
                found.append(
                    {
                        key: (value.bytes_list.value or value.int64_list.value)[0]
                        for key, value in feature.items()
                    }
                )
        return found

    def splits_by_name(self) -> dict[str, str]:
        """Return the split by file name."""
        return {
            example[example_keys.FILENAME_KEY].decode(): split
            for split in split_names.SPLITS
            for example in self.examples(split, "metadata")
        }


@pytest.fixture(scope="session")
def make_image() -> Callable[..., bytes]:
    """Encode a picture: make_image(seed, (height, width), kind, **Pillow options)."""
    return _make_image


@pytest.fixture(scope="session")
def write_photos() -> Callable[..., Path]:
    """Write class folders: write_photos(root, classes, number of images of each)."""
    return _write_photos


@pytest.fixture
def run_ingestion(tmp_path: Path) -> Callable[..., Ingested]:
    """Ingest, in this process, and return what was written."""

    def run(
        path: object, folder: str = "out", min_shards: int = 1, **fields: Any
    ) -> Ingested:
        config = DataConfig(path=str(path), **fields)
        outputs = OutputFolders(
            *(str(tmp_path / folder / kind) for kind in OutputFolders._fields)
        )
        ingest(config, outputs, beam.Pipeline, min_shards)
        return Ingested(outputs)

    return run


class Trees:
    """Trees of files, and what the options of the question about one read."""

    def __init__(self, root: Path) -> None:
        self._root = root

    @staticmethod
    def expanded(files: str) -> Iterator[str]:
        """Yield the names of a pattern: "{a,b}" is a choice, "#" is 1 to 6."""
        for pattern in re.findall(r"(?:\{[^}]*\}|\S)+", files):
            parts = re.split(r"(\{[^}]*\})", pattern.replace("#", "{1,2,3,4,5,6}"))
            choices = [
                part[1:-1].split(",") if part.startswith("{") else [part]
                for part in parts
            ]
            yield from map("".join, itertools.product(*choices))

    def make(self, files: str) -> Path:
        """Write the files of a pattern. "~" stands for a blank in a name."""
        for name in self.expanded(files):
            path = self._root / name.replace("~", " ")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(name)
        return self._root

    @staticmethod
    def counts(config: DataConfig, with_splits: bool = False) -> dict[str, int]:
        """Return what a config reads: images by class, or by class and split."""
        counts: Counter[str] = Counter()
        for ref in list_images(config, "unused").refs:
            name = ref.class_name.replace(" ", "~")
            # What is left to the hash belongs to train.
            counts[f"{name} {ref.splits[0]}" if with_splits else name] += 1
        return dict(counts)

    @staticmethod
    def wanted(text: str) -> dict[str, int]:
        """Return the counts that a text says, such as "cat train 6 dog test 2"."""
        found = re.findall(r"(\S+(?: (?:train|eval|test))?) (\d+)", text)
        return {name: int(number) for name, number in found}

    @staticmethod
    def options(root: Path) -> list[tuple[str, DataConfig]]:
        """Return the configs that the message for a tree prints."""
        with pytest.raises(DataError) as stopped:
            list_images(load_config(None, data=str(root)).data, "unused")
        configs = []
        for line in re.findall(r"^  \d\. (.*)$", str(stopped.value), re.MULTILINE):
            words = list(itertools.pairwise(shlex.split(line)))
            data = dict(words).get("--data", str(root))
            overrides = [after for word, after in words if word == "--set"]
            config = load_config(None, data=data, overrides=overrides).data
            configs.append((line, config))
        assert configs, str(stopped.value)
        return configs

    def require(self, root: Path, *wanted: str) -> None:
        """Require that all options read the tree, and some of them what is wanted."""
        configs = [config for _, config in self.options(root)]
        read = [
            {str(is_split): self.counts(config, is_split) for is_split in (False, True)}
            for config in configs
        ]
        for text in wanted:
            counts = self.wanted(text)
            is_split = str(any(" " in name for name in counts))
            assert counts in [each[is_split] for each in read], read


@pytest.fixture
def trees(tmp_path: Path) -> Trees:
    """Make a tree and read the options of the question about it."""
    return Trees(tmp_path)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Two classes of forty PNG files each."""
    return _write_photos(tmp_path / "photos")


@pytest.fixture
def unprivileged() -> Iterator[Path]:
    """A folder of a user to whom permissions apply, as which the test runs."""
    folder = Path(tempfile.mkdtemp(prefix="graft-test-"))
    is_root = os.geteuid() == 0
    if is_root:
        nobody = 65534
        os.chown(folder, nobody, nobody)
        os.seteuid(nobody)
    try:
        yield folder
    finally:
        if is_root:
            os.seteuid(0)
        shutil.rmtree(folder)
