"""Ingestion without TFX: list images, drop copies, read, check, write and count."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any, NamedTuple

import apache_beam as beam
import tensorflow as tf
from google.protobuf import text_format

from graft.components import progress
from graft.components.beam_jobs import Job, job
from graft.components.ingestion.artifacts import SUMMARY_FILE
from graft.components.ingestion.contract import SCHEMA_FILE_NAME, example_schema
from graft.components.ingestion.copy_search import (
    FindCopies,
    HashImages,
    SettleCopies,
    findings_from,
)
from graft.components.ingestion.deduplication import require_allowed
from graft.components.ingestion.fixes.applied_fixes import FIXES_FILE
from graft.components.ingestion.fixes.fix_rows import read_fix_files
from graft.components.ingestion.fixes.label_fixes import apply_fixes
from graft.components.ingestion.image_lists import (
    ImageLists,
    ShardTask,
    write_lists,
    write_plain_lists,
)
from graft.components.ingestion.listing import list_images
from graft.components.ingestion.moving import FillEmptySplits
from graft.components.ingestion.packing import pack
from graft.components.ingestion.results import collect
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
from graft.components.ingestion.transforms import BAD_TAG, WriteShards
from graft.contract.errors import UserError
from graft.storage import atomic, files
from graft.storage.paths import join

logger = logging.getLogger(__name__)

_WORK_FOLDER = "work"


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
        num_listed = len(listing.refs)
        lists = write_lists(usable, work_folder, self._min_shards)
        # The lists are on disk now. Memory is for the work.
        listing.refs.clear()
        logger.info("Reading %d images of %d listed.", lists.num_images, num_listed)
        self._progress.expect("images", lists.num_images)
        dropped = self._read_and_write(lists)
        found = collect(work_folder, outputs.quarantine, lists.by_class, dropped)
        summary = summarise(listing, num_listed, found)
        for warning in summary.warnings:
            logger.warning("%s", warning)
        require_usable(summary, found.bad, config)
        atomic.write_text(
            join(outputs.schema, SCHEMA_FILE_NAME),
            text_format.MessageToString(example_schema()),
        )
        # Last: if it exists, all files exist.
        atomic.write_text(
            join(outputs.quarantine, SUMMARY_FILE),
            json.dumps(summary.to_dict(), indent=2, ensure_ascii=False) + "\n",
        )
        return summary

    def _read_and_write(self, lists: ImageLists) -> Mapping[str, int]:
        """Run the job; return the number of dropped copies by class name."""
        config, work_folder, tasks = self._config, self._work_folder, lists.tasks
        findings_path = join(work_folder, "findings.json")
        write = WriteShards(
            config, self._folders, work_folder, lists.free_by_class, self._progress
        )
        has_candidates = lists.num_candidates > 0
        with self._job() as running:
            shards = running.pipeline | "Shards" >> beam.Create(tasks)
            known = shards | "Tasks" >> beam.Map(_packed_task)
            if has_candidates:
                self._progress.expect("files compared", lists.num_candidates)
                copies = shards | FindCopies(config, self._progress)
                _ = copies.findings | beam.Map(_write_findings, findings_path)
                decided = copies.decisions | "Decisions" >> beam.MapTuple(_decided)
                known = (known, decided) | "Meet" >> beam.Flatten()
                known |= "ByShard" >> beam.GroupByKey()
                written = known | write.with_findings(copies.findings)
                _ = (copies.groups, written[BAD_TAG]) | SettleCopies(work_folder)
            else:
                written = known | "One" >> beam.MapTuple(_alone) | write
            _ = written.classes | FillEmptySplits(
                self._folders, work_folder, config.splits, len(tasks)
            )
        if not has_candidates:
            return {}
        findings = findings_from(files.read_bytes(findings_path))
        require_allowed(findings)
        return findings.dropped

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

    def _hash_images(self, refs: list[ImageRef]) -> dict[int, str]:
        """Return the content hashes of images by position, without unreadable ones."""
        config, work_folder = self._config, self._work_folder
        self._progress.expect("files compared", len(refs))
        tasks = write_plain_lists(refs, work_folder, "hashed", self._min_shards)
        hashes_path = join(work_folder, "hashes.json")
        with self._job() as running:
            _ = (
                running.pipeline
                | "Lists" >> beam.Create(tasks)
                | HashImages(config, self._progress)
                | "Gather" >> beam.combiners.ToList()
                | "Hashes" >> beam.Map(_write_json, hashes_path)
            )
        return {
            position: content_hash
            for found in json.loads(files.read_text(hashes_path))
            for position, content_hash in found
            if content_hash is not None
        }


def _write_json(value: object, path: str) -> None:
    atomic.write_text(path, json.dumps(value))


def _packed_task(task: ShardTask) -> tuple[int, tuple[bool, bytes]]:
    ((number, packed),) = pack([(task.number, task)])
    return number, (True, packed)


def _decided(number: int, packed: bytes) -> tuple[int, tuple[bool, bytes]]:
    return number, (False, packed)


def _alone(number: int, task: Any) -> tuple[int, list[Any]]:
    return number, [task]


def _write_findings(findings: bytes, path: str) -> None:
    atomic.write_bytes(path, findings)


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
