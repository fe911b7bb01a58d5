"""A fingerprint of the data. It changes if an image is added, removed or replaced.

It depends on names, sizes and modification times, and on the content of manifests. It
reads no image, and needs neither TensorFlow nor Beam.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os

from graft.components.ingestion.fixes.fix_files import require_no_conflicts
from graft.components.ingestion.fixes.fix_rows import FixFile, read_fix_files
from graft.components.ingestion.folders.folder_layout import list_folder
from graft.components.ingestion.sources.config import DataConfig
from graft.components.ingestion.sources.layout import (
    detect_format,
    record_files,
    require_all_shards,
    require_folder,
)
from graft.components.ingestion.tables.manifest_files import ManifestFiles
from graft.components.ingestion.tables.manifests import read_manifest
from graft.components.ingestion.tables.split_tables import label_files
from graft.components.ingestion.tables.unnamed_images import find_unnamed
from graft.contract.errors import DataError
from graft.storage import listing
from graft.storage.left_aside import kind_of_file
from graft.storage.listing import FileEntry
from graft.storage.paths import expand_home, is_remote


def fingerprint(config: DataConfig) -> str:
    """Return a fingerprint of the data that `config` names.

    Args:
        config: Location and layout of the data.

    Returns:
        64 hexadecimal digits. They depend on:
          - folders and TFRecords: relative name, size and modification time of each
            file, and the content of label tables
          - a manifest: its lines, the local files that it names, and the names of
            the images beside them, which a warning counts
          - a built-in data set: its name
          - the decisions of label fixes, and the images that they add

    Raises:
        DataError: The data don't exist, their layout is unclear, or a label fix is
            wrong.
    """
    fix_files = read_fix_files(config.label_fixes)
    require_no_conflicts(fix_files)
    # In any order: decisions that disagree are refused.
    fixes = sorted({_describe_fixes(each) for each in fix_files if each.fixes})
    found = _fingerprint_of_data(config)
    if not fixes:
        return found
    return hashlib.sha256(json.dumps([found, *fixes]).encode()).hexdigest()


def _fingerprint_of_data(config: DataConfig) -> str:
    """Return the fingerprint without label fixes."""
    digest = hashlib.sha256()
    path = expand_home(config.path)
    layout = detect_format(config)
    if layout in ("keras", "sklearn"):
        digest.update(config.path.encode())
        return digest.hexdigest()
    if layout in ("csv", "jsonl"):
        entries = _manifest_entries(path, layout, config)
    elif layout == "tfrecord":
        entries = record_files(path).entries
        require_all_shards(path, entries)
    else:
        require_folder(path)
        # An unclear layout stops a run here, before it starts.
        tree, folder_layout = list_folder(path, config)
        tables = label_files(folder_layout)
        entries = [
            entry
            for entry in tree.files
            if entry.name in tables or not kind_of_file(entry.parts[-1])
        ]
        digest.update(json.dumps(tree.folders).encode())
    for entry in entries:
        # JSON escapes all special characters of a file name, also surrogates.
        line = json.dumps((entry.name, entry.size, entry.modified))
        digest.update(line.encode() + b"\n")
    return digest.hexdigest()


def _describe_fixes(fix_file: FixFile) -> str:
    # Not the bytes: another program may save the same decisions in another form.
    rows = [fix._replace(where="", file="") for fix in fix_file.fixes]
    added = [fix.file_of_added()[1:] for fix in fix_file.fixes if fix.kind == "add"]
    return json.dumps([fix_file.num_undecided, *rows, *added])


def _manifest_entries(path: str, layout: str, config: DataConfig) -> list[FileEntry]:
    entries = []
    folder = path.rsplit("/", 1)[0] if "/" in path else "."
    image_files = ManifestFiles(folder, config.image_folder)
    named = set()
    # The reader of ingestion: its errors stop a run here, before it starts.
    for entry in read_manifest(path, layout, config).entries:
        described = json.dumps((entry.label, entry.role, entry.columns))
        entries.append(FileEntry("", described, 0, 0))
        where = f"{path!r}, line {entry.line}"
        image_path = image_files.path_of(entry.path, where)
        named.add(image_path)
        if is_remote(image_path):
            entries.append(FileEntry("", entry.path, 0, 0))
        else:
            entries.append(listing.entry_of(os.path.abspath(image_path), entry.path))
    with contextlib.suppress(OSError, DataError):  # ingestion warns of it
        for name in find_unnamed(named, folder, config.image_folder):
            entries.append(FileEntry("", name, 0, 0))
    return entries
