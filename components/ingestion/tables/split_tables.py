"""Read the labels of layouts that keep them in a table beside each split."""

from __future__ import annotations

import csv
import io

from graft.components.ingestion.sources.layout_answers import FolderLayout
from graft.components.ingestion.sources.source import some_of
from graft.components.ingestion.sources.splitting import TRAIN_ROLE, VALIDATION_ROLE
from graft.contract.counts import counted
from graft.contract.errors import DataError
from graft.storage import files
from graft.storage.listing import Tree
from graft.storage.paths import join

Labelled = dict[str, tuple[str, str]]
"""Relative file name to label and role (train, validation, test)."""

_TINY_TABLE = "val/val_annotations.txt"
_UNLABELED = "unlabeled"
_ROBOFLOW_TABLE = "_classes.csv"


def read_split_tables(tree: Tree, root: str, layout: FolderLayout) -> Labelled:
    """Return the labels of the images that have one.

    Args:
        tree: The files below `root`.
        root: The data set's folder.
        layout: "tiny_imagenet" or "roboflow".

    Raises:
        DataError: A table can't be read. The message names the line.
    """
    if layout.format == "tiny_imagenet":
        return _tiny_imagenet(tree, root)
    return _roboflow(tree, root, layout)


def label_files(layout: FolderLayout) -> list[str]:
    """Return the names of the label tables of a layout."""
    if layout.format == "tiny_imagenet":
        return [_TINY_TABLE]
    if layout.format == "roboflow":
        return [
            f"{path}/{_ROBOFLOW_TABLE}"
            for paths in layout.split_folders.values()
            for path in paths
        ]
    return []


class _Table:
    """The labels of one table, each file once.

    Args:
        path: The table, for messages.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.labels: dict[str, str] = {}
        self._lines: dict[str, int] = {}

    def add(self, file: str, label: str, line: int) -> None:
        """Take a line of the table.

        Raises:
            DataError: An earlier line gives the file another class.
        """
        first = self.labels.setdefault(file, label)
        first_line = self._lines.setdefault(file, line)
        if first != label:
            raise DataError(
                f"{self.path!r}: lines {first_line} and {line} give {file!r} two "
                f"classes. Received: {first!r} and {label!r}. Delete one of the lines."
            )


def _tiny_imagenet(tree: Tree, root: str) -> Labelled:
    labelled = {}
    for entry in tree.files:
        parts = entry.parts
        if len(parts) == 4 and parts[0] == "train" and parts[2] == "images":
            labelled[entry.name] = (parts[1], TRAIN_ROLE)
    table = _Table(join(root, _TINY_TABLE))
    for number, line in enumerate(_text(root, _TINY_TABLE).splitlines(), start=1):
        cells = [cell.strip() for cell in line.split("\t")]
        if len(cells) < 2 or not cells[0] or not cells[1]:
            raise DataError(
                f"{table.path!r}, line {number} must hold a file name, a tab and a "
                f"class. Received: {line[:80]!r}. Complete the line or delete it."
            )
        table.add(cells[0], cells[1], number)
    for file, label in table.labels.items():
        labelled[f"val/images/{file}"] = (label, VALIDATION_ROLE)
    return labelled


def _roboflow(tree: Tree, root: str, layout: FolderLayout) -> Labelled:
    labelled: Labelled = {}
    for role, paths in layout.split_folders.items():
        for path in paths:
            table = _roboflow_table(root, f"{path}/{_ROBOFLOW_TABLE}")
            for file, label in table.labels.items():
                labelled[f"{path}/{file}"] = (label, role)
    return labelled


def _roboflow_table(root: str, name: str) -> _Table:
    rows = csv.reader(io.StringIO(_text(root, name), newline=""), strict=True)
    table = _Table(join(root, name))
    where = repr(table.path)
    try:
        header = [cell.strip() for cell in next(rows, [])]
        if len(header) < 3 or len(set(header)) < len(header):
            raise DataError(
                f"{where}: the header must name the file column and at least "
                f"two classes, each once. Received: {header!r}. Export the data from "
                "Roboflow again, for classification."
            )
        for row in rows:
            if row and not _is_unlabeled(row, header):
                label = _one_class(row, header, f"{where}, line {rows.line_num}")
                table.add(row[0].strip(), label, rows.line_num)
    except csv.Error as error:
        raise DataError(
            f"{where}, line {rows.line_num}: not valid CSV: {error}. Close every "
            "double quote in its line."
        ) from error
    return table


def _is_unlabeled(row: list[str], header: list[str]) -> bool:
    """Tell whether the only 1 is in Roboflow's column for images without a label."""
    cells = zip(header, row, strict=False)  # another check counts them
    return [name.casefold() for name, cell in cells if cell.strip() == "1"] == [
        _UNLABELED
    ]


def _one_class(row: list[str], header: list[str], where: str) -> str:
    """Return the class whose cell is 1."""
    cells = [cell.strip() for cell in row[1:]]
    if len(row) != len(header) or not set(cells) <= {"0", "1"}:
        raise DataError(
            f"{where} must hold a file name, and a 0 or 1 for each of "
            f"{counted(len(header) - 1, 'class')}. Received: {some_of(row)}. Correct "
            "the line or delete it."
        )
    names = [name for name, cell in zip(header[1:], cells, strict=True) if cell == "1"]
    if len(names) != 1:
        raise DataError(
            f"{where}: an image must have exactly one class. Received: "
            f"{some_of(names) or 'none'} of {row[0]!r}. graft learns one class per "
            "image: delete the line, or choose one of its classes."
        )
    return names[0]


def _text(root: str, name: str) -> str:
    path = join(root, name)
    if not files.is_file(path):
        raise DataError(
            f"The label table {path!r} is missing. Copy it there, or set `format` to "
            "another layout."
        )
    content = files.read_bytes(path)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise DataError(
            f"{path!r}, line {line}: not UTF-8 text: the byte "
            f"0x{content[error.start]:02x}. Save the file as UTF-8."
        ) from error
