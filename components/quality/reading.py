"""All images with their statistics and near-copies, found here or on a cluster."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import apache_beam as beam
import numpy as np

from graft.components import progress
from graft.components.beam_jobs import num_workers
from graft.components.quality.config import DataQualityConfig
from graft.components.quality.image_table import (
    Example,
    ImageTable,
    ImageTableBuilder,
)
from graft.components.quality.measurements import MeasuredImage, Measurements
from graft.components.quality.measuring_job import measure_on_workers
from graft.components.quality.profile import Profile, Traits, profile_of
from graft.components.quality.search_job import Search, search_on_workers
from graft.components.quality.search_results import (
    NearCopies,
    found_on_workers,
    search_here,
)
from graft.storage import files
from graft.storage.paths import join

Shard = tuple[str, tuple[str, str]]
"""The split of a shard, and its files for `Measurements.of_shard`."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ImageData:
    """What the checks of images need.

    Attributes:
        images: All images.
        profile: The distributions of their properties.
        copies: Near-copies among them; none if no check needs them.
    """

    images: ImageTable
    profile: Profile
    copies: NearCopies


@contextlib.contextmanager
def image_data(
    shards: Sequence[Shard],
    config: DataQualityConfig,
    *,
    cache_dir: str,
    code: str,
    pipeline: beam.Pipeline | None,
    work_folder: str,
) -> Iterator[ImageData]:
    """Yield all images with their statistics and near-copies.

    A cluster searches for near-copies, if there is one. Beam's local runner would hold
    several times as much in memory as the search in this process.

    Args:
        shards: The images.
        config: The checks.
        cache_dir: The store of measurements; "" for none.
        code: Hash of the code that measures.
        pipeline: An empty pipeline.
        work_folder: A folder that the workers see. All in it is removed.
    """
    if pipeline is None or not num_workers(pipeline.options):
        with Measurements(cache_dir, code) as measurements:
            images, profile, _ = _read(shards, measurements, with_signatures=True)
        copies = NearCopies.none(config)
        if config.finds_copies:
            copies = search_here(images, config)
        yield ImageData(images, profile, copies)
        return
    # Without a store the measurements are kept in the output until they are read.
    store = cache_dir or join(work_folder, "measurements")
    found_folder = join(work_folder, "near-copies")
    try:
        _run_job(
            shards,
            config,
            pipeline,
            store=store,
            code=code,
            work_folder=work_folder,
            found_folder=found_folder,
        )
        with Measurements(store, code) as measurements:
            images, profile, first_of_shard = _read(
                shards, measurements, with_signatures=False
            )
        if not config.finds_copies:
            yield ImageData(images, profile, NearCopies.none(config))
            return
        with found_on_workers(found_folder, first_of_shard, config) as copies:
            yield ImageData(images, profile, copies)
    finally:
        files.remove_folder(work_folder)


def _run_job(
    shards: Sequence[Shard],
    config: DataQualityConfig,
    pipeline: beam.Pipeline,
    *,
    store: str,
    code: str,
    work_folder: str,
    found_folder: str,
) -> None:
    paths = [each for _, each in shards]
    reports = join(work_folder, "progress")
    if not config.finds_copies:
        measure_on_workers(
            pipeline,
            paths,
            folder=store,
            code=code,
            progress=progress.current(),
            reports=reports,
        )
        return
    search_on_workers(
        pipeline,
        paths,
        Search(
            config.max_distance, config.min_contrast, found_folder, max(1, len(paths))
        ),
        store=store,
        code=code,
        progress=progress.current(),
        reports=reports,
    )


def _read(
    shards: Sequence[Shard], measurements: Measurements, *, with_signatures: bool
) -> tuple[ImageTable, Profile, np.ndarray]:
    """Return all images, the profile, and the index of the first image of each shard.

    The last index is the number of all images.
    """
    counters = progress.current()
    builder = ImageTableBuilder(with_signatures)
    first_of_shard = [0]

    def traits() -> Iterator[Traits]:
        for split, shard in shards:
            for image in measurements.of_shard(*shard):
                builder.add(_example_of(image, split))
                counters.advance("images")
                yield _traits_of(image)
            first_of_shard.append(len(builder))

    profile = profile_of(traits())
    logger.info(
        "%d images were measured, and %d had been measured before",
        measurements.num_measured,
        measurements.num_remembered,
    )
    return builder.build(), profile, np.array(first_of_shard)


def _example_of(image: MeasuredImage, split: str) -> Example:
    return Example(
        image.content_hash, image.filename, image.class_name, split, image.statistics
    )


def _traits_of(image: MeasuredImage) -> Traits:
    return Traits(
        image.class_name,
        image.format,
        image.width,
        image.height,
        image.statistics.brightness,
        image.statistics.contrast,
        image.statistics.sharpness,
    )
