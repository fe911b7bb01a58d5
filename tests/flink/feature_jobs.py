"""Jobs that compute features, on a cluster or here, and what they did."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from cluster import FlinkCluster
from downloads import job_server_jar

from graft.components.ingestion.ingest import OutputFolders, ingest
from graft.components.ingestion.sources.config import DataConfig
from graft.contract import example_keys
from graft.contract.split_names import SPLITS
from graft.pipeline.beam_runners.arguments import beam_arguments
from graft.pipeline.beam_runners.config import BeamConfig, FlinkConfig
from graft.serving import child_process
from graft.storage import tfrecords

CLASS_NAMES = tuple(f"digit {number}" for number in range(4))
PRESET = "efficientnet_lite0"
_SECONDS = 900


class Rate(NamedTuple):
    """What a worker did, from its second shard on.

    With its first shard it loads the backbone, which does not grow with the images.

    Attributes:
        all_images: All images of the worker, those of its first shard, too.
        images: Images from the second shard on.
        wall: Seconds for these.
        work: Processor seconds for these.
    """

    all_images: int
    images: int
    wall: float
    work: float

    def all_wall(self) -> float:
        """Return the seconds of all images at this rate."""
        return self.all_images * self.wall / self.images

    def all_work(self) -> float:
        """Return the processor seconds of all images at this rate."""
        return self.all_images * self.work / self.images


def beam_config(cluster: FlinkCluster, **changes: Any) -> BeamConfig:
    """Return a config that runs jobs on a cluster."""
    flink = {
        "master": cluster.master,
        "job_server_jar": str(job_server_jar()),
        "worker_pool": cluster.pool,
        "parallelism": 2,
    }
    timeout = changes.pop("start_timeout_seconds", 600)
    return BeamConfig(
        runner="flink",
        flink=FlinkConfig(**{**flink, **changes}),
        start_timeout_seconds=timeout,
    )


def write_images(folder: Path, number: int) -> Path:
    """Write digits, shifted so that each is another image."""
    from PIL import Image
    from sklearn.datasets import load_digits

    digits = load_digits()
    chosen = np.flatnonzero(digits.target < len(CLASS_NAMES))
    for index in range(number):
        position = chosen[index % len(chosen)]
        target = folder / CLASS_NAMES[digits.target[position]]
        target.mkdir(parents=True, exist_ok=True)
        pixels = np.kron(digits.images[position] * 255 / 16, np.ones((6, 6)))
        pixels = np.roll(pixels, index // len(chosen) * 2 - 4, axis=1)
        image = Image.fromarray(pixels.astype(np.uint8))
        image.save(target / f"{index:05d}.png")
    return folder


def ingest_images(root: Path, number: int, *, shards: int) -> Path:
    """Make examples of new images, here and not on the cluster."""
    import apache_beam as beam

    data = write_images(root / "photos", number)
    folders = OutputFolders(*(str(root / each) for each in OutputFolders._fields))
    ingest(DataConfig(path=str(data)), folders, beam.Pipeline, min_shards=shards)
    return root


class FeatureJob:
    """A job that computes features, in a process of its own.

    Args:
        ingested: The folder of `ingest_images`.
        folder: For what the job writes; its store of features is empty at first.
    """

    def __init__(self, ingested: Path, folder: Path) -> None:
        self.folder = folder
        self._process: subprocess.Popen[str] | None = None
        self._shards: list[tuple[str, str, str, bool]] = []
        for split in SPLITS:
            source = ingested / "metadata" / f"Split-{split}"
            for path in sorted(source.iterdir()):
                images = ingested / "examples" / f"Split-{split}" / path.name
                target = folder / "features" / f"Split-{split}" / path.name
                target.parent.mkdir(parents=True, exist_ok=True)
                self._shards.append((str(path), str(images), str(target), True))
        (folder / "times").mkdir(parents=True)

    def start(self, config: BeamConfig) -> None:
        """Start the process."""
        arguments = {
            "beam": beam_arguments(config),
            "shards": self._shards,
            "reports": str(self.folder / "reports"),
            "times": str(self.folder / "times"),
            "extraction": {
                "model_json": json.dumps({"preset": PRESET}),
                "preprocessing_json": _preprocessing_json(),
                "engine": "auto",
                "precision": "float32",
                "store_folder": str(self.folder / "store"),
                "class_names": list(CLASS_NAMES),
            },
        }
        path = self.folder / "arguments.json"
        path.write_text(json.dumps(arguments))
        program = str(Path(__file__).with_name("run_features.py"))
        words = child_process.command([sys.executable, program, str(path)])
        self._process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)

    def wait_for_images(self, number: int) -> int:
        """Wait until so many features are computed, and return how many."""
        deadline = time.monotonic() + _SECONDS
        while True:
            done = 0
            # The job removes them at its end.
            with contextlib.suppress(FileNotFoundError):
                for path in (self.folder / "reports").glob("*.counts"):
                    done += json.loads(path.read_text()).get("images", 0)
            if done >= number:
                return done
            assert self.is_running()
            assert time.monotonic() < deadline
            time.sleep(0.05)

    def is_running(self) -> bool:
        """Return whether the process has not ended."""
        return self._process is not None and self._process.poll() is None

    def finish(self) -> int:
        """Wait for the end, and return how many images the job says it has done."""
        assert self._process is not None
        text, _ = self._process.communicate(timeout=_SECONDS)
        assert self._process.returncode == 0
        images: int = json.loads(text.splitlines()[-1])["images"]
        return images

    def stop(self) -> None:
        """End the process, if it still runs. A job on a cluster runs on."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()

    def features(self) -> dict[bytes, np.ndarray]:
        """Return the features that the job wrote, by image."""
        import tensorflow as tf

        found: dict[bytes, np.ndarray] = {}
        for _, _, target, _ in self._shards:
            for record in tfrecords.read(target):
                columns = tf.train.Example.FromString(record).features.feature
                key = columns[example_keys.CONTENT_HASH_KEY].bytes_list.value[0]
                values = columns["features"].float_list.value
                found[key] = np.array(values, np.float32)
        return found

    def rates(self) -> list[Rate]:
        """Return what each worker did."""
        rows = defaultdict(list)
        for path in (self.folder / "times").iterdir():
            row = json.loads(path.read_text())
            rows[row["worker"]].append(row)
        return [_rate(sorted(each, key=lambda r: r["start"])) for each in rows.values()]


def _rate(rows: list[dict[str, Any]]) -> Rate:
    later = rows[1:]
    assert later, "a worker with one shard has no rate"
    return Rate(
        all_images=sum(row["images"] for row in rows),
        images=sum(row["images"] for row in later),
        wall=later[-1]["end"] - rows[0]["end"],
        work=sum(row["work"] for row in later),
    )


def _preprocessing_json() -> str:
    from graft.trainer.backbones.presets import get_preset
    from graft.trainer.preprocessing.spec import PreprocessingSpec

    preset = get_preset(PRESET)
    spec = PreprocessingSpec(
        height=224,
        width=224,
        scaling=preset.scaling,
        interpolation=preset.interpolation,
    )
    return spec.to_json()
