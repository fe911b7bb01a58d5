"""Sources that are manifests: CSV or JSON lines with path, label and perhaps split."""

from __future__ import annotations

import csv
import difflib
import io
import json
import os
from collections.abc import Iterator

from graft.components.ingestion.config import DataConfig
from graft.components.ingestion.image_ref import ImageRef
from graft.components.ingestion.source import Listing, class_name_of, some_of
from graft.components.ingestion.splitting import (
    ROLE_OF_NAME,
    TRAIN_ROLE,
    splits_of_roles,
)
from graft.contract.errors import DataError
from graft.contract.split_names import SPLITS, TRAIN_SPLIT
from graft.storage import files, listing
from graft.storage.paths import is_remote, join, parent_of


def list_images(path: str, layout: str, config: DataConfig) -> Listing:
    """List the images that a manifest names.

    Args:
        path: The manifest; the paths in it are relative to its folder.
        layout: "csv" or "jsonl".
        config: Names the columns.

    Returns:
        The references, each with what further columns say of it. A file that is not
        there is found out when it is read.

    Raises:
        DataError: Columns or values are missing, or a split's name is unknown.
    """
    source = os.path.basename(path)
    folder = parent_of(path) if is_remote(path) else _folder(path)
    rows: list[tuple[str, str, str | None, tuple[tuple[str, str], ...]]] = []
    for line, row in read_rows(path, layout, config):
        name, label = row.get(config.path_column), row.get(config.label_column)
        if name in (None, "") or label in (None, ""):
            column = config.path_column if name in (None, "") else config.label_column
            raise DataError(
                f"{path!r}, line {line}: the column {column!r} is blank. Every image "
                "needs a path and a label: complete the line or delete it."
            )
        given = str(row.get(config.split_column) or "").strip()
        if given and given.lower() not in ROLE_OF_NAME:
            raise DataError(
                f"{path!r}, line {line}: `{config.split_column}` must be one of "
                f"{sorted(ROLE_OF_NAME)} or blank. Received: {given!r}."
            )
        role = ROLE_OF_NAME[given.lower()] if given else None
        rows.append(
            (
                str(name),
                class_name_of(str(label), f"{path!r} line {line}"),
                role,
                _further_columns(row, config),
            )
        )
    if not rows:
        raise DataError(f"The manifest {path!r} names no images. Add lines to it.")
    found = Listing(layout)
    roles = {role for _, _, role, _ in rows if role}
    splits = splits_of_roles(roles, config.validation_becomes)
    if any(role is None for _, _, role, _ in rows) and TRAIN_ROLE in roles:
        # The images whose split is open fill the other splits.
        splits[TRAIN_ROLE] = (TRAIN_SPLIT,)
    for name, label, role, columns in rows:
        image_path = join(folder, name)
        size = None
        if not is_remote(image_path):
            size = listing.entry_of(image_path, name).size
        found.refs.append(
            ImageRef(
                image_path,
                name,
                label,
                source,
                splits[role] if role else SPLITS,
                size,
                columns=columns,
            )
        )
    return found


def _further_columns(
    row: dict[str, object], config: DataConfig
) -> tuple[tuple[str, str], ...]:
    """Return what else a line says, as text; a blank or missing value is left out."""
    known = (config.path_column, config.label_column, config.split_column)
    texts = {
        name: value if isinstance(value, str) else json.dumps(value)
        for name, value in row.items()
        if name not in known and value is not None
    }
    return tuple((name, text.strip()) for name, text in texts.items() if text.strip())


def read_rows(
    path: str, layout: str, config: DataConfig
) -> Iterator[tuple[int, dict[str, object]]]:
    """Yield the number of each line, from 1, and its values by column.

    Raises:
        DataError: The manifest is no such file, or lacks a column.
    """
    try:
        with files.open_for_reading(path) as file:
            text = io.TextIOWrapper(file, encoding="utf-8-sig", newline="")
            if layout == "csv":
                yield from _csv_rows(text, path, config)
            else:
                yield from _json_rows(text, path, config)
    except UnicodeDecodeError as error:
        raise DataError(
            f"The manifest {path!r} is no UTF-8 text ({error.reason} at byte "
            f"{error.start}). Save it as UTF-8."
        ) from error
    except OSError as error:
        raise DataError(
            f"The manifest {path!r} can't be read: {error.strerror or error}."
        ) from error


def _csv_rows(
    text: io.TextIOWrapper, path: str, config: DataConfig
) -> Iterator[tuple[int, dict[str, object]]]:
    reader = csv.DictReader(text)
    _require_columns([*(reader.fieldnames or [])], path, config)
    try:
        for row in reader:
            yield reader.line_num, {name: row[name] for name in row if name}
    except csv.Error as error:
        raise DataError(
            f"{path!r}, line {reader.line_num}: no valid CSV: {error}."
        ) from error


def _json_rows(
    text: io.TextIOWrapper, path: str, config: DataConfig
) -> Iterator[tuple[int, dict[str, object]]]:
    for number, line in enumerate(text, start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise DataError(
                f"{path!r}, line {number}: no valid JSON: {error}. Each line must be "
                "one "
                f'object such as {{"path": "a.jpg", "label": "cat"}}.'
            ) from error
        if not isinstance(row, dict):
            raise DataError(
                f"{path!r}, line {number}: each line must be a JSON object. "
                f"Received: {line.strip()[:80]!r}."
            )
        _require_columns([*row], f"{path}, line {number}", config)
        yield number, row


def _require_columns(found: list[str], where: str, config: DataConfig) -> None:
    missing = [
        name for name in (config.path_column, config.label_column) if name not in found
    ]
    if not missing:
        return
    hints = [
        f"did you mean {match[0]!r}?"
        for name in missing
        if (match := difflib.get_close_matches(name, found, n=1))
    ]
    raise DataError(
        f"{where!r} lacks the columns {some_of(missing)}. "
        f"Received: columns {found!r}. {' '.join(hints)} Add them, or name yours by "
        "`path_column` and `label_column`."
    )


def _folder(path: str) -> str:
    return os.path.dirname(os.path.abspath(path))
