"""What a run's owner should know of the data, a sentence each.

They come from the artifacts of the run, so that a run from the cache has them, too.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator
from typing import Any

from graft.components.ingestion.artifacts import SUMMARY_FILE
from graft.components.quality.artifacts import RESULT_FILE
from graft.components.quality.problems import describe_problems
from graft.components.validation.anomalies import describe_anomalies
from graft.contract.counts import counted
from graft.storage import files

_MOST_CLASSES_SHOWN = 12
_NUM_SMALLEST = 3


def read_classes(quarantine_uri: str | None) -> str:
    """Return which classes were read, and how many images of each; "" if unknown.

    A folder that is no class is seen here, whatever it is called. Of many classes, the
    largest and the smallest are named.

    Args:
        quarantine_uri: The `ImageQuarantine` of the run; None if there is none.
    """
    counts: Counter[str] = Counter()
    for by_class in _read_json(quarantine_uri, SUMMARY_FILE).get("counts", {}).values():
        counts.update(by_class)
    if not counts:
        return ""
    if len(counts) <= _MOST_CLASSES_SHOWN:
        return f"{len(counts)}: {_with_numbers(sorted(counts.items()))}"
    by_size = sorted(counts.items(), key=lambda each: (-each[1], each[0]))
    largest = by_size[: _MOST_CLASSES_SHOWN - _NUM_SMALLEST]
    return (
        f"{len(counts):,}: {_with_numbers(largest)}, …, "
        f"{_with_numbers(by_size[-_NUM_SMALLEST:])}"
    )


def _with_numbers(counts: list[tuple[str, int]]) -> str:
    return ", ".join(f"{name!r} {number:,}" for name, number in counts)


def read_data_notes(
    quarantine_uri: str | None, quality_uri: str | None, anomalies_uri: str | None
) -> list[str]:
    """Return what ingestion and the schema check found; nothing for good data.

    The findings of the quality checks are counted by `read_data_problems`.

    Args:
        quarantine_uri: The `ImageQuarantine` of the run; None if there is none.
        quality_uri: The `DataQualityReport` of the run; None if there is none.
        anomalies_uri: The `ExampleAnomalies` of the run; None if there are none.
    """
    summary = _read_json(quarantine_uri, SUMMARY_FILE)
    quality = _read_json(quality_uri, RESULT_FILE)
    return [
        *summary.get("warnings", []),
        *_describe_anomalies(anomalies_uri),
        *_describe_quality(quality),
    ]


def read_data_problems(quarantine_uri: str | None, quality_uri: str | None) -> str:
    """Return the counts of `describe_problems`; "" for good data.

    Args:
        quarantine_uri: The `ImageQuarantine` of the run; None if there is none.
        quality_uri: The `DataQualityReport` of the run; None if there is none.
    """
    return describe_problems(
        _read_json(quarantine_uri, SUMMARY_FILE), _read_json(quality_uri, RESULT_FILE)
    )


def _describe_anomalies(uri: str | None) -> Iterator[str]:
    # The files of an earlier run may have been removed since.
    if uri is None or not files.exists(uri):
        return
    found = describe_anomalies(uri)
    if found:
        yield f"Unlike the schema: {len(found):,}, such as {found[0]}"


def _describe_quality(quality: dict[str, Any]) -> Iterator[str]:
    for check in quality.get("checks", []):
        for what, number in check.get("not_searched", {}).items():
            yield f"{check['title']}: not searched: {number:,} {what}."
    if dropped := len(quality.get("dropped", [])):
        yield f"Left out of train, as `data_quality` asks: {counted(dropped, 'image')}."


def _read_json(uri: str | None, name: str) -> dict[str, Any]:
    path = None if uri is None else os.path.join(uri, name)
    # The files of an earlier run may have been removed since.
    if path is None or not files.exists(path):
        return {}
    values: dict[str, Any] = json.loads(files.read_text(path))
    return values
