"""The Beam job that searches for near-copies on a cluster.

It is the search of `near_copies`, by the same functions, so it finds the same. Images
meet twice: those of equal values, and those that lie or ask in a range of cells. A
worker holds the images of one range. What it finds goes to a file, and
`search_results` reads these.
"""

from __future__ import annotations

import io
import logging
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import apache_beam as beam
import numpy as np

from graft.components.beam_jobs import job
from graft.components.progress import Progress
from graft.components.quality.cell_plan import Plan, Sample, hashes_of, plan_of
from graft.components.quality.cells import Pairs, positions_of
from graft.components.quality.measuring_job import MeasureShard
from graft.components.quality.near_copies import link_equal, search_cells
from graft.components.quality.signature import SIGNATURE, Signatures
from graft.storage import atomic, files
from graft.storage.paths import join

ROW = np.dtype([("image", np.int64), ("signature", SIGNATURE)])
"""What workers exchange. `image`: see `image_number`."""

EQUAL_FILES = "equal-{number:06d}.npz"
CELL_FILES = "cells-{number:06d}.npz"
MOST_IN_RANGE = 1 << 16
"""Images that lie in a range of cells, about; several times as many ask there."""

_BITS_OF_PLACE = 32
_ROWS_AT_ONCE = 1 << 12
_SAMPLE = "sample"

logger = logging.getLogger(__name__)


class Search(NamedTuple):
    """What a worker has to know.

    Attributes:
        max_distance: See `Signatures`.
        min_contrast: See `Signatures`.
        folder: Folder for the files of what is found, which the workers see.
        num_ranges: Number of ranges in which images of equal values meet.
        most_in_range: See `MOST_IN_RANGE`.
    """

    max_distance: float
    min_contrast: float
    folder: str
    num_ranges: int
    most_in_range: int = MOST_IN_RANGE

    def signatures(self, rows: np.ndarray) -> Signatures:
        """Return the signatures of some rows."""
        return Signatures(rows["signature"], self.max_distance, self.min_contrast)


def image_number(shard: int, place: int | np.ndarray) -> Any:
    """Return a number of an image, in the order of shards and their records."""
    return (shard << _BITS_OF_PLACE) + place


def index_of(images: np.ndarray, first_of_shard: np.ndarray) -> np.ndarray:
    """Return the index of each image among all.

    Args:
        images: int64 (N,), see `image_number`.
        first_of_shard: int64, the index of the first image of each shard.
    """
    places = images & ((1 << _BITS_OF_PLACE) - 1)
    found: np.ndarray = first_of_shard[images >> _BITS_OF_PLACE] + places
    return found


class FindNearCopies(beam.PTransform):
    """Find near-copies: packed rows of `ROW` in, numbers of compared images out.

    What is found goes to files. In: (range of the values' hash, bytes), see
    `by_values`.
    """

    def __init__(self, search: Search, progress: Progress) -> None:
        super().__init__()
        self._search = search
        self._progress = progress

    def expand(self, rows: beam.PCollection) -> beam.PCollection:
        """Apply it to rows."""
        chosen = (
            rows
            | "ByValues" >> beam.GroupByKey()
            | "LinkEqual"
            >> beam.FlatMap(_link_equal, self._search).with_outputs(
                _SAMPLE, main="rows"
            )
        )
        plan = (
            chosen[_SAMPLE]
            | "Sample" >> beam.CombineGlobally(_add_samples)
            | "Plan" >> beam.Map(plan_of, self._search.most_in_range)
        )
        return (
            chosen.rows
            | "ShareOut"
            >> beam.FlatMap(_share_out, self._search, beam.pvalue.AsSingleton(plan))
            | "ByRange" >> beam.GroupByKey()
            | "SearchCells"
            >> beam.ParDo(
                _SearchCellsFn(self._search, self._progress),
                beam.pvalue.AsSingleton(plan),
            )
        )


class ReadSignatures(MeasureShard):
    """Read the signatures of a shard; measure those that the store lacks.

    In: the number of a shard, and its files for `Measurements.of_shard`.
    """

    def __init__(self, folder: str, code: str, search: Search, progress: Progress):
        super().__init__(folder, code, progress)
        self._search = search

    def process(  # type: ignore[override]
        self, shard: tuple[int, tuple[str, str]]
    ) -> Iterator[tuple[int, bytes]]:
        """Yield packed rows."""
        number, paths = shard
        rows = np.empty(_ROWS_AT_ONCE, ROW)
        num = 0
        for place, image in enumerate(self.measured(paths)):
            rows[num] = image_number(number, place), image.statistics.signature
            num += 1
            if num == len(rows):
                yield from by_values(rows, self._search)
                num = 0
        yield from by_values(rows[:num], self._search)


