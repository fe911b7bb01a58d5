"""Ingestion without TFX: list images, drop copies, read, check, write and count."""

from __future__ import annotations

import bisect
import hashlib
import json
import logging
import math
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any, NamedTuple

import apache_beam as beam
import tensorflow as tf
from google.protobuf import text_format

from graft.components import progress
from graft.components.beam_jobs import Job, job
from graft.components.ingestion.artifacts import (
    DUPLICATES_FILE,
    QUARANTINE_FILE,
    SUMMARY_FILE,
)
from graft.components.ingestion.contract import SCHEMA_FILE_NAME, example_schema
from graft.components.ingestion.deduplication import (
    CopyGroup,
    copy_candidates,
    drop_copies,
    quarantine_copies,
)
from graft.components.ingestion.fixes.applied_fixes import FIXES_FILE
from graft.components.ingestion.fixes.fix_rows import read_fix_files
from graft.components.ingestion.fixes.label_fixes import apply_fixes
from graft.components.ingestion.listing import list_images
from graft.components.ingestion.moving import Move, MoveImages, MoveTask, plan_moves
from graft.components.ingestion.rare_classes import largest_rare_class
from graft.components.ingestion.shards import ShardFolders
from graft.components.ingestion.sources.config import DataConfig
from graft.components.ingestion.sources.image_ref import ImageRef
from graft.components.ingestion.sources.source import Listing
from graft.components.ingestion.summary import (
    Summary,
    require_usable,
    select_classes,
    summarise,
)
from graft.components.ingestion.tables.manifests import folder_of
from graft.components.ingestion.tables.wrong_start import require_right_start
from graft.components.ingestion.transforms import (
    QUARANTINED_TAG,
    HashImages,
    Quarantined,
    ShardCounts,
    ShardTask,
    WriteJson,
    WriteShards,
)
from graft.contract.errors import UserError
from graft.storage import atomic, files
from graft.storage.paths import join

logger = logging.getLogger(__name__)

_WORK_FOLDER = "work"
_SHARD_BYTES = 128 * 2**20
_SHARD_IMAGES = 20_000


class OutputFolders(NamedTuple):
    """Folders of the outputs, local or remote.

    Attributes:
        examples: Whole examples.
        metadata: The same without the images' bytes.
        schema: The schema of an example.
        quarantine: Unusable images, and all counts; see `ImageQuarantine`.
    """

    examples: str
    metadata: str
    schema: str
    quarantine: str


def ingest(
    config: DataConfig,
    outputs: OutputFolders,
    make_pipeline: Callable[[], beam.Pipeline],
    min_shards: int = 1,
) -> Summary:
    """Turn labelled images into checked examples in three splits.

    Args:
        config: The data.
        outputs: Folders to write. They are emptied first, and if the run fails.
        make_pipeline: Makes a Beam pipeline, one per step.
        min_shards: Number of shards that keeps all workers busy. It does not change
            which images are in a split, nor their order.

    Returns:
        The summary, which is also written.

    Raises:
        DataError: The data can't be used.
        UserError: The disk is full.
    """
    # Not in the folder of a split: all files there are read as data.
    work_folder = join(outputs.examples, _WORK_FOLDER)
    for folder in outputs:
        _empty_folder(folder)
    try:
        files.make_folder(work_folder)
        run = _Ingestion(config, outputs, work_folder, make_pipeline, min_shards)
        return run.run()
    except Exception as error:
        for folder in outputs:
            _empty_folder(folder)
        if _is_disk_full(error):
            raise UserError(
                f"The disk of the pipeline's output is full: {outputs.examples!r}. "
                "Free some space, or choose another output."
            ) from error
        raise
    finally:
        files.remove_folder(work_folder)


