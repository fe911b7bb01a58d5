"""The work of the DataQuality component."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import tensorflow as tf
from tfx.components.util import examples_utils
from tfx.types import artifact, artifact_utils

from graft.components import progress
from graft.components.artifact_files import split_files
from graft.components.pictures import find_images, thumbnail
from graft.components.quality.artifacts import PROFILE_FILE, RESULT_FILE
from graft.components.quality.checks import (
    TITLES,
    Example,
    Finding,
    find_feature_copies,
    find_label_errors,
    find_pairs,
    find_poor_images,
)
from graft.components.quality.config import DataQualityConfig
from graft.components.quality.image_statistics import measure_image
from graft.components.quality.profile import Traits, profile_of
from graft.contract import example_keys, split_names
from graft.contract.errors import DataError
from graft.storage import atomic, copying, tfrecords

MOST_SHOWN = 12
_MOST_IN_MESSAGE = 10
_IMAGES_AT_ONCE = 32
_FEATURES_AT_ONCE = 256
# One thread reads smaller files, because two would wait for Python's lock
# (docs/decisions/0060-measured-choices.md).
_BYTES_WORTH_A_THREAD = 8 << 10
_FEATURES = {
    example_keys.CONTENT_HASH_KEY: tf.io.FixedLenFeature([], tf.string),
    example_keys.FEATURES_KEY: tf.io.FixedLenSequenceFeature(
        [], tf.float32, allow_missing=True
    ),
}

logger = logging.getLogger(__name__)


def check_data(
    examples: artifact.Artifact,
    training_examples: artifact.Artifact,
    quality: artifact.Artifact,
    checked_examples: artifact.Artifact,
    config: DataQualityConfig,
) -> None:
    """Run the checks, write the findings, and apply the policies.

    See `graft.components.quality.component.DataQuality` for the artifacts.

    Raises:
        DataError: A check whose policy is `fail` found something.
    """
    seen = _read_examples(examples)
    seen_examples = [example for example, _ in seen]
    found = find_pairs(seen_examples, config) | find_poor_images(seen_examples, config)
    found["label_errors"] = []
    if config.label_errors != "off" or config.leaks != "off":
        stored = _read_features(training_examples)
        found["leaks"] += _new_pairs(
            find_feature_copies(seen_examples, stored, config), found["leaks"]
        )
    if config.label_errors != "off":
        found["label_errors"] = list(find_label_errors(seen_examples, stored))
    dropped = _dropped(found, config)
    result = {
        "num_images": len(seen_examples),
        "dropped": sorted(dropped),
        "checks": _describe(found, config, examples),
    }
    atomic.write_text(
        os.path.join(quality.uri, RESULT_FILE), json.dumps(result, indent=1)
    )
    profile = profile_of(traits for _, traits in seen)
    atomic.write_text(
        os.path.join(quality.uri, PROFILE_FILE), json.dumps(profile, indent=1)
    )
    for name, findings in found.items():
        logger.info("%s: %d", TITLES[name], len(findings))
    _fail_if_told(found, config)
    if config.drops:
        _copy_without(training_examples, checked_examples, dropped)


def _read_examples(raw: artifact.Artifact) -> list[tuple[Example, Traits]]:
    """Return the statistics and the profile's properties of every image."""
    counters = progress.current()

    def read(item: tuple[str, bytes]) -> tuple[Example, Traits]:
        split, record = item
        found = tf.train.Example.FromString(record).features.feature
        statistics = measure_image(found[example_keys.IMAGE_KEY].bytes_list.value[0])
        counters.advance("images")
        keys = (
            example_keys.CONTENT_HASH_KEY,
            example_keys.FILENAME_KEY,
            example_keys.CLASS_NAME_KEY,
            example_keys.FORMAT_KEY,
        )
        content_hash, filename, class_name, image_format = (
            found[key].bytes_list.value[0].decode() for key in keys
        )
        width, height = (
            found[key].int64_list.value[0]
            for key in (example_keys.WIDTH_KEY, example_keys.HEIGHT_KEY)
        )
        traits = Traits(
            class_name,
            image_format,
            width,
            height,
            statistics.brightness,
            statistics.contrast,
            statistics.sharpness,
        )
        example = Example(content_hash, filename, class_name, split, statistics)
        return example, traits

    found: list[tuple[Example, Traits]] = []
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        # A pool takes all of its input at once, so it gets a few images at a time.
        for part in _parts(raw):
            size = sum(len(record) for _, record in part) / len(part)
            read_all = pool.map if size >= _BYTES_WORTH_A_THREAD else map
            found += read_all(read, part)
    return found


