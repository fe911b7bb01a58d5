"""The search for near-copies on a Flink cluster, beside that in one process."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path
from typing import Any

import apache_beam as beam
import numpy as np
import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from cluster import FlinkCluster
from feature_jobs import beam_config, write_images
from PIL import Image
from test_flink import NUM_IMAGES, cancelled_on_error, cluster, say

from graft.components.ingestion.ingest import OutputFolders, ingest
from graft.components.ingestion.sources.config import DataConfig
from graft.components.quality import reading
from graft.components.quality.config import DataQualityConfig
from graft.components.quality.reading import ImageData, image_data
from graft.components.quality.search_job import Search
from graft.contract.split_names import SPLITS
from graft.pipeline.beam_runners.arguments import beam_arguments

__all__ = ["cluster"]

pytestmark = [
    pytest.mark.large,
    pytest.mark.timeout(3600),
    pytest.mark.skipif(not NUM_IMAGES, reason="make test-flink runs it"),
]


def found_groups(data: ImageData) -> list[list[int]]:
    images = data.copies.images
    return sorted(images[each].tolist() for each in data.copies.groups.members())


def test_near_copies_are_those_of_a_local_run(
    cluster: FlinkCluster,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    photos = write_images(tmp_path / "photos", 200)
    planted = sorted(photos.rglob("*.png"))[::8]
    for path in planted:
        Image.open(path).save(path.with_suffix(".jpg"), quality=60)
    folders = OutputFolders(*(str(tmp_path / each) for each in OutputFolders._fields))
    ingest(DataConfig(path=str(photos)), folders, beam.Pipeline, min_shards=6)
    shards: list[reading.Shard] = []
    for split in SPLITS:
        for path in sorted((tmp_path / "metadata" / f"Split-{split}").iterdir()):
            images = tmp_path / "examples" / f"Split-{split}" / path.name
            shards.append((split, (str(path), str(images))))
    # Several ranges of few images.
    monkeypatch.setattr(reading, "Search", partial(Search, most_in_range=40))
    found = {}
    for name, words in (
        ("local", []),
        ("flink", beam_arguments(beam_config(cluster))),
    ):
        start = time.monotonic()
        options: Any = PipelineOptions(words)
        with (
            cancelled_on_error(cluster),
            image_data(
                shards,
                DataQualityConfig(),
                cache_dir=str(tmp_path / f"store-{name}"),
                code="the code",
                pipeline=beam.Pipeline(options=options),
                work_folder=str(tmp_path / f"work-{name}"),
            ) as data,
        ):
            found[name] = found_groups(data)
            num_images = len(data.images)
        seconds = time.monotonic() - start
        say(f"near-copies, {name}: {num_images} images, {seconds:.0f} s")
    assert found["flink"] == found["local"]
    grouped = np.concatenate(found["local"])
    assert len(np.unique(grouped)) == len(grouped) >= 2 * len(planted)
    assert len(found["local"]) > 1
    assert not (tmp_path / "work-flink").exists()