def search_on_workers(
    pipeline: beam.Pipeline,
    shards: Sequence[tuple[str, str]],
    search: Search,
    *,
    store: str,
    code: str,
    progress: Progress,
    reports: str,
) -> None:
    """Measure images that the store lacks, and search for near-copies, on a cluster.

    Args:
        pipeline: An empty pipeline.
        shards: Metadata and images of each shard, see `Measurements.of_shard`.
        search: What to search for. Its folder receives what is found.
        store: Folder or URI of the store, which the workers see.
        code: Hash of the code that measures.
        progress: Counts the images.
        reports: See `graft.components.beam_jobs.job`.
    """
    files.make_folder(search.folder)
    with job(pipeline, progress, reports) as running:
        _ = (
            running.pipeline
            | "Shards" >> beam.Create(list(enumerate(shards)))
            | "Spread" >> beam.Reshuffle()
            | "Read" >> beam.ParDo(ReadSignatures(store, code, search, progress))
            | "Find" >> FindNearCopies(search, progress)
        )
    logger.info("The workers have searched %d shards for near-copies", len(shards))


def by_values(rows: np.ndarray, search: Search) -> Iterator[tuple[int, bytes]]:
    """Yield rows, packed by ranges of the hash of their values."""
    own = positions_of(search.signatures(rows), 1)[0]
    numbers = hashes_of(own) % np.uint64(search.num_ranges)
    for number in np.unique(numbers):
        yield int(number), rows[numbers == number].tobytes()


def _unpack(several: Iterable[bytes]) -> np.ndarray:
    """Return the rows of packed elements, in the order of the images."""
    parts = [np.frombuffer(each, ROW) for each in several]
    rows = np.concatenate(parts)
    # A runner may have started a bundle again, and gives elements in any order.
    found: np.ndarray = rows[np.argsort(rows["image"], kind="stable")]
    return found


def _link_equal(packed: tuple[int, Iterable[bytes]], search: Search) -> Iterator[Any]:
    number, several = packed
    rows = _unpack(several)
    signatures = search.signatures(rows)
    own = positions_of(signatures, 1)[0]
    pairs = link_equal(signatures, own)
    chosen = np.ones(len(rows), np.bool_)
    chosen[pairs[1]] = False
    _write(
        join(search.folder, EQUAL_FILES.format(number=number)),
        rows,
        pairs,
        num_given=len(rows),
        num_searched=len(pairs[1]),
    )
    yield beam.pvalue.TaggedOutput(_SAMPLE, Sample.of(own[chosen]))
    rows = rows[chosen]
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        yield rows[start : start + _ROWS_AT_ONCE].tobytes()


def _add_samples(samples: Iterable[Sample]) -> Sample:
    return sum(samples, Sample.none())


def _share_out(
    packed: bytes, search: Search, plan: Plan
) -> Iterator[tuple[int, bytes]]:
    """Yield rows by the ranges in which they lie or ask."""
    rows = np.frombuffer(packed, ROW)
    homes, asked = plan.leaves_of(positions_of(search.signatures(rows)))
    ranges = plan.ranges[np.concatenate([homes.cells, asked.cells])]
    images = np.concatenate([homes.images, asked.images])
    for number in np.unique(ranges):
        wanted = np.unique(images[ranges == number])
        yield int(number), rows[wanted].tobytes()


class _SearchCellsFn(beam.DoFn):
    def __init__(self, search: Search, progress: Progress) -> None:
        self._search = search
        self._progress = progress

    def process(self, packed: tuple[int, Iterable[bytes]], plan: Plan) -> Iterator[int]:
        number, several = packed
        rows = _unpack(several)
        signatures = self._search.signatures(rows)
        positions = positions_of(signatures)
        homes, asked = plan.leaves_of(positions)
        homes = homes.take(plan.ranges[homes.cells] == number)
        asked = asked.take(plan.ranges[asked.cells] == number)
        found = search_cells(signatures, positions, plan, homes, asked)
        _write(
            join(self._search.folder, CELL_FILES.format(number=number)),
            rows,
            found.pairs,
            num_searched=len(homes.cells),
            not_compared=np.unique(rows["image"][found.not_compared]),
        )
        self._progress.advance("images compared", len(homes.cells))
        yield len(homes.cells)


def _write(
    path: str,
    rows: np.ndarray,
    pairs: Pairs,
    *,
    num_searched: int,
    num_given: int = 0,
    not_compared: np.ndarray | None = None,
) -> None:
    """Write pairs with the rows of their images, and what `search_results` counts."""
    linked = np.unique(np.concatenate(pairs))
    buffer = io.BytesIO()
    np.savez(
        buffer,
        first=rows["image"][pairs[0]],
        second=rows["image"][pairs[1]],
        rows=rows[linked],
        not_compared=rows["image"][:0] if not_compared is None else not_compared,
        num_given=num_given,
        num_searched=num_searched,
    )
    atomic.write_bytes(path, buffer.getvalue())
