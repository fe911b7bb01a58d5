"""The Beam job in which the workers of a cluster measure images for DataQuality.

A worker stores what it measured. DataQuality then finds it there, as it finds what an
earlier run has measured, so its result does not depend on who measured.

Without a cluster there is no job: the threads of `Measurements` measure.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence

import apache_beam as beam

from graft.components.beam_jobs import job
from graft.components.progress import Progress
from graft.components.quality.measurements import MeasuredImage, Measurements

logger = logging.getLogger(__name__)


class MeasureShard(beam.DoFn):
    """Measure and store the images of a shard that the store lacks.

    Args:
        folder: Folder or URI of the store, which the workers see.
        code: Hash of the code that measures.
        progress: Counts the images.
    """

    def __init__(self, folder: str, code: str, progress: Progress) -> None:
        self._folder = folder
        self._code = code
        self._progress = progress

    def setup(self) -> None:
        """Open the store."""
        self._measurements = Measurements(self._folder, self._code)

    def teardown(self) -> None:
        """End the threads that measure."""
        measurements: Measurements | None = self.__dict__.pop("_measurements", None)
        if measurements is not None:
            measurements.close()

    def process(self, shard: tuple[str, str]) -> Iterator[int]:
        """Yield the number of images of a shard that were measured."""
        before = self._measurements.num_measured
        for _ in self.measured(shard):
            pass
        yield self._measurements.num_measured - before

    def measured(self, shard: tuple[str, str]) -> Iterator[MeasuredImage]:
        """Yield the images of a shard, and store what was measured."""
        for image in self._measurements.of_shard(*shard):
            self._progress.advance("images measured")
            yield image
        # A worker that is lost later does not take these with it.
        self._measurements.store_new()


def measure_on_workers(
    pipeline: beam.Pipeline,
    shards: Sequence[tuple[str, str]],
    *,
    folder: str,
    code: str,
    progress: Progress,
    reports: str,
) -> None:
    """Measure all images that the store lacks, on a cluster.

    Args:
        pipeline: An empty pipeline.
        shards: Metadata and images of each shard, see `Measurements.of_shard`.
        folder: Folder or URI of the store, which the workers see.
        code: Hash of the code that measures.
        progress: Counts the images.
        reports: See `graft.components.beam_jobs.job`.
    """
    with Measurements(folder, code) as known:
        new = [shard for shard in shards if known.lacks_some_of(shard[0])]
    # A job takes its time even if there is nothing to do.
    if not new:
        return
    with job(pipeline, progress, reports) as running:
        _ = (
            running.pipeline
            | "Shards" >> beam.Create(new)
            | "Spread" >> beam.Reshuffle()
            | "Measure" >> beam.ParDo(MeasureShard(folder, code, progress))
        )
    logger.info("The workers have measured the images of %d shards", len(new))
