"""The work of ImageExampleGen: list, find copies, read, check, write, judge."""

from __future__ import annotations

import hashlib
import json
import logging
import math
import os
from collections.abc import Sequence
from typing import Any

import apache_beam as beam
import tensorflow as tf
from google.protobuf import text_format
from tfx import types
from tfx.components.util import examples_utils
from tfx.dsl.components.base import base_beam_executor
from tfx.proto import example_gen_pb2
from tfx.types import artifact_utils

from components import progress
from components.image_example_gen import summary as summary_lib
from components.image_example_gen.config import DataConfig
from components.image_example_gen.contract import SCHEMA_FILE_NAME, example_schema
from components.image_example_gen.deduplication import (
    CopyGroup,
    copy_candidates,
    drop_copies,
)
from components.image_example_gen.image_ref import ImageRef
from components.image_example_gen.listing import list_images
from components.image_example_gen.transforms import (
    QUARANTINED_TAG,
    HashImages,
    Quarantined,
    ShardCounts,
    ShardTask,
    WriteJson,
    WriteShards,
)
from trainer.errors import UserError
from trainer.features import SPLITS

logger = logging.getLogger(__name__)

DATA_CONFIG_KEY = "data_config"
DATA_FINGERPRINT_KEY = "data_fingerprint"
CODE_FINGERPRINT_KEY = "code_fingerprint"
EXAMPLES_KEY = "examples"
METADATA_KEY = "metadata"
SCHEMA_KEY = "schema"
QUARANTINE_KEY = "quarantine"

QUARANTINE_FILE_NAME = "quarantine.jsonl"
DUPLICATES_FILE_NAME = "duplicates.jsonl"
SUMMARY_FILE_NAME = "summary.json"

_WORK_FOLDER = "work"
_SHARD_BYTES = 128 * 2**20
_SHARD_IMAGES = 20_000


class ImageExampleGenExecutor(base_beam_executor.BaseBeamExecutor):
    """Turn labelled images into checked examples in three splits."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Run the component.

        Args:
            input_dict: Empty.
            output_dict: By output key:
                - examples: `standard_artifacts.Examples`, whole tf.Examples.
                - metadata: `standard_artifacts.Examples`, the same without the image.
                - schema: `standard_artifacts.Schema`, the contract of an example.
                - quarantine: `ImageQuarantine`.
            exec_properties: By key:
                - data_config: JSON of `DataConfig`.
                - data_fingerprint: Changes when the data does.
                - code_fingerprint: Changes when this code does.

        Raises:
            DataError: The data can't be used; the message says what to do.
            UserError: The disk is full.
        """
        self._log_startup(input_dict, output_dict, exec_properties)
        config = DataConfig.model_validate_json(exec_properties[DATA_CONFIG_KEY])
        artifacts = {
            key: artifact_utils.get_single_instance(output_dict[key])
            for key in (EXAMPLES_KEY, METADATA_KEY, SCHEMA_KEY, QUARANTINE_KEY)
        }
        uris = {key: artifact.uri for key, artifact in artifacts.items()}
        # Beside the splits: all that lies in a split's folder is read as data.
        work_folder = os.path.join(uris[EXAMPLES_KEY], _WORK_FOLDER)
        _remove_remains(uris)
        try:
            self._ingest(config, uris, work_folder)
        except Exception as error:
            if _is_disk_full(error):
                raise UserError(
                    f"No space is left where the pipeline writes "
                    f"({uris[EXAMPLES_KEY]!r}). Free some, or choose another output."
                ) from error
            raise
        finally:
            _remove_folder(work_folder)
        for key in (EXAMPLES_KEY, METADATA_KEY):
            artifact = artifacts[key]
            artifact.split_names = artifact_utils.encode_split_names(list(SPLITS))
            artifact.set_int_custom_property("span", 0)
            artifact.set_int_custom_property("version", 0)
            artifact.set_string_custom_property(
                "input_fingerprint", exec_properties[DATA_FINGERPRINT_KEY]
            )
            examples_utils.set_payload_format(
                artifact, example_gen_pb2.PayloadFormat.FORMAT_TF_EXAMPLE
            )

    def _ingest(
        self, config: DataConfig, uris: dict[str, str], work_folder: str
    ) -> None:
        tf.io.gfile.makedirs(work_folder)
        listing = list_images(config, work_folder)
        refs = summary_lib.select_classes(listing, config)
        refs, groups = self._without_copies(refs, config, work_folder)
        # Sorted by a hash of the name: every shard, and every part of one, mixes
        # classes.
        refs.sort(key=_shuffle_key)
        logger.info("Reading %d images of %d listed.", len(refs), len(listing.refs))
        progress.expect("images", len(refs))
        tasks = _write_lists(refs, work_folder, "images")
        counts_path = os.path.join(work_folder, "counts.json")
        quarantined_path = os.path.join(work_folder, "quarantined.json")
        with self._make_beam_pipeline() as pipeline:
            shards = (
                pipeline
                | "Shards" >> beam.Create(tasks)
                | WriteShards(
                    config, uris[EXAMPLES_KEY], uris[METADATA_KEY], work_folder
                )
            )
            shards.counts | "Counts" >> WriteJson(counts_path)
            shards[QUARANTINED_TAG] | "Quarantined" >> WriteJson(quarantined_path)
        quarantined = sorted(
            (Quarantined(*row) for row in _read_json(quarantined_path)),
            key=lambda image: image.filename,
        )
        summary = summary_lib.summarise(
            listing,
            refs,
            (ShardCounts(*row) for row in _read_json(counts_path)),
            quarantined,
            groups,
        )
        for warning in summary.warnings:
            logger.warning("%s", warning)
        summary_lib.require_usable(summary, quarantined, config)
        _write_text(
            os.path.join(uris[SCHEMA_KEY], SCHEMA_FILE_NAME),
            text_format.MessageToString(example_schema()),
        )
        _write_quarantine(uris[QUARANTINE_KEY], summary, quarantined, groups)

    def _without_copies(
        self, refs: list[ImageRef], config: DataConfig, work_folder: str
    ) -> tuple[list[ImageRef], list[CopyGroup]]:
        candidates = copy_candidates(refs)
        if not candidates:
            return refs, []
        progress.expect("files compared", len(candidates))
        tasks = _write_lists([refs[c] for c in candidates], work_folder, "copies")
        hashes_path = os.path.join(work_folder, "hashes.json")
        with self._make_beam_pipeline() as pipeline:
            (
                pipeline
                | "Lists" >> beam.Create(tasks)
                | HashImages(config)
                | "Hashes" >> WriteJson(hashes_path)
            )
        hashes = {
            candidates[position]: content_hash
            for found in _read_json(hashes_path)
            for position, content_hash in found
            if content_hash is not None
        }
        return drop_copies(refs, hashes, config)