class _Ingestion:
    def __init__(
        self,
        config: DataConfig,
        outputs: OutputFolders,
        work_folder: str,
        make_pipeline: Callable[[], beam.Pipeline],
        min_shards: int,
    ) -> None:
        self._config = config
        self._outputs = outputs
        self._work_folder = work_folder
        self._make_pipeline = make_pipeline
        self._min_shards = min_shards
        self._progress = progress.current()
        self._folders = ShardFolders(outputs.examples, outputs.metadata, work_folder)

    def run(self) -> Summary:
        config, outputs, work_folder = self._config, self._outputs, self._work_folder
        listing = list_images(config, work_folder)
        if listing.layout in ("csv", "jsonl"):
            require_right_start(listing.refs, config, folder_of(config.path))
        self._fix_labels(listing)
        usable = select_classes(listing, config)
        refs, groups = self._without_copies(usable)
        # Shuffle, so that each part of each shard mixes classes.
        refs.sort(key=_shuffle_key)
        logger.info("Reading %d images of %d listed.", len(refs), len(listing.refs))
        self._progress.expect("images", len(refs))
        tasks = _write_lists(refs, work_folder, "images", self._min_shards)
        counts_path = join(work_folder, "counts.json")
        quarantined_path = join(work_folder, "quarantined.json")
        with self._job() as running:
            shards = (
                running.pipeline
                | "Shards" >> beam.Create(tasks)
                | WriteShards(
                    config, self._folders, self._rare_classes(refs), self._progress
                )
            )
            shards.counts | "Counts" >> WriteJson(counts_path)
            shards[QUARANTINED_TAG] | "Quarantined" >> WriteJson(quarantined_path)
        quarantined = sorted(
            (Quarantined(*row) for row in _read_json(quarantined_path)),
            key=lambda image: image.filename,
        )
        counts = [ShardCounts(*row) for row in _read_json(counts_path)]
        moves = self._fill_empty_splits(refs, tasks, counts, groups)
        num_bad_read = len(quarantined)
        quarantined, groups = quarantine_copies(quarantined, groups, usable)
        summary = summarise(
            listing,
            refs,
            counts,
            quarantined,
            groups,
            moves=moves,
            num_bad_copies=len(quarantined) - num_bad_read,
        )
        for warning in summary.warnings:
            logger.warning("%s", warning)
        require_usable(summary, quarantined, config)
        atomic.write_text(
            join(outputs.schema, SCHEMA_FILE_NAME),
            text_format.MessageToString(example_schema()),
        )
        _write_quarantine(outputs.quarantine, summary, quarantined, groups)
        return summary

    def _job(self) -> AbstractContextManager[Job]:
        reports = join(self._work_folder, "progress")
        return job(self._make_pipeline(), self._progress, reports)

    def _fix_labels(self, listing: Listing) -> None:
        """Apply label fixes. Copies are found later, under the labels of the fixes."""
        fix_files = read_fix_files(self._config.label_fixes)
        if not fix_files:
            return
        applied = apply_fixes(listing, fix_files, self._config, self._hash_images)
        path = join(self._outputs.examples, FIXES_FILE)
        atomic.write_text(path, applied.to_json())

    def _without_copies(
        self, refs: list[ImageRef]
    ) -> tuple[list[ImageRef], list[CopyGroup]]:
        candidates = copy_candidates(refs)
        if not candidates:
            return refs, []
        found = self._hash_images([refs[candidate] for candidate in candidates])
        hashes = {candidates[position]: found[position] for position in found}
        return drop_copies(refs, hashes, self._config)

    def _hash_images(self, refs: list[ImageRef]) -> dict[int, str]:
        """Return the content hashes of images by position, without unreadable ones."""
        config, work_folder = self._config, self._work_folder
        self._progress.expect("files compared", len(refs))
        tasks = _write_lists(refs, work_folder, "hashed", self._min_shards)
        hashes_path = join(work_folder, "hashes.json")
        with self._job() as running:
            _ = (
                running.pipeline
                | "Lists" >> beam.Create(tasks)
                | HashImages(config, self._progress)
                | "Hashes" >> WriteJson(hashes_path)
            )
        return {
            position: content_hash
            for found in _read_json(hashes_path)
            for position, content_hash in found
            if content_hash is not None
        }

    def _rare_classes(self, refs: list[ImageRef]) -> frozenset[str]:
        """Return the classes that hashing may leave without images in a split."""
        numbers = Counter(ref.class_name for ref in refs if len(ref.splits) > 1)
        most = largest_rare_class(self._config.splits)
        return frozenset(name for name, number in numbers.items() if number <= most)

    def _fill_empty_splits(
        self,
        refs: list[ImageRef],
        tasks: list[ShardTask],
        shards: list[ShardCounts],
        groups: list[CopyGroup],
    ) -> list[Move]:
        """Give each class an image in every split; return the moved images."""
        counts: Counter[tuple[str, str]] = Counter()
        for shard in shards:
            for split, class_name, number in shard.images:
                counts[split, class_name] += number
        moves = plan_moves(
            refs,
            ((position, found) for shard in shards for position, found in shard.rare),
            counts,
            {group.content_hash for group in groups if len(group.kept) > 1},
            self._config.splits,
        )
        if not moves:
            return moves
        by_shard: dict[int, list[Move]] = defaultdict(list)
        begins = [task.begin for task in tasks]
        for move in moves:
            by_shard[bisect.bisect_right(begins, move.position) - 1].append(move)
        work = [MoveTask(n, len(tasks), found) for n, found in by_shard.items()]
        with self._job() as running:
            _ = running.pipeline | beam.Create(work) | MoveImages(self._folders)
        return moves


