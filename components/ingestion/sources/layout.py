"""Tell the kind of a source: a folder, a manifest, TFRecords or a built-in data set."""

from __future__ import annotations

import os
import re
from collections import Counter
from typing import NamedTuple

from graft.components.ingestion.sources.config import DataConfig
from graft.contract.counts import counted
from graft.contract.errors import DataError
from graft.storage import files, listing
from graft.storage.image_folder import kinds_of_ignored, list_image_folder
from graft.storage.left_aside import kind_of_sidecar
from graft.storage.listing import FileEntry
from graft.storage.path_hints import hint_about
from graft.storage.paths import expand_home, is_remote, name_of, scheme_of

FOLDER_FORMATS = ("folders", "pre_split", "tiny_imagenet", "roboflow")
_RECORD_NAME = re.compile(
    r"tf_?record|\.tfrecs?(\.gz)?$|-\d{5}-of-\d{5}(\.gz)?$", re.IGNORECASE
)
_INDEX_EXTENSIONS = (".idx", ".pbtxt")
# Beside images, files with these extensions are no data.
_RECORD_EXTENSIONS = (".gz", ".data")
_SHARD = re.compile(r"(.*)-(\d+)-of-(\d+)(.*)", re.DOTALL)


def detect_format(config: DataConfig) -> str:  # noqa: PLR0911
    """Return the kind of source at `config.path`; "folders" for each folder layout.

    Raises:
        DataError: Nothing is at `config.path`.
    """
    if config.format in FOLDER_FORMATS:
        return "folders"
    if config.format != "auto":
        return config.format
    path = expand_home(config.path)
    if scheme_of(path) == "file":
        raise DataError(
            f"`data.path` must be a path, or a URI of gs:// or s3://. Received: "
            f"path={path!r}. {hint_about(path)}"
        )
    scheme, _, _ = path.partition(":")
    if scheme in ("keras", "sklearn"):
        return scheme
    lower = path.lower()
    if lower.endswith((".csv", ".tsv")):
        return "csv"
    if lower.endswith((".jsonl", ".ndjson")):
        return "jsonl"
    if is_record_name(path) or (
        listing.has_wildcards(path) and not files.is_folder(path)
    ):
        return "tfrecord"
    require_folder(path)
    if not is_remote(path):
        with os.scandir(path) as entries:
            names = [entry for entry in entries if not entry.name.startswith(".")]
        has_folders = any(entry.is_dir() for entry in names)
        if not has_folders and any(is_record_name(e.name) for e in names):
            return "tfrecord"
        if any(entry.name == "Split-train" for entry in names):
            return "tfrecord"
    return "folders"


class RecordFiles(NamedTuple):
    """The files at a path to TFRecords.

    Attributes:
        entries: The TFRecord files.
        left_aside: Number of the files beside them, by kind.
    """

    entries: list[FileEntry]
    left_aside: Counter[str]


def record_files(path: str) -> RecordFiles:
    """Return the TFRecord files at `path`: a file, a folder or a glob pattern.

    In a folder and a pattern, descriptions, indices and checksums are left aside, such
    as those of TensorFlow Datasets (`dataset_info.json`).

    Raises:
        DataError: There are no such files.
    """
    aside: Counter[str] = Counter()
    found = []
    if files.is_file(path):
        found = [listing.entry_of(path, name_of(path))]
    else:
        if files.is_folder(path):
            tree = list_image_folder(path)
            entries, aside = tree.files, kinds_of_ignored(tree)
        else:
            entries = listing.find_files(path)
        for entry in entries:
            kind = _kind_beside_records(name_of(entry.path))
            if kind is None:
                found.append(entry)
            else:
                aside[kind] += 1
    if not found:
        raise DataError(
            f"`data.path` must name TFRecord files: a file, a folder, or a pattern "
            f"such as 'records/train-*'. Received: path={path!r}, which has none. "
            f"{hint_about(path)}".rstrip()
        )
    return RecordFiles(found, aside)


def _kind_beside_records(name: str) -> str | None:
    """Return the kind of a file that lies beside TFRecords, or None."""
    extension = os.path.splitext(name.lower())[1]
    if extension in _INDEX_EXTENSIONS:
        return extension
    return None if extension in _RECORD_EXTENSIONS else kind_of_sidecar(name)


def require_all_shards(path: str, entries: list[FileEntry]) -> None:
    """Refuse a folder or pattern of which a file `NAME-00001-of-00003` is missing.

    Raises:
        DataError: Shards are missing; the message names one. If `path` is one file, it
            is meant alone.
    """
    if files.is_file(path):
        return
    found: dict[tuple[str, str, str], set[int]] = {}
    for entry in entries:
        if match := _SHARD.fullmatch(entry.path):
            key = (match[1], match[3], match[4])
            found.setdefault(key, set()).add(int(match[2]))
    for (start, total, end), numbers in found.items():
        missing = sorted(set(range(int(total))) - numbers)
        if missing:
            width = len(total)
            name = f"{start}-{missing[0]:0{width}d}-of-{total}{end}"
            raise DataError(
                f"{path!r} lacks {counted(len(missing), 'shard')} of {int(total):,}, "
                f"such as {name!r}. Put the rest there, or name single files."
            )


def is_record_name(path: str) -> bool:
    """Tell whether a file's name says that it holds TFRecords."""
    return bool(_RECORD_NAME.search(path.rsplit("/", 1)[-1]))


def require_file(path: str, layout: str) -> None:
    """Raise DataError unless `path` is a file, for a manifest of kind `layout`."""
    if not files.is_file(path):
        raise DataError(
            f"`data.path` must name a {layout.upper()} manifest with the columns path "
            f"and label. Received: path={path!r}, which is not a file. "
            f"{hint_about(path)}".rstrip()
        )


def _hint_about_table(path: str) -> str:
    """Say how to give a file that may hold labels, or ""."""
    extension = os.path.splitext(path)[1].lower()
    if extension == ".json":
        return (
            "JSON is read with one object in each line, as .jsonl. To write an array "
            "so, use `jq -c '.[]'`."
        )
    if extension in (".txt", ".dat", ".tab", ""):
        return (
            "If it is a table with the columns path and label, set `data.format: csv`."
        )
    if extension in (".xls", ".xlsx", ".ods", ".parquet", ".feather", ".xml", ".yaml"):
        return "Save the table as CSV (UTF-8), with the columns path and label."
    return ""


def require_folder(path: str) -> None:
    """Raise DataError unless `path` is a folder."""
    if files.is_folder(path):
        return
    if files.is_file(path):
        hint = hint_about(path) or _hint_about_table(path)
        raise DataError(
            "`data.path` must name a folder of class folders, a manifest (.csv, .tsv, "
            f".jsonl), or a .tfrecord file. Received: path={path!r}, another file. "
            f"{hint}".rstrip()
        )
    hint = hint_about(path)
    remedy = hint.rstrip(".") or "Check the spelling"
    if not hint and not is_remote(path):
        parent = os.path.abspath(path)
        while not os.path.isdir(parent):
            parent = os.path.dirname(parent)
        remedy += f"; of this path, only the folder {parent!r} exists"
    raise DataError(
        f"`data.path` must name an existing folder, manifest or data set. "
        f"Received: path={path!r}. {remedy}."
    )
