"""List a folder of images, and find its layout from the config or its content."""

from __future__ import annotations

import csv
import dataclasses
import difflib
import io
import json
from collections.abc import Iterator

from graft.components.ingestion.folders.given_layouts import warn_of_given_layout
from graft.components.ingestion.folders.layout_detection import detect_layout
from graft.components.ingestion.folders.option_readings import with_options_that_read
from graft.components.ingestion.folders.packed_images import explain_packed_images
from graft.components.ingestion.folders.table_readings import read_option
from graft.components.ingestion.names.folder_counts import Folder, count_folders
from graft.components.ingestion.names.folder_names import role_of, roles_of
from graft.components.ingestion.sources.config import DataConfig
from graft.components.ingestion.sources.image_ref import printable
from graft.components.ingestion.sources.layout_answers import (
    ROLES,
    FolderLayout,
    Question,
    text_of,
)
from graft.components.ingestion.sources.source import some_of
from graft.components.ingestion.sources.splitting import TRAIN_ROLE
from graft.components.ingestion.tables.captions import explain_captions, find_captions
from graft.components.ingestion.tables.label_tables import TABLE_EXTENSIONS, Table
from graft.components.ingestion.tables.manifest_rows import DELIMITER_LINE, DELIMITERS
from graft.components.ingestion.tables.split_lists import SplitLists
from graft.contract.counts import agree, counted
from graft.contract.errors import DataError
from graft.storage import files
from graft.storage.image_folder import kinds_of_ignored, list_image_folder
from graft.storage.left_aside import describe
from graft.storage.listing import FileEntry, Tree

_DEEPEST_TABLE = 4
_MOST_TABLES = 8
_TABLE_BYTES = 65536
_TABLE_ROWS = 500


def list_folder(root: str, config: DataConfig) -> tuple[Tree, FolderLayout]:
    """List a folder, and find its layout.

    Args:
        root: The folder.
        config: Names the layout, or leaves it to detection.

    Raises:
        DataError: The folder is empty, contradicts `config`, or has several possible
            layouts. The message lists the configs that read it.
    """
    tree = list_image_folder(root, follow_links=config.follow_links)
    _refuse_links_out(tree, config)
    if not tree.files:
        aside = kinds_of_ignored(tree)
        found = f"holds only {describe(aside)}" if aside else "is empty"
        raise DataError(
            f"The folder {config.path!r} {found}. Put one folder per class into it, "
            "each with at least a few images."
        )
    captions = find_captions(tree.files) if config.format == "auto" else set()
    names = (entry.name for entry in tree.files if entry.name not in captions)
    folder = count_folders(names, tree.folders)
    lists = SplitLists(tree.files, folder)
    layout = _layout_of(folder, tree, config, lists, captions)
    if layout.format in ("folders", "pre_split") and not _names_splits(config):
        warnings = (*layout.warnings, *lists.warnings(layout.split_folders))
        layout = dataclasses.replace(layout, warnings=warnings)
    return tree, _with_warnings_of_given(folder, layout, config)


def _with_warnings_of_given(
    folder: Folder, layout: FolderLayout, config: DataConfig
) -> FolderLayout:
    """Add the warnings about folders that the config names; not those of a pattern."""
    is_given = config.split_folders is not None or config.format != "auto"
    if config.class_pattern is not None or not is_given:
        return layout
    if layout.format not in ("folders", "pre_split"):
        return layout
    key = "data.format" if config.split_folders is None else "data.split_folders"
    warnings = warn_of_given_layout(folder, layout, key)
    return dataclasses.replace(layout, warnings=(*layout.warnings, *warnings))


def _layout_of(
    folder: Folder,
    tree: Tree,
    config: DataConfig,
    lists: SplitLists,
    captions: set[str],
) -> FolderLayout:
    if config.split_folders is not None:
        return _given_splits(folder, config)
    if config.class_pattern is not None or config.format == "folders":
        return FolderLayout("folders")
    if config.format == "auto":
        return _detect(folder, tree, config, lists, captions)
    return _given_format(folder, config)


def _names_splits(config: DataConfig) -> bool:
    """Tell whether `class_pattern` says the splits."""
    return "(?P<split>" in (config.class_pattern or "")


def _refuse_links_out(tree: Tree, config: DataConfig) -> None:
    """Refuse links out of the folder: their images may change, or be somebody else's.

    Raises:
        DataError: There are some.
    """
    if tree.links_out:
        number = len(tree.links_out)
        name, target = next(iter(tree.links_out.items()))
        raise DataError(
            f"{config.path!r} holds {counted(number, 'symbolic link')} that "
            f"{agree(number, 'leads', 'lead')} out of it: {some_of(tree.links_out)}. "
            f"{printable(name)!r} leads to {printable(target)!r}. Set "
            "`data.follow_links: true` to read what is there, or remove the links."
        )


