"""The work of the DataQuality component."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator, Mapping
from typing import Any

import apache_beam as beam
import numpy as np
import tensorflow as tf
from tfx.components.util import examples_utils
from tfx.types import artifact, artifact_utils

from graft.components.artifact_files import split_files
from graft.components.features.stored_features import read_features
from graft.components.ingestion.fixes.applied_fixes import read_applied_fixes
from graft.components.pictures import find_thumbnails
from graft.components.quality.artifacts import (
    DOUBTFUL_FILE,
    PROFILE_FILE,
    RESULT_FILE,
)
from graft.components.quality.checks import TITLES, find_poor_images
from graft.components.quality.config import DataQualityConfig
from graft.components.quality.copy_checks import find_pairs
from graft.components.quality.feature_checks import (
    find_feature_copies,
    find_label_errors,
)
from graft.components.quality.feature_table import FeatureTable
from graft.components.quality.findings import Finding, Findings
from graft.components.quality.image_table import ImageTable
from graft.components.quality.reading import Shard, image_data
from graft.contract import example_keys, split_names
from graft.contract.errors import DataError
from graft.storage import atomic, copying, tfrecords
from graft.storage.content_store.references import copy_reference

MOST_SHOWN = 12
"""Findings of a check with a picture in the report."""
MOST_SHOWN_OF = {"label_errors": 100}
"""The same for single checks. Doubtful labels are to be looked at one by one."""
MOST_NAMED = 1000
_MOST_IN_MESSAGE = 10

logger = logging.getLogger(__name__)


def check_data(
    *,
    examples: artifact.Artifact,
    metadata: artifact.Artifact | None,
    training_examples: artifact.Artifact,
    quality: artifact.Artifact,
    checked_examples: artifact.Artifact,
    config: DataQualityConfig,
    cache_dir: str,
    measuring_code: str,
    pipeline: beam.Pipeline | None = None,
) -> None:
    """Run the checks, write the findings, and apply the policies.

    The arguments are those of `graft.components.quality.component.DataQuality`.

    Raises:
        DataError: A check whose policy is `fail` found something.
    """
    with image_data(
        list(_shards(examples, metadata)),
        config,
        cache_dir=cache_dir,
        code=measuring_code,
        pipeline=pipeline,
        work_folder=os.path.join(quality.uri, "work"),
    ) as data:
        images, profile = data.images, data.profile
        found = find_pairs(images, data.copies, config)
        found |= find_poor_images(images, config)
    found["label_errors"] = Findings(images)
    if config.label_errors != "off" or config.leaks != "off":
        features = FeatureTable.of(_read_features(training_examples))
        found["leaks"] = found["leaks"].and_more(
            find_feature_copies(images, features, config)
        )
    if config.label_errors != "off":
        fixes = read_applied_fixes(examples.uri)
        confirmed = fixes.confirmed_hashes if fixes else ()
        found["label_errors"] = find_label_errors(images, features, confirmed)
        _write_doubtful(found["label_errors"], quality)
    dropped = _dropped(found, config)
    result = {
        "num_images": len(images),
        "dropped": sorted(dropped),
        "checks": _describe(found, config, examples),
    }
    atomic.write_text(
        os.path.join(quality.uri, RESULT_FILE), json.dumps(result, indent=1)
    )
    atomic.write_text(
        os.path.join(quality.uri, PROFILE_FILE), json.dumps(profile, indent=1)
    )
    for name, findings in found.items():
        logger.info("%s: %d", TITLES[name], len(findings))
        for what, number in findings.not_searched.items():
            logger.warning("%s: not searched: %d %s", TITLES[name], number, what)
    _fail_if_told(found, config)
    if config.drops:
        _copy_without(training_examples, checked_examples, dropped)


def _write_doubtful(findings: Findings, quality: artifact.Artifact) -> None:
    """Write all images whose label is doubtful, for `graft report --labels`."""
    table = findings.table
    lines = [
        json.dumps(
            {
                "content_hash": table.content_hash(image),
                "filename": table.filename(image),
                "label": table.class_name(image),
                **findings.facts(index),
            }
        )
        for index, image in enumerate(findings.images)
    ]
    atomic.write_text(
        os.path.join(quality.uri, DOUBTFUL_FILE), "".join(f"{line}\n" for line in lines)
    )


def _shards(
    raw: artifact.Artifact, metadata: artifact.Artifact | None
) -> Iterator[Shard]:
    """Yield the shards of all splits."""
    for split in artifact_utils.decode_split_names(raw.split_names):
        images = split_files([raw], split)
        records = images if metadata is None else split_files([metadata], split)
        for shard in zip(records, images, strict=True):
            yield split, shard


def _read_features(
    training: artifact.Artifact,
) -> Iterator[tuple[list[str], np.ndarray]]:
    """Return `read_features` of all splits."""
    files = [
        file
        for split in artifact_utils.decode_split_names(training.split_names)
        for file in split_files([training], split)
    ]
    return read_features(files)


def _dropped(found: dict[str, Findings], config: DataQualityConfig) -> set[str]:
    """Return the content hashes to remove, which are all in `train`."""
    return {
        findings.table.content_hash(index)
        for name, findings in found.items()
        if config.policy_of(name) == "drop"
        for index in findings.in_train()
    }


def _describe(
    found: dict[str, Findings], config: DataQualityConfig, raw: artifact.Artifact
) -> list[dict[str, Any]]:
    """Return the checks for JSON, with thumbnails of the first findings."""
    wanted = {
        findings.table.content_hash(index)
        for name, findings in found.items()
        for finding in findings.first(most_shown(name))
        for index in (finding.image, finding.other)
        if index is not None
    }
    files = [
        file
        for split in artifact_utils.decode_split_names(raw.split_names)
        for file in split_files([raw], split)
    ]
    pictures = find_thumbnails(files, wanted)
    return [
        {
            "name": name,
            "title": title,
            "policy": config.policy_of(name),
            "num_findings": len(found[name]),
            "not_searched": dict(found[name].not_searched),
            "filenames": [
                found[name].table.filename(index)
                for index in found[name].images[:MOST_NAMED]
            ],
            "findings": [
                _describe_one(found[name].table, finding, pictures)
                for finding in found[name].first(most_shown(name))
            ],
        }
        for name, title in TITLES.items()
        if config.policy_of(name) != "off"
    ]


def most_shown(check: str) -> int:
    """Return how many findings of a check have a picture in the report."""
    return MOST_SHOWN_OF.get(check, MOST_SHOWN)


def _describe_one(
    images: ImageTable, finding: Finding, pictures: Mapping[str, str]
) -> dict[str, str | None]:
    other = finding.other
    return {
        "filename": images.filename(finding.image),
        "message": finding.message,
        "picture": pictures.get(images.content_hash(finding.image)),
        "other": None if other is None else images.filename(other),
        "other_picture": None
        if other is None
        else pictures.get(images.content_hash(other)),
    }


def _fail_if_told(found: dict[str, Findings], config: DataQualityConfig) -> None:
    lines = []
    for name, findings in found.items():
        if config.policy_of(name) != "fail":
            continue
        if len(findings):
            lines.append(f"`data_quality.{name}`: {TITLES[name]}: {len(findings)}")
        for finding in findings.first(_MOST_IN_MESSAGE):
            filename = findings.table.filename(finding.image)
            other = ""
            if finding.other is not None:
                other = f" and {findings.table.filename(finding.other)!r}"
            lines.append(f"  {filename!r}{other}: {finding.message}")
        # A search that left images out can't tell that there are no findings.
        for what, number in findings.not_searched.items():
            lines.append(
                f"`data_quality.{name}`: {TITLES[name]}: not searched: {number} {what}"
            )
    if lines:
        raise DataError(
            "The data failed checks of `data_quality`:\n"
            + "\n".join(lines)
            + "\nCorrect the data, or set these policies to `warn` or `drop`."
        )


def _copy_without(
    source: artifact.Artifact, target: artifact.Artifact, dropped: set[str]
) -> None:
    """Copy the examples of all splits, without the dropped ones in `train`."""
    target.split_names = source.split_names
    target.span = source.span
    payload = examples_utils.get_payload_format(source)
    examples_utils.set_payload_format(target, payload)
    copy_reference(source.uri, target.uri)
    for split in artifact_utils.decode_split_names(source.split_names):
        folder = artifact_utils.get_split_uri([target], split)
        for file in split_files([source], split):
            copy = os.path.join(folder, os.path.basename(file))
            if split != split_names.TRAIN_SPLIT or not dropped:
                copying.copy_file(file, copy)
                continue
            with tfrecords.writer(copy) as writer:
                for record in tfrecords.read(file):
                    found = tf.train.Example.FromString(record).features.feature
                    key = (
                        found[example_keys.CONTENT_HASH_KEY]
                        .bytes_list.value[0]
                        .decode()
                    )
                    if key not in dropped:
                        writer.write(record)
