"""What the job of ingestion found: read from its files, added up, and written.

Lines of images that can't be used and of copies are passed on one at a time, so memory
does not grow with their number.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from graft.components.ingestion.artifacts import DUPLICATES_FILE, QUARANTINE_FILE
from graft.components.ingestion.copy_search import (
    BAD_COPIES_FILES,
    GROUPS_FILES,
    Quarantined,
)
from graft.components.ingestion.moving import CLASSES_FILES, ClassCounts
from graft.components.ingestion.sources.image_ref import MISSING
from graft.components.ingestion.transforms import QUARANTINE_FILES
from graft.contract.split_names import SPLITS
from graft.storage import atomic, files
from graft.storage.paths import join
from graft.storage.sorted_lines import SortedLines

MOST_SHOWN = 20
"""Images that can't be used which a message names."""


@dataclass
class BadImages:
    """The images that can't be used.

    Attributes:
        number: Their number.
        reasons: Their number by kind of reason.
        num_missing: Number of images without a file.
        shown: The first of them by name.
    """

    number: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    num_missing: int = 0
    shown: list[Quarantined] = field(default_factory=list)

    def add(self, image: Quarantined) -> None:
        """Count an image."""
        self.number += 1
        self.reasons[kind_of_reason(image)] += 1
        self.num_missing += image.reason.startswith(MISSING)
        if len(self.shown) < MOST_SHOWN:
            self.shown.append(image)


@dataclass
class Results:
    """What was found in all images.

    Attributes:
        kept: Number of images by class name, without dropped copies.
        counts: Number of written images by class name and split.
        num_bytes: Size of the written encoded images.
        moved: Number of images by class name that moved to an empty split.
        bad: The images that can't be used.
        num_bad_copies: Copies of such images among them, which are not in `kept`.
        copies: Number of dropped copies by kind.
    """

    kept: Counter[str]
    counts: dict[str, dict[str, int]] = field(default_factory=dict)
    num_bytes: int = 0
    moved: dict[str, int] = field(default_factory=dict)
    bad: BadImages = field(default_factory=BadImages)
    num_bad_copies: int = 0
    copies: Counter[str] = field(default_factory=Counter)


def kind_of_reason(image: Quarantined) -> str:
    """Return the part of a reason without numbers and names, to group images by."""
    return image.reason.split(":")[0].split(" (")[0].split(";")[0]


def collect(
    work_folder: str,
    quarantine_folder: str,
    by_class: Counter[str],
    dropped: Mapping[str, int],
) -> Results:
    """Read the job's files; write the images that can't be used, and the copies.

    Args:
        work_folder: Folder of the job's files.
        quarantine_folder: Folder of `ImageQuarantine`.
        by_class: Number of listed images by class name.
        dropped: Number of dropped copies by class name.
    """
    kept = Counter({name: n - dropped.get(name, 0) for name, n in by_class.items()})
    found = Results(+kept)
    for row in _lines_of(work_folder, CLASSES_FILES):
        counts = ClassCounts(*row)
        by_split = dict(zip(SPLITS, counts.counts, strict=True))
        found.counts[counts.class_name] = by_split
        found.num_bytes += counts.num_bytes
        if counts.num_moved:
            found.moved[counts.class_name] = counts.num_moved
    with SortedLines() as images:
        for row in _lines_of(work_folder, QUARANTINE_FILES):
            images.add(row[0], json.dumps(row))
        for row in _lines_of(work_folder, BAD_COPIES_FILES):
            images.add(row[0], json.dumps(row))
            found.num_bad_copies += 1
        path = join(quarantine_folder, QUARANTINE_FILE)
        _write_lines(path, _quarantined(images, found.bad))
    path = join(quarantine_folder, DUPLICATES_FILE)
    _write_lines(path, _copies(work_folder, found.copies))
    return found


def _quarantined(images: SortedLines, bad: BadImages) -> Iterator[object]:
    for row in images:
        image = Quarantined(*json.loads(row.line))
        bad.add(image)
        yield {
            "filename": image.filename,
            "class_name": image.class_name,
            "reason": image.reason,
            "bytes": image.num_bytes,
        }


def _copies(work_folder: str, copies: Counter[str]) -> Iterator[object]:
    # Files are of ranges of the hash, and sorted: so this is the order of all hashes.
    for group in _lines_of(work_folder, GROUPS_FILES):
        copies[group["kind"]] += len(group["dropped"])
        yield group


def _lines_of(work_folder: str, pattern: str) -> Iterator[Any]:
    """Yield the lines of all files of a kind, in the order of their numbers."""
    start, _, end = pattern.partition("{number:05d}")
    names = [
        name
        for name in files.list_folder(work_folder)
        if name.startswith(start) and name.endswith(end)
    ]
    for name in sorted(names, key=lambda name: (len(name), name)):
        with files.open_for_reading(join(work_folder, name)) as file:
            for line in file:
                yield json.loads(line)


def _write_lines(path: str, rows: Iterable[object]) -> None:
    with atomic.replacing(path) as unfinished, open(unfinished, "w") as file:
        for row in rows:
            file.write(json.dumps(row) + "\n")
