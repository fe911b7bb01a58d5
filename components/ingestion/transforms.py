"""The Beam transform that reads, checks and writes images.

Workers exchange rows of small facts. The bytes of an image never leave the worker that
read them. So memory does not grow with the data.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from typing import Any, NamedTuple

import apache_beam as beam
import tensorflow as tf

from graft.components.ingestion.copy_search import Quarantined, findings_from
from graft.components.ingestion.deduplication import CopyFindings, Decision
from graft.components.ingestion.image_lists import ShardTask, read_list
from graft.components.ingestion.packing import pack, range_of, unpack
from graft.components.ingestion.rare_classes import largest_rare_class
from graft.components.ingestion.readability import examine
from graft.components.ingestion.reading import PooledFn
from graft.components.ingestion.shards import EXAMPLES, METADATA, ShardFolders
from graft.components.ingestion.sources.config import DataConfig
from graft.components.ingestion.sources.image_ref import ImageRef, printable, read_bytes
from graft.components.ingestion.sources.splitting import choose_split
from graft.components.progress import Progress
from graft.contract import example_keys
from graft.contract.split_names import SPLITS
from graft.storage import atomic, hashing
from graft.storage.paths import join
from graft.trainer.decoding.from_bytes import ImageHeader, check_pixels

METRICS_NAMESPACE = "graft.ImageExampleGen"
BAD_TAG = "bad"
QUARANTINE_FILES = "quarantined-{number:05d}.jsonl"
# Larger images are decoded one at a time, to limit memory.
_LARGE_IMAGE_PIXELS = 16_000_000


class CheckedImage(NamedTuple):
    """A readable image."""

    encoded: bytes
    content_hash: str
    header: ImageHeader


class ClassRow(NamedTuple):
    """What one shard holds of one class.

    Attributes:
        class_name: Class name.
        counts: Number of written images, in the order of `SPLITS`.
        num_bytes: Size of the encoded images.
        movable: Shard, content hash and allowed splits of each image that may move to
            another split; only for rare classes.
    """

    class_name: str
    counts: list[int]
    num_bytes: int
    movable: list[tuple[int, str, tuple[str, ...]]]


class WriteShards(beam.PTransform):
    """Read, check and write images.

    Each task becomes two files per split: with and without the images' bytes. A file
    gets its final name when it is complete. In: the shards' numbers with all that is
    known of each, a packed `ShardTask` and packed `Decision`s. Out: `ClassRow`s, packed
    by ranges of the class name's hash, and by `BAD_TAG` the copies that can't be used,
    for `SettleCopies`. Other images that can't be used go to files.
    """

    def __init__(
        self,
        config: DataConfig,
        folders: ShardFolders,
        work_folder: str,
        free_by_class: Counter[str],
        progress: Progress,
    ) -> None:
        """Choose what is written.

        Args:
            config: The data.
            folders: The folders of the shards.
            work_folder: Folder for the images that can't be used.
            free_by_class: Number of listed images whose split the hash decides.
            progress: Counts the images.
        """
        super().__init__()
        self._fn = _WriteShardFn(config, folders, work_folder, free_by_class, progress)
        self._findings: beam.PCollection | None = None

    def with_findings(self, findings: beam.PCollection | None) -> WriteShards:
        """Give it the findings of the search for copies; None if there was none."""
        self._findings = findings
        return self

    def expand(self, shards: beam.PCollection) -> beam.pvalue.DoOutputsTuple:
        """Apply it to shards."""
        found = self._findings and beam.pvalue.AsSingleton(self._findings)
        return shards | "ReadCheckWrite" >> beam.ParDo(self._fn, found).with_outputs(
            BAD_TAG, main="classes"
        )


def to_example(image: CheckedImage, ref: ImageRef) -> tuple[bytes, bytes]:
    """Serialize an image as a tf.Example with and without its bytes.

    Returns:
        The whole example, and the same without `example_keys.IMAGE_KEY`.
    """
    example = tf.train.Example()
    feature = example.features.feature
    for key, text in (
        (example_keys.FORMAT_KEY, image.header.format),
        (example_keys.FILENAME_KEY, printable(ref.name)),
        (example_keys.CLASS_NAME_KEY, ref.class_name),
        (example_keys.CONTENT_HASH_KEY, image.content_hash),
        (example_keys.SOURCE_KEY, printable(ref.source)),
        *(
            (example_keys.COLUMN_PREFIX + column, value)
            for column, value in ref.columns
        ),
    ):
        feature[key].bytes_list.value.append(text.encode())
    feature[example_keys.HEIGHT_KEY].int64_list.value.append(image.header.height)
    feature[example_keys.WIDTH_KEY].int64_list.value.append(image.header.width)
    metadata = example.SerializeToString(deterministic=True)
    feature[example_keys.IMAGE_KEY].bytes_list.value.append(image.encoded)
    return example.SerializeToString(deterministic=True), metadata


class _WriteShardFn(PooledFn):
    def __init__(
        self,
        config: DataConfig,
        folders: ShardFolders,
        work_folder: str,
        free_by_class: Counter[str],
        progress: Progress,
    ) -> None:
        super().__init__(config, progress)
        self._folders = folders
        self._work_folder = work_folder
        self._free_by_class = free_by_class
        self._num_written = beam.metrics.Metrics.counter(
            METRICS_NAMESPACE, "images_written"
        )
        self._num_quarantined = beam.metrics.Metrics.counter(
            METRICS_NAMESPACE, "images_quarantined"
        )

    def process(
        self, shard: tuple[int, Iterable[tuple[bool, bytes]]], findings: bytes | None
    ) -> Iterable[Any]:
        found = findings_from(findings) if findings else None
        task, decisions = _task_and_decisions(shard[1])
        # Copies that a policy refuses end the run with a message.
        if task is None or (found is not None and found.refused):
            return []
        return self._write(task, decisions, self._rare_classes(found))

    def _rare_classes(self, found: CopyFindings | None) -> frozenset[str]:
        """Return the classes that hashing may leave without images in a split."""
        less = found.less_free if found is not None else Counter[str]()
        most = largest_rare_class(self._config.splits)
        return frozenset(
            name
            for name, number in self._free_by_class.items()
            if number - less[name] <= most
        )

    def _write(
        self,
        task: ShardTask,
        decisions: dict[int, Decision],
        rare_classes: frozenset[str],
    ) -> Iterator[Any]:
        counts: dict[str, list[int]] = defaultdict(lambda: [0] * len(SPLITS))
        num_bytes: Counter[str] = Counter()
        movable: dict[str, list[tuple[int, str, tuple[str, ...]]]] = defaultdict(list)
        bad: list[Quarantined] = []
        bad_copies: list[tuple[int, Any]] = []
        with self._folders.writers(task.number, task.total) as writers:
            images = self._kept(task, decisions)
            for ref, decision, image in self.in_order(self._check, images):
                self._progress.advance("images")
                if isinstance(image, ValueError):
                    self._num_quarantined.inc()
                    found = Quarantined(
                        printable(ref.name), ref.class_name, str(image), ref.size
                    )
                    bad.append(found)
                    if decision is not None:
                        content_hash = decision.content_hash
                        key = range_of(content_hash, task.total)
                        bad_copies.append((key, (content_hash, *found)))
                    continue
                split = choose_split(
                    image.content_hash, ref.splits, self._config.splits
                )
                whole, metadata = to_example(image, ref)
                writers[EXAMPLES, split].write(whole)
                writers[METADATA, split].write(metadata)
                self._num_written.inc()
                counts[ref.class_name][SPLITS.index(split)] += 1
                num_bytes[ref.class_name] += len(image.encoded)
                # All copies of an image must be in the same split.
                is_alone = decision is None or not decision.is_shared
                if ref.class_name in rare_classes and len(ref.splits) > 1 and is_alone:
                    movable[ref.class_name].append(
                        (task.number, image.content_hash, ref.splits)
                    )
        self._quarantine(task, bad)
        for packed in pack(bad_copies):
            yield beam.pvalue.TaggedOutput(BAD_TAG, packed)
        rows = [
            ClassRow(name, counts[name], num_bytes[name], movable.get(name, []))
            for name in sorted(counts)
        ]
        yield from pack(
            (range_of(hashing.hash_bytes(row.class_name.encode()), task.total), row)
            for row in rows
        )

    def _kept(
        self, task: ShardTask, decisions: dict[int, Decision]
    ) -> Iterator[tuple[ImageRef, Decision | None]]:
        for position, ref in enumerate(read_list(task.list_path)):
            decision = decisions.get(position)
            if decision is None:
                yield ref, None
            elif decision.splits:
                yield ref._replace(splits=decision.splits), decision
            else:
                self._progress.advance("images")

    def _quarantine(self, task: ShardTask, bad: list[Quarantined]) -> None:
        if bad:
            name = QUARANTINE_FILES.format(number=task.number)
            text = "".join(f"{json.dumps(image)}\n" for image in bad)
            atomic.write_text(join(self._work_folder, name), text)

    def _check(self, ref: ImageRef) -> CheckedImage:
        encoded = read_bytes(ref, self._config.max_file_bytes)
        header, num_pixels = examine(encoded, self._config.max_pixels)
        with self.large if num_pixels > _LARGE_IMAGE_PIXELS else nullcontext():
            check_pixels(encoded, header.format)
        return CheckedImage(encoded, hashing.hash_bytes(encoded), header)


def _task_and_decisions(
    values: Iterable[tuple[bool, bytes]],
) -> tuple[ShardTask | None, dict[int, Decision]]:
    task = None
    decisions: dict[int, Decision] = {}
    for is_task, packed in values:
        for row in unpack([packed]):
            if is_task:
                task = ShardTask(*row)
            else:
                shard, position, splits, content_hash, is_shared = row
                decisions[position] = Decision(
                    shard, position, tuple(splits), content_hash, is_shared
                )
    return task, decisions
