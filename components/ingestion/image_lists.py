"""Lists of images for the workers: a file per shard, in an order that mixes classes.

Memory does not grow with the number of images: what is too much is sorted on disk.
"""

from __future__ import annotations

import hashlib
import json
import math
import mmap
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import NamedTuple

from graft.components.ingestion.sources.image_ref import ImageRef, printable
from graft.storage import atomic, files
from graft.storage.paths import join
from graft.storage.sorted_lines import Row, SortedLines

_SHARD_BYTES = 128 * 2**20
_SHARD_IMAGES = 20_000
_NUM_SIZES = 2**24
"""Sizes that are told apart. Larger files share the number of a smaller one."""
# How a line of a list begins.
_CANDIDATE = "="
_OTHER = " "


class ShardTask(NamedTuple):
    """The images of one shard.

    Attributes:
        list_path: File of one image per line; see `read_list`.
        begin: Position of its first line in the list of all images.
        number: Number of the shard, from 0.
        total: Number of shards.
    """

    list_path: str
    begin: int
    number: int
    total: int


class ImageLists(NamedTuple):
    """The lists of all images, and what was counted.

    Attributes:
        tasks: The shards.
        num_images: Number of images.
        num_candidates: Number of images that may be copies of another one.
        by_class: Number of images by class name.
        free_by_class: The same, without images whose split is given.
    """

    tasks: list[ShardTask]
    num_images: int
    num_candidates: int
    by_class: Counter[str]
    free_by_class: Counter[str]


class Sizes:
    """Which sizes in bytes several images have. Its memory is bounded."""

    def __init__(self) -> None:
        # Pages that hold no size take no memory.
        self._numbers = mmap.mmap(-1, _NUM_SIZES)
        self._is_any_unknown = False

    def add(self, size: int | None) -> None:
        """Count an image; None is an unknown size."""
        if size is None:
            self._is_any_unknown = True
        elif self._numbers[size % _NUM_SIZES] < 2:
            self._numbers[size % _NUM_SIZES] += 1

    def may_be_copy(self, size: int | None) -> bool:
        """Return whether another image may have the same bytes."""
        # Empty files are all equal, but they are not images.
        if size == 0:
            return False
        if size is None or self._is_any_unknown:
            return True
        return self._numbers[size % _NUM_SIZES] > 1


def write_lists(
    refs: Iterable[ImageRef], work_folder: str, min_shards: int
) -> ImageLists:
    """Write the lists of all images, in the order of a hash of their names.

    Args:
        refs: The images.
        work_folder: Folder of the lists, which the workers see.
        min_shards: Number of shards that keeps all workers busy.
    """
    sizes = Sizes()
    by_class: Counter[str] = Counter()
    free: Counter[str] = Counter()
    num_bytes = num_candidates = 0
    with SortedLines() as lines:
        for ref in refs:
            sizes.add(ref.size)
            num_bytes += ref.size or 0
            by_class[ref.class_name] += 1
            if len(ref.splits) > 1:
                free[ref.class_name] += 1
            size = "" if ref.size is None else ref.size
            lines.add(shuffle_key(printable(ref.name)), f"{size}{ref.to_json()}")
        tasks = _tasks(by_class.total(), num_bytes, work_folder, "images", min_shards)
        rows = iter(lines)
        for task, number in _with_lengths(tasks, by_class.total()):
            with atomic.replacing(task.list_path) as path, open(path, "w") as file:
                for line in _marked(islice(rows, number), sizes):
                    num_candidates += line.startswith(_CANDIDATE)
                    file.write(line)
    return ImageLists(tasks, by_class.total(), num_candidates, by_class, free)


def _marked(rows: Iterable[Row], sizes: Sizes) -> Iterator[str]:
    for row in rows:
        size, bracket, rest = row.line.partition("[")
        is_candidate = sizes.may_be_copy(int(size) if size else None)
        yield f"{_CANDIDATE if is_candidate else _OTHER}{bracket}{rest}\n"


def write_plain_lists(
    refs: Sequence[ImageRef], work_folder: str, what: str, min_shards: int
) -> list[ShardTask]:
    """Write a list in its order as files of about equal length, one per shard."""
    num_bytes = sum(ref.size or 0 for ref in refs)
    tasks = _tasks(len(refs), num_bytes, work_folder, what, min_shards)
    for task, number in _with_lengths(tasks, len(refs)):
        found = refs[task.begin : task.begin + number]
        text = "".join(f"{_CANDIDATE}{ref.to_json()}\n" for ref in found)
        atomic.write_text(task.list_path, text)
    return tasks


def shuffle_key(name: str) -> str:
    """Return what images are sorted by, which mixes classes.

    Args:
        name: The printable name of an image.
    """
    return hashlib.sha256(json.dumps(name).encode()).hexdigest()


def read_list(path: str) -> Iterator[ImageRef]:
    """Read the images of a list."""
    with files.open_for_reading(path) as file:
        for line in file:
            yield ImageRef.from_json(line[1:])


def read_candidates(path: str) -> Iterator[tuple[ImageRef, int]]:
    """Read the images of a list that may be copies, each with its position in it."""
    candidate = ord(_CANDIDATE)
    with files.open_for_reading(path) as file:
        for position, line in enumerate(file):
            if line[0] == candidate:
                yield ImageRef.from_json(line[1:]), position


def _tasks(
    number: int, num_bytes: int, work_folder: str, what: str, min_shards: int
) -> list[ShardTask]:
    total = max(
        min_shards,
        math.ceil(num_bytes / _SHARD_BYTES),
        math.ceil(number / _SHARD_IMAGES),
    )
    total = min(total, max(1, number))
    return [
        ShardTask(
            join(work_folder, f"{what}-{index:05d}.jsonl"),
            number * index // total,
            index,
            total,
        )
        for index in range(total)
    ]


def _with_lengths(
    tasks: list[ShardTask], number: int
) -> Iterator[tuple[ShardTask, int]]:
    ends = [*(task.begin for task in tasks[1:]), number]
    for task, end in zip(tasks, ends, strict=True):
        yield task, end - task.begin