def _shuffle_key(ref: ImageRef) -> bytes:
    return hashlib.sha256(json.dumps(ref.name).encode()).digest()


def _write_lists(
    refs: Sequence[ImageRef], work_folder: str, what: str, min_shards: int
) -> list[ShardTask]:
    """Write a list as files of about equal length, one per shard."""
    num_bytes = sum(ref.size or 0 for ref in refs)
    total = max(
        min_shards,
        math.ceil(num_bytes / _SHARD_BYTES),
        math.ceil(len(refs) / _SHARD_IMAGES),
    )
    total = min(total, max(1, len(refs)))
    tasks = []
    for index in range(total):
        begin, end = (len(refs) * i // total for i in (index, index + 1))
        path = join(work_folder, f"{what}-{index:05d}.jsonl")
        atomic.write_text(
            path, "".join(ref.to_json() + "\n" for ref in refs[begin:end])
        )
        tasks.append(ShardTask(path, begin, index, total))
    return tasks


def _read_json(path: str) -> Any:
    return json.loads(files.read_text(path))


def _write_quarantine(
    uri: str,
    summary: Summary,
    quarantined: list[Quarantined],
    groups: list[CopyGroup],
) -> None:
    bad_lines = [
        json.dumps(
            {
                "filename": image.filename,
                "class_name": image.class_name,
                "reason": image.reason,
                "bytes": image.num_bytes,
            }
        )
        for image in quarantined
    ]
    copy_lines = [json.dumps(group._asdict()) for group in groups]
    for name, lines in (
        (QUARANTINE_FILE, bad_lines),
        (DUPLICATES_FILE, copy_lines),
    ):
        atomic.write_text(join(uri, name), "".join(line + "\n" for line in lines))
    # Last: if it exists, all files exist.
    atomic.write_text(
        join(uri, SUMMARY_FILE),
        json.dumps(summary.to_dict(), indent=2, ensure_ascii=False) + "\n",
    )


def _empty_folder(folder: str) -> None:
    """Remove the content of a folder, for instance of a killed run."""
    if not files.exists(folder):
        return
    for name in files.list_folder(folder):
        path = join(folder, name)
        if files.is_folder(path):
            files.remove_folder(path)
        else:
            files.remove_file(path)


def _is_disk_full(error: BaseException | None) -> bool:
    """Tell whether a full disk caused an error. Beam keeps only the text of errors."""
    while error is not None:
        if isinstance(error, tf.errors.ResourceExhaustedError):
            return True
        if "No space left on device" in str(error):
            return True
        error = error.__cause__ or error.__context__
    return False