def _detect(
    folder: Folder,
    tree: Tree,
    config: DataConfig,
    lists: SplitLists,
    captions: set[str],
) -> FolderLayout:
    packed = explain_packed_images([entry.name for entry in tree.files])
    if packed is not None:
        raise DataError(f"{config.path!r}: {packed}")
    if not folder.total:
        return FolderLayout("folders")
    answer = detect_layout(folder, list(_read_tables(tree)))
    if isinstance(answer, Question):
        notes = [lists.note()]
        if not answer.options:
            notes.append(explain_captions(tree.files, captions))
        finding = " ".join([answer.finding, *filter(None, notes)])
        answer = Question(finding, answer.options)
        if config.class_names is None:
            fewest = config.min_images_per_class
            answer = with_options_that_read(
                folder, answer, fewest, lambda option: read_option(option, config)
            )
        raise DataError(f"{config.path!r}: {text_of(answer, config.path)}")
    return answer


def _given_splits(folder: Folder, config: DataConfig) -> FolderLayout:
    given = {
        role: tuple(path.strip("/") for path in getattr(config.split_folders, role))
        for role in ROLES
    }
    known = [each.path for each in folder.walk() if each.path]
    for role, paths in given.items():
        for path in paths:
            found = folder.child_at(path)
            if found is None:
                close = difflib.get_close_matches(path, known, n=1)
                hint = f" Did you mean {close[0]!r}?" if close else ""
                raise DataError(
                    f"`split_folders.{role}` must name a folder in {config.path!r}. "
                    f"Received: {path!r}.{hint}"
                )
            if config.class_pattern is None and not found.filled:
                raise DataError(
                    f"`split_folders.{role}` must name a folder of class folders. "
                    f"Received: {path!r}, which holds "
                    f"{counted(len(found.images), 'image')} directly. Name another "
                    "folder, or set `class_pattern` to read the classes from the file "
                    "names."
                )
    return FolderLayout("pre_split", {role: p for role, p in given.items() if p})


def _given_format(folder: Folder, config: DataConfig) -> FolderLayout:
    """Return the layout for the `format` that the config names."""
    top = sorted(folder.children)
    if config.format == "tiny_imagenet":
        if "train" not in top or "val" not in top:
            raise DataError(
                "`format: tiny_imagenet` needs the folders train and val. Received: "
                f"folders {some_of(top) or 'none'}. Give the folder that holds "
                "them, or another `format`."
            )
        return FolderLayout("tiny_imagenet")
    folders_of: dict[str, list[str]] = {}
    known = [name for name in top if role_of(name) and folder.children[name].total]
    for name, role in roles_of(known).items():
        folders_of.setdefault(role, []).append(name)
    train = folders_of.get(TRAIN_ROLE, [])
    if not any(
        config.format == "roboflow" or folder.children[name].filled for name in train
    ):
        raise DataError(
            f"`format: {config.format}` needs a folder train"
            + (" that holds class folders. " if config.format == "pre_split" else ". ")
            + f"Received: folders {some_of(top) or 'none'}. Rename yours, or "
            "name it by `split_folders`."
        )
    twice = [name for names in folders_of.values() if len(names) > 1 for name in names]
    if twice:
        raise DataError(
            f"The folders {some_of(twice)} are the same split. Merge them, or set "
            "`split_folders`."
        )
    splits = {role: tuple(names) for role, names in folders_of.items()}
    if config.format == "roboflow":
        return FolderLayout("roboflow", splits)
    return FolderLayout("pre_split", splits)


def _read_tables(tree: Tree) -> Iterator[Table]:
    """Yield possible label tables of a data set. Some lines of each are read."""
    candidates = [
        entry
        for entry in tree.files
        if entry.name.lower().endswith(TABLE_EXTENSIONS)
        and len(entry.parts) <= _DEEPEST_TABLE
    ]
    for entry in candidates[:_MOST_TABLES]:
        try:
            table = _table_of(entry)
        except (OSError, ValueError, csv.Error):
            continue  # not a table, so it gives no option
        if table is not None:
            yield table


def _table_of(entry: FileEntry) -> Table | None:
    size = entry.size or 0
    head = files.read_bytes(entry.path, 0, min(size, _TABLE_BYTES))
    lines = head.decode("utf-8-sig", "replace").splitlines()
    is_whole = size <= _TABLE_BYTES and len(lines) <= _TABLE_ROWS
    if size > _TABLE_BYTES:
        del lines[-1]  # it is cut off
    if entry.name.lower().endswith((".jsonl", ".ndjson")):
        return _json_table(entry.name, lines[:_TABLE_ROWS], is_whole=is_whole)
    if lines and DELIMITER_LINE.fullmatch(lines[0].strip()):
        del lines[0]
    lines = lines[: _TABLE_ROWS + 1]
    first = lines[0] if lines else ""
    delimiter = max(DELIMITERS, key=first.count)
    reader = csv.reader(io.StringIO("\n".join(lines)), delimiter=delimiter)
    rows = [tuple(cell.strip() for cell in row) for row in reader]
    if not rows or len(rows[0]) < 2:
        return None
    columns = rows[0]
    fitting = tuple(row for row in rows[1:] if len(row) == len(columns))
    return Table(entry.name, columns, fitting, is_whole=is_whole)


def _json_table(name: str, lines: list[str], *, is_whole: bool) -> Table | None:
    rows = [json.loads(line) for line in lines if line.strip()]
    if not rows or not all(isinstance(row, dict) for row in rows):
        return None
    columns = tuple(rows[0])
    cells = (tuple(str(row.get(column, "")) for column in columns) for row in rows)
    return Table(name, columns, tuple(cells), is_whole=is_whole)
