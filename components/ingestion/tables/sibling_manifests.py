"""Warn of manifests of other splits beside the one that is read."""

from __future__ import annotations

import json
import os

from graft.components.ingestion.names.folder_names import role_of_any_word
from graft.components.ingestion.sources.config import DataConfig
from graft.components.ingestion.sources.source import some_of
from graft.components.ingestion.tables.manifest_rows import DELIMITERS
from graft.contract.counts import agree
from graft.storage import files
from graft.storage.paths import join, name_of

_HEAD_BYTES = 4096


def warn_of_siblings(path: str, folder: str, config: DataConfig) -> list[str]:
    """Return a warning about `test.csv` beside the manifest `train.csv`, or none.

    Args:
        path: The manifest, without a column of splits.
        folder: Its folder.
        config: Names the columns.
    """
    name = name_of(path)
    stem, extension = os.path.splitext(name)
    role = role_of_any_word(stem)
    if role is None:
        return []
    others = [
        each
        for each in _names_in(folder)
        if each.lower().endswith(extension.lower())
        and role_of_any_word(os.path.splitext(each)[0]) not in (None, role)
        and _has_labels(join(folder, each), config)
    ]
    if not others:
        return []
    number = len(others)
    return [
        f"{some_of(others)} {agree(number, 'lies', 'lie')} beside {name!r} and "
        f"{agree(number, 'is', 'are')} not read. To keep the splits, join the tables "
        f"into one with another column {config.split_column!r}, which says train, val "
        "or test in each line."
    ]


def _names_in(folder: str) -> list[str]:
    try:
        return sorted(files.list_folder(folder))
    except OSError:
        return []


def _has_labels(path: str, config: DataConfig) -> bool:
    """Tell whether a table has the columns of the manifest that is read."""
    try:
        size = min(files.size_of(path), _HEAD_BYTES)
        head = files.read_bytes(path, 0, size).decode("utf-8-sig", "replace")
    except OSError:
        return False
    lines = [line for line in head.splitlines() if line.strip()]
    line = next((each for each in lines if not each.startswith("sep=")), "")
    wanted = {config.path_column, config.label_column}
    if line.lstrip().startswith("{"):
        try:
            return wanted <= set(json.loads(line))
        except ValueError:
            return False
    return any(
        wanted <= {cell.strip().strip('"') for cell in line.split(delimiter)}
        for delimiter in DELIMITERS
    )
