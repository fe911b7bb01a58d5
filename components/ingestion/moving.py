"""Move written images to other splits without decoding them again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import apache_beam as beam
import tensorflow as tf

from graft.components.ingestion.rare_classes import fill_empty_splits
from graft.components.ingestion.shards import EXAMPLES, KINDS, METADATA, ShardFolders
from graft.components.ingestion.sources.config import SplitPercentages
from graft.components.ingestion.sources.image_ref import ImageRef
from graft.components.ingestion.sources.splitting import choose_split
from graft.contract import example_keys
from graft.contract.split_names import SPLITS
from graft.storage import tfrecords


class Move(NamedTuple):
    """An image that moves from the split of its hash to another one.

    Attributes:
        position: Position in the list of all images.
        class_name: Class name.
        content_hash: SHA-256 of the bytes.
        before: The split of its hash.
        after: The new split.
    """

    position: int
    class_name: str
    content_hash: str
    before: str
    after: str


class MoveTask(NamedTuple):
    """The moves within one shard.

    Attributes:
        number: Number of the shard, from 0.
        total: Number of shards.
        moves: The images to move.
    """

    number: int
    total: int
    moves: list[Move]


def plan_moves(
    refs: Sequence[ImageRef],
    hashes: Iterable[tuple[int, str]],
    counts: Mapping[tuple[str, str], int],
    several_labels: set[str],
    percentages: SplitPercentages,
) -> list[Move]:
    """Choose the images that fill splits without an image of their class.

    Args:
        refs: All images.
        hashes: Positions in `refs` and content hashes of written images of rare
            classes, without those whose split is given.
        counts: Number of written images by split and class name.
        several_labels: Content hashes of images with several labels. They never move,
            because all copies must be in the same split.
        percentages: Shares of the splits.

    Returns:
        The moves, in the order of the positions.
    """
    images: dict[str, dict[str, int]] = {}
    for position, content_hash in hashes:
        if content_hash not in several_labels:
            by_hash = images.setdefault(refs[position].class_name, {})
            by_hash[content_hash] = position
    moves: list[Move] = []
    for class_name, positions in images.items():
        movable = {c: refs[position].splits for c, position in positions.items()}
        found = fill_empty_splits(
            {split: counts.get((split, class_name), 0) for split in SPLITS},
            movable,
            percentages,
        )
        moves.extend(
            Move(
                positions[content_hash],
                class_name,
                content_hash,
                choose_split(content_hash, movable[content_hash], percentages),
                split,
            )
            for content_hash, split in found.items()
        )
    return sorted(moves)


class MoveImages(beam.PTransform):
    """Rewrite shards with images in other splits: MoveTasks in, shard numbers out.

    Example:
        tasks | MoveImages(ShardFolders(examples, metadata, work))
    """

    def __init__(self, folders: ShardFolders) -> None:
        super().__init__()
        self._folders = folders

    def expand(self, tasks: beam.PCollection) -> beam.PCollection:
        """Apply it to a collection of `MoveTask`."""
        return tasks | "Move" >> beam.Map(_move, self._folders)


def _move(task: MoveTask, folders: ShardFolders) -> int:
    shard = {"number": task.number, "total": task.total}
    unmoved = {
        (kind, split): folders.set_aside(kind, split, **shard)
        for kind in KINDS
        for split in SPLITS
    }
    split_of = {(m.class_name, m.content_hash): m.after for m in task.moves}
    with folders.writers(**shard) as writers:
        for split in SPLITS:
            # The records of both files are in the same order.
            pairs = zip(
                tfrecords.read(unmoved[METADATA, split]),
                tfrecords.read(unmoved[EXAMPLES, split]),
                strict=True,
            )
            for metadata, whole in pairs:
                after = split_of.get(_key_of(metadata), split)
                writers[METADATA, after].write(metadata)
                writers[EXAMPLES, after].write(whole)
    return task.number


def _key_of(metadata: bytes) -> tuple[str, str]:
    """Return class name and content hash of a record."""
    feature = tf.train.Example.FromString(metadata).features.feature
    class_name, content_hash = (
        feature[key].bytes_list.value[0].decode()
        for key in (example_keys.CLASS_NAME_KEY, example_keys.CONTENT_HASH_KEY)
    )
    return class_name, content_hash
