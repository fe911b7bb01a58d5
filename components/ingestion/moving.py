"""Count the written images by class, and move images of rare classes to empty splits.

Images move without being decoded again.
"""

from __future__ import annotations

import heapq
import json
from collections.abc import Iterable, Iterator
from operator import attrgetter
from typing import NamedTuple

import apache_beam as beam
import tensorflow as tf

from graft.components.ingestion.image_lists import shuffle_key
from graft.components.ingestion.packing import Packed, pack, unpack
from graft.components.ingestion.rare_classes import fill_empty_splits
from graft.components.ingestion.shards import EXAMPLES, KINDS, METADATA, ShardFolders
from graft.components.ingestion.sources.config import SplitPercentages
from graft.components.ingestion.sources.splitting import choose_split
from graft.components.ingestion.transforms import ClassRow
from graft.contract import example_keys
from graft.contract.split_names import SPLITS
from graft.storage import atomic, tfrecords
from graft.storage.paths import join

CLASSES_FILES = "classes-{number:05d}.jsonl"


class Move(NamedTuple):
    """An image that moves from the split of its hash to another one.

    Attributes:
        shard: Number of its shard.
        class_name: Class name.
        content_hash: SHA-256 of the bytes.
        before: The split of its hash.
        after: The new split.
    """

    shard: int
    class_name: str
    content_hash: str
    before: str
    after: str


class ClassCounts(NamedTuple):
    """What all shards hold of one class.

    Attributes:
        class_name: Class name.
        counts: Number of images, in the order of `SPLITS`, after the moves.
        num_bytes: Size of the encoded images.
        num_moved: Number of images that moved.
    """

    class_name: str
    counts: list[int]
    num_bytes: int
    num_moved: int


class FillEmptySplits(beam.PTransform):
    """Give each rare class an image in every split.

    In: packed `ClassRow`s of all shards. Files of `ClassCounts` are written, and shards
    are written again for the images that move; their numbers come out.
    """

    def __init__(
        self,
        folders: ShardFolders,
        work_folder: str,
        percentages: SplitPercentages,
        num_shards: int,
    ) -> None:
        super().__init__()
        self._folders = folders
        self._work_folder = work_folder
        self._percentages = percentages
        self._num_shards = num_shards

    def expand(self, classes: beam.PCollection) -> beam.PCollection:
        """Apply it to packed rows."""
        return (
            classes
            | "ByClass" >> beam.GroupByKey()
            | "Plan" >> beam.FlatMap(_plan, self._work_folder, self._percentages)
            | "ByShard" >> beam.GroupByKey()
            | "Move" >> beam.Map(_move, self._folders, self._num_shards)
        )


def plan_moves(
    rows: Iterable[ClassRow], percentages: SplitPercentages
) -> tuple[list[ClassCounts], list[Move]]:
    """Choose the images that fill splits without an image of their class.

    Args:
        rows: What shards hold, with all rows of each class.
        percentages: Shares of the splits.

    Returns:
        The counts after the moves, and the moves, both sorted.
    """
    classes: dict[str, ClassRow] = {}
    for row in rows:
        before = classes.get(row.class_name, ClassRow(row.class_name, [0, 0, 0], 0, []))
        classes[row.class_name] = ClassRow(
            row.class_name,
            [a + b for a, b in zip(before.counts, row.counts, strict=True)],
            before.num_bytes + row.num_bytes,
            [*before.movable, *row.movable],
        )
    counts, moves = [], []
    for name, row in sorted(classes.items()):
        by_split = dict(zip(SPLITS, row.counts, strict=True))
        movable = {
            content_hash: (shard, splits)
            for shard, content_hash, splits in sorted(row.movable)
        }
        found = fill_empty_splits(
            by_split,
            {content_hash: splits for content_hash, (_, splits) in movable.items()},
            percentages,
        )
        for content_hash, after in found.items():
            shard, splits = movable[content_hash]
            before_it = choose_split(content_hash, splits, percentages)
            by_split[before_it] -= 1
            by_split[after] += 1
            moves.append(Move(shard, name, content_hash, before_it, after))
        numbers = [by_split[split] for split in SPLITS]
        counts.append(ClassCounts(name, numbers, row.num_bytes, len(found)))
    return counts, sorted(moves)


def _plan(
    classes: tuple[int, Iterable[bytes]],
    work_folder: str,
    percentages: SplitPercentages,
) -> Iterator[Packed]:
    number, packed = classes
    rows = (
        ClassRow(name, counts, num_bytes, [(n, h, tuple(s)) for n, h, s in movable])
        for name, counts, num_bytes, movable in unpack(packed)
    )
    counts, moves = plan_moves(rows, percentages)
    text = "".join(f"{json.dumps(each)}\n" for each in counts)
    atomic.write_text(join(work_folder, CLASSES_FILES.format(number=number)), text)
    yield from pack((move.shard, move) for move in moves)


def _move(
    moving: tuple[int, Iterable[bytes]], folders: ShardFolders, total: int
) -> int:
    number, packed = moving
    moves = [Move(*row) for row in unpack(packed)]
    shard = {"number": number, "total": total}
    unmoved = {
        (kind, split): folders.set_aside(kind, split, **shard)
        for kind in KINDS
        for split in SPLITS
    }
    after = {(m.class_name, m.content_hash): m.after for m in moves}
    with folders.writers(**shard) as writers:
        splits = [
            _records(split, unmoved[METADATA, split], unmoved[EXAMPLES, split])
            for split in SPLITS
        ]
        # In the order of the shuffle, which does not depend on the number of shards.
        for record in heapq.merge(*splits, key=attrgetter("order")):
            split = after.get(record.key, record.split)
            writers[METADATA, split].write(record.metadata)
            writers[EXAMPLES, split].write(record.whole)
    return number


class _Record(NamedTuple):
    order: str
    key: tuple[str, str]
    split: str
    metadata: bytes
    whole: bytes


def _records(split: str, metadata_path: str, whole_path: str) -> Iterator[_Record]:
    """Yield the records of both files, which are in the same order."""
    pairs = zip(tfrecords.read(metadata_path), tfrecords.read(whole_path), strict=True)
    for metadata, whole in pairs:
        feature = tf.train.Example.FromString(metadata).features.feature
        name, class_name, content_hash = (
            feature[key].bytes_list.value[0].decode()
            for key in (
                example_keys.FILENAME_KEY,
                example_keys.CLASS_NAME_KEY,
                example_keys.CONTENT_HASH_KEY,
            )
        )
        order = shuffle_key(name)
        yield _Record(order, (class_name, content_hash), split, metadata, whole)
