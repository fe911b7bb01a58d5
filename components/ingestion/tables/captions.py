"""Tell captions and metadata of images from boxes of objects, by their content.

All of them are texts beside the images.
"""

from __future__ import annotations

import json
import os
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

from graft.components.ingestion.tables.manifest_columns import USUAL_COLUMNS
from graft.storage import files
from graft.storage.left_aside import kind_of_file
from graft.storage.listing import FileEntry

_MOST_FILES = 20
_LONGEST_LABEL = 60
_WORDS = (".txt", ".label", ".lbl", ".cls", ".caption", ".tags")
_EXTENSIONS = (*_WORDS, ".json", ".xml")
_ELEMENT_OF_OBJECTS = re.compile(
    r"<(objects?|bnd_?box|bbox|box|x_?min|polygon|points?|pt|segment\w*|image|track)\b",
    re.IGNORECASE,
)
_ELEMENT = re.compile(r"<(?P<key>\w+)>\s*(?P<value>[^<>]+?)\s*</")
_LABEL_KEYS = frozenset(
    name.replace("_", "") for name in ("label", *USUAL_COLUMNS["label_column"])
)
_HEAD_BYTES = 256
_JSON_HEAD_BYTES = 65536
# YOLO: the number of a class, and four or more coordinates.
_BOX = re.compile(r"\d+(\s+[-+.\deE]+){4,}\s*")
# Keys of labelme, Supervisely, COCO, CreateML and others.
_KEY_OF_OBJECTS = re.compile(
    r'"((shapes|objects|annotations?|regions?|bbox(es)?|bnd_?box|bounding_?box(es)?'
    r'|boxes|points|polygons?|segmentations?|rectangles?|keypoints|masks?)"\s*:\s*[\[{]'
    r'|(x_?min|x1)"\s*:)',
    re.IGNORECASE,
)


def find_captions(entries: Sequence[FileEntry]) -> set[str]:
    """Return the names of the texts that are captions or metadata of images.

    Args:
        entries: All files of a data set. The first texts of images are read.
    """
    texts = [entry for entry in entries if _extension_of(entry) in _EXTENSIONS]
    if not texts:
        return set()
    images = {
        name
        for entry in entries
        if kind_of_file(entry.parts[-1]) is None
        for name in (entry.name, os.path.splitext(entry.name)[0])
    }
    folders = {os.path.dirname(name) for name in images}
    names = {os.path.basename(name) for name in images}
    texts = [
        entry
        for entry in texts
        if (stem := os.path.splitext(entry.name)[0]) in images
        # As in `meta/1.json`, beside `images/1.jpg`.
        or (os.path.dirname(stem) not in folders and os.path.basename(stem) in names)
    ]
    by_kind = (
        ([each for each in texts if _extension_of(each) in _WORDS], _holds_words),
        ([each for each in texts if _extension_of(each) == ".json"], _is_metadata),
        ([each for each in texts if _extension_of(each) == ".xml"], _has_no_boxes),
    )
    return {
        entry.name
        for of_kind, are_words in by_kind
        if of_kind and are_words(of_kind[:_MOST_FILES])
        for entry in of_kind
    }


def explain_captions(entries: Sequence[FileEntry], captions: set[str]) -> str:
    """Say what the texts of images hold that no folder labels, or "".

    Args:
        entries: All files of a data set.
        captions: The names of these texts.
    """
    texts = [entry for entry in entries if entry.name in captions][:_MOST_FILES]
    if not texts:
        return ""
    first = texts[0]
    if _extension_of(first) in (".json", ".xml"):
        key, value = _label_in(texts)
        what = f", with {value!r} as its {key!r}" if key else ""
    else:
        lines = Counter(filter(None, map(_first_line, texts)))
        line = _first_line(first)
        is_label = 2 * len(lines) <= lines.total() and len(line) <= _LONGEST_LABEL
        what = f", which holds {line!r}" if line and is_label else ""
    return (
        f"Each image has a text, such as {first.name!r}{what}. graft does not read it: "
        "if these texts hold the labels, write them into a CSV with the columns path "
        "and label."
    )


def _label_in(entries: Sequence[FileEntry]) -> tuple[str, str]:
    """Return a key of JSON or XML that may be the label, and its value in the first."""
    values: dict[str, list[str]] = defaultdict(list)
    for entry in entries:
        head = _head(entry, _JSON_HEAD_BYTES)
        if _extension_of(entry) == ".xml":
            pairs = [
                (match["key"], match["value"]) for match in _ELEMENT.finditer(head)
            ]
        else:
            try:
                pairs = [*_texts_in(json.loads(head), "")]
            except (ValueError, RecursionError):
                continue
        for key, value in pairs:
            values[key].append(value)
    for key, found in values.items():
        name = re.sub(r"[\W_]+", "", key.rpartition(".")[2]).casefold()
        if name in _LABEL_KEYS and len(set(found)) < len(found):
            return key, found[0]
    return "", ""


def _texts_in(value: Any, key: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield key, value
    elif isinstance(value, dict):
        for name, below in value.items():
            yield from _texts_in(below, f"{key}.{name}" if key else name)


def _holds_words(entries: Sequence[FileEntry]) -> bool:
    lines = [line for entry in entries if (line := _first_line(entry))]
    return bool(lines) and not any(map(_BOX.fullmatch, lines))


def _is_metadata(entries: Sequence[FileEntry]) -> bool:
    """Tell whether JSON files have no key of objects, such as `shapes`."""
    heads = [_head(entry, _JSON_HEAD_BYTES) for entry in entries]
    return all(
        head.lstrip()[:1] in ("{", "[") and not _KEY_OF_OBJECTS.search(head)
        for head in heads
    )


def _has_no_boxes(entries: Sequence[FileEntry]) -> bool:
    """Tell whether XML files have no element of objects, such as `bndbox`."""
    heads = [_head(entry, _JSON_HEAD_BYTES) for entry in entries]
    return all(
        head.lstrip().startswith("<") and not _ELEMENT_OF_OBJECTS.search(head)
        for head in heads
    )


def _extension_of(entry: FileEntry) -> str:
    return os.path.splitext(entry.name)[1].lower()


def _first_line(entry: FileEntry) -> str:
    return _head(entry, _HEAD_BYTES).strip().partition("\n")[0].strip()


def _head(entry: FileEntry, size: int) -> str:
    try:
        return files.read_bytes(entry.path, 0, size).decode("utf-8-sig", "replace")
    except OSError:
        return ""