def _shuffle_key(ref: ImageRef) -> bytes:
    return hashlib.sha256(json.dumps(ref.name).encode()).digest()


def _write_lists(
    refs: Sequence[ImageRef], work_folder: str, what: str
) -> list[ShardTask]:
    """Cut a list into about equal parts, one file each."""
    num_bytes = sum(ref.size or 0 for ref in refs)
    total = max(
        1, math.ceil(num_bytes / _SHARD_BYTES), math.ceil(len(refs) / _SHARD_IMAGES)
    )
    total = min(total, max(1, len(refs)))
    tasks = []
    for index in range(total):
        begin, end = (len(refs) * i // total for i in (index, index + 1))
        path = os.path.join(work_folder, f"{what}-{index:05d}.jsonl")
        _write_text(path, "".join(ref.to_json() + "\n" for ref in refs[begin:end]))
        tasks.append(ShardTask(path, begin, index, total))
    return tasks


def _read_json(path: str) -> Any:
    with tf.io.gfile.GFile(path, "r") as file:
        return json.load(file)


def _write_text(path: str, text: str) -> None:
    """Write a file that appears whole or not at all."""
    tf.io.gfile.makedirs(os.path.dirname(path))
    unfinished = f"{path}.unfinished"
    with tf.io.gfile.GFile(unfinished, "w") as file:
        file.write(text)
    tf.io.gfile.rename(unfinished, path, overwrite=True)


def _write_quarantine(
    uri: str,
    summary: summary_lib.Summary,
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
        (QUARANTINE_FILE_NAME, bad_lines),
        (DUPLICATES_FILE_NAME, copy_lines),
    ):
        _write_text(os.path.join(uri, name), "".join(line + "\n" for line in lines))
    # Last: where it is, all is.
    _write_text(
        os.path.join(uri, SUMMARY_FILE_NAME),
        json.dumps(summary.to_dict(), indent=2, ensure_ascii=False) + "\n",
    )


def _remove_remains(uris: dict[str, str]) -> None:
    """Remove what a killed run left in the outputs."""
    for uri in uris.values():
        if tf.io.gfile.exists(uri):
            for name in tf.io.gfile.listdir(uri):
                path = os.path.join(uri, name.rstrip("/"))
                if tf.io.gfile.isdir(path):
                    tf.io.gfile.rmtree(path)
                else:
                    tf.io.gfile.remove(path)


def _remove_folder(folder: str) -> None:
    if tf.io.gfile.exists(folder):
        tf.io.gfile.rmtree(folder)


def _is_disk_full(error: BaseException | None) -> bool:
    """Tell whether a full disk is behind an error; Beam keeps only the text."""
    while error is not None:
        if isinstance(error, tf.errors.ResourceExhaustedError):
            return True
        if "No space left on device" in str(error):
            return True
        error = error.__cause__ or error.__context__
    return False
