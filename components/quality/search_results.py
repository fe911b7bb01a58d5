"""The near-copies that were found, here or on a cluster."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from graft.components.quality.cells import Pairs
from graft.components.quality.config import DataQualityConfig
from graft.components.quality.image_table import ImageTable
from graft.components.quality.links import groups_of
from graft.components.quality.near_copies import CopyGroups, find_copies
from graft.components.quality.search_job import ROW, index_of
from graft.components.quality.signature import SIGNATURE, Signatures
from graft.storage import files
from graft.storage.mapped_rows import MappedRows

_ROWS_AT_ONCE = 1 << 14


@dataclass(frozen=True)
class NearCopies:
    """Images that may have near-copies, and their groups.

    Attributes:
        images: int (M,), the images by index, in order. What is not there has none.
        signatures: Of these images.
        groups: Of these images.
    """

    images: np.ndarray
    signatures: Signatures
    groups: CopyGroups

    @classmethod
    def none(cls, config: DataQualityConfig) -> NearCopies:
        """Return the result of a search among no images."""
        rows = np.empty(0, SIGNATURE)
        return cls(
            np.empty(0, np.int64),
            Signatures(rows, config.max_distance, config.min_contrast),
            CopyGroups(np.empty(0, np.int32)),
        )


def search_here(images: ImageTable, config: DataQualityConfig) -> NearCopies:
    """Search for near-copies in this process."""
    signatures = Signatures(
        images.numbers["signature"], config.max_distance, config.min_contrast
    )
    return NearCopies(np.arange(len(images)), signatures, find_copies(signatures))


@contextlib.contextmanager
def found_on_workers(
    folder: str, first_of_shard: np.ndarray, config: DataQualityConfig
) -> Iterator[NearCopies]:
    """Yield what `search_job` has found.

    Memory is 60 bytes for each pair of the files. Signatures are in a mapped file.

    Args:
        folder: The folder with the files of the job.
        first_of_shard: int64 (shards + 1,), the index of the first image of each shard,
            and the number of all images.
        config: The config of the search.

    Raises:
        RuntimeError: Not all images were searched.
    """
    with MappedRows() as rows, MappedRows() as signatures:
        rows.append(np.empty(0, ROW))
        signatures.append(np.empty(0, SIGNATURE))
        found = _read(folder, rows)
        if not found.num_given == found.num_searched == first_of_shard[-1]:
            raise RuntimeError(
                f"of {first_of_shard[-1]} images, {found.num_given} were read and "
                f"{found.num_searched} searched for near-copies"
            )
        first, second = found.pairs
        images = np.unique(np.concatenate([first, second]))
        ends = np.searchsorted(images, first), np.searchsorted(images, second)
        _order(rows.array(), images, signatures)
        yield NearCopies(
            index_of(images, first_of_shard),
            Signatures(signatures.array(), config.max_distance, config.min_contrast),
            CopyGroups(groups_of(ends, len(images)), len(found.not_compared)),
        )


@dataclass(frozen=True)
class _Found:
    """What the files of a job hold.

    Attributes:
        pairs: Pairs of near-copies, by `image_number`.
        not_compared: Images that were not compared with all others, each once.
        num_given: Number of images that the job read.
        num_searched: Number of images that are done: searched for in cells, or linked
            to one of equal values.
    """

    pairs: Pairs
    not_compared: np.ndarray
    num_given: int
    num_searched: int


def _read(folder: str, rows: MappedRows) -> _Found:
    none = np.empty(0, np.int64)
    pairs, not_compared = [(none, none)], [none]
    num_given = num_searched = 0
    for path in files.files_below(folder):
        with np.load(io.BytesIO(files.read_bytes(path)), allow_pickle=False) as part:
            pairs.append((part["first"], part["second"]))
            rows.append(part["rows"])
            not_compared.append(part["not_compared"])
            num_given += int(part["num_given"])
            num_searched += int(part["num_searched"])
    first, second = (np.concatenate(each) for each in zip(*pairs, strict=True))
    left_out = np.unique(np.concatenate(not_compared))
    return _Found((first, second), left_out, num_given, num_searched)


def _order(rows: np.ndarray, images: np.ndarray, signatures: MappedRows) -> None:
    """Collect the signature of each image. An image may have several rows."""
    found, places = np.unique(rows["image"], return_index=True)
    if not np.array_equal(found, images):
        raise RuntimeError("some near-copies have no signature")
    for start in range(0, len(places), _ROWS_AT_ONCE):
        signatures.append(rows["signature"][places[start : start + _ROWS_AT_ONCE]])