def _parts(raw: artifact.Artifact) -> Iterator[list[tuple[str, bytes]]]:
    """Yield batches of (split, record)."""
    for split in artifact_utils.decode_split_names(raw.split_names):
        batches = tfrecords.dataset(split_files([raw], split)).batch(_IMAGES_AT_ONCE)
        for batch in batches.as_numpy_iterator():
            yield [(split, record) for record in batch]


def _read_features(training: artifact.Artifact) -> dict[str, np.ndarray]:
    """Return content hash to features, of all splits; empty for raw examples."""
    stored: dict[str, np.ndarray] = {}
    files = [
        file
        for split in artifact_utils.decode_split_names(training.split_names)
        for file in split_files([training], split)
    ]
    for batch in tfrecords.dataset(files).batch(_FEATURES_AT_ONCE):
        parsed = tf.io.parse_example(batch, _FEATURES)
        values = parsed[example_keys.FEATURES_KEY].numpy()
        if not values.shape[1]:
            break
        keys = (key.decode() for key in parsed[example_keys.CONTENT_HASH_KEY].numpy())
        stored.update(zip(keys, values, strict=True))
    return stored


def _new_pairs(findings: Iterable[Finding], known: Sequence[Finding]) -> list[Finding]:
    """Return the findings whose pair is not among the known ones."""
    seen = {_pair_of(each) for each in known}
    return [each for each in findings if _pair_of(each) not in seen]


def _pair_of(finding: Finding) -> tuple[str, str]:
    other = finding.other
    return finding.example.content_hash, "" if other is None else other.content_hash


def _dropped(found: dict[str, list[Finding]], config: DataQualityConfig) -> set[str]:
    """Return the content hashes to remove, which are all in `train`."""
    return {
        finding.example.content_hash
        for name, findings in found.items()
        if config.policy_of(name) == "drop"
        for finding in findings
        if finding.example.split == split_names.TRAIN_SPLIT
    }


def _describe(
    found: dict[str, list[Finding]], config: DataQualityConfig, raw: artifact.Artifact
) -> list[dict[str, Any]]:
    """Return the checks for JSON, with thumbnails of the first findings."""
    shown = [f for findings in found.values() for f in findings[:MOST_SHOWN]]
    wanted = {
        example.content_hash
        for finding in shown
        for example in (finding.example, finding.other)
        if example is not None
    }
    files = [
        file
        for split in artifact_utils.decode_split_names(raw.split_names)
        for file in split_files([raw], split)
    ]
    pictures = {
        key: thumbnail(encoded) for key, encoded in find_images(files, wanted).items()
    }
    return [
        {
            "name": name,
            "title": title,
            "policy": config.policy_of(name),
            "num_findings": len(found[name]),
            "filenames": [finding.example.filename for finding in found[name]],
            "findings": [
                {
                    "filename": finding.example.filename,
                    "message": finding.message,
                    "picture": pictures.get(finding.example.content_hash),
                    "other": None if finding.other is None else finding.other.filename,
                    "other_picture": None
                    if finding.other is None
                    else pictures.get(finding.other.content_hash),
                }
                for finding in found[name][:MOST_SHOWN]
            ],
        }
        for name, title in TITLES.items()
        if config.policy_of(name) != "off"
    ]


def _fail_if_told(found: dict[str, list[Finding]], config: DataQualityConfig) -> None:
    lines = []
    for name, findings in found.items():
        if config.policy_of(name) != "fail" or not findings:
            continue
        lines.append(f"`data_quality.{name}`: {TITLES[name]}: {len(findings)}")
        for finding in findings[:_MOST_IN_MESSAGE]:
            other = f" and {finding.other.filename!r}" if finding.other else ""
            lines.append(f"  {finding.example.filename!r}{other}: {finding.message}")
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
