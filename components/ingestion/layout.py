"""What kind of source a path names: a folder, a manifest, TFRecords, a built-in set."""

from __future__ import annotations

import os
import re

from graft.components.ingestion.config import DataConfig
from graft.contract.errors import DataError
from graft.storage import files, listing
from graft.storage.image_folder import list_image_folder
from graft.storage.listing import FileEntry
from graft.storage.path_hints import hint_about
from graft.storage.paths import expand_home, is_remote, name_of, scheme_of

FOLDER_FORMATS = ("folders", "pre_split", "tiny_imagenet", "roboflow")
_RECORD_NAME = re.compile(r"tf_?record", re.IGNORECASE)


def detect_format(config: DataConfig) -> str:  # noqa: PLR0911
    """Tell what kind of source the path names; "folders" stands for all folders.

    Raises:
        DataError: `config.path` has nothing behind it.
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
    if lower.endswith(".csv"):
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


def record_files(path: str) -> list[FileEntry]:
    """Return the TFRecord files that `path` names: a file, a folder or a glob pattern.

    Raises:
        DataError: There are none.
    """
    if files.is_folder(path):
        found = list_image_folder(path).files
    elif files.is_file(path):
        found = [listing.entry_of(path, name_of(path))]
    else:
        found = listing.find_files(path)
    if not found:
        raise DataError(
            f"No TFRecord file is at `data.path`. Received: path={path!r}. Give a "
            "file, a folder of such files, or a pattern such as 'records/train-*'. "
            f"{hint_about(path)}".rstrip()
        )
    return found


def is_record_name(path: str) -> bool:
    """Tell whether a file's name says that it holds TFRecords."""
    return bool(_RECORD_NAME.search(path.rsplit("/", 1)[-1]))


def require_file(path: str, layout: str) -> None:
    """Raise DataError unless `path` is a file, for a manifest of kind `layout`."""
    if not files.is_file(path):
        raise DataError(
            f"`data.path` names no file. Received: path={path!r}. A {layout.upper()} "
            "manifest with the columns path and label is expected there. "
            f"{hint_about(path)}".rstrip()
        )


def require_folder(path: str) -> None:
    """Raise DataError unless `path` is a folder."""
    if files.is_folder(path):
        return
    if files.is_file(path):
        raise DataError(
            f"`data.path` is a file of unknown kind. Received: path={path!r}. Allowed: "
            "a folder of class folders, a .csv or .jsonl manifest, a .tfrecord file. "
            f"{hint_about(path)}".rstrip()
        )
    hint = hint_about(path)
    remedy = hint.rstrip(".") or "Check the spelling"
    if not hint and not is_remote(path):
        parent = os.path.abspath(path)
        while not os.path.isdir(parent):
            parent = os.path.dirname(parent)
        remedy += f"; {parent!r} is the last folder on the way that exists"
    raise DataError(
        f"`data.path` must name an existing folder, manifest or data set. "
        f"Received: path={path!r}. {remedy}."
    )
