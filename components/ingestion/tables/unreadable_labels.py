"""Say where labels are written that graft does not read: boxes, masks, one-hot."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence

from graft.components.ingestion.names.folder_counts import Folder
from graft.components.ingestion.names.folder_names import is_annotation, is_box, role_of
from graft.components.ingestion.names.object_exports import name_export
from graft.components.ingestion.sources.layout_answers import Option, Question
from graft.components.ingestion.sources.source import some_of
from graft.components.ingestion.tables.label_tables import LocatedTable
from graft.components.ingestion.tables.table_labels import choose_labels
from graft.contract.counts import agree

_DOCUMENTS = frozenset(
    ".json .txt .csv .tsv .jsonl .xml .xls .xlsx .ods .mat .npy .npz .h5 .hdf5 .pkl "
    ".pickle .parquet .feather .arrow .yaml .yml .db .sqlite .dat".split()
)
_NO_LABELS = re.compile(
    r"readme|licen[sc]e|copying|changelog|requirements|citation|(sample|example)?[-_ ]?"
    r"submission",
    re.IGNORECASE,
)
_FEWEST_TABLES = 2
_MEND = (
    "The data seem to be for the detection or segmentation of objects. To learn one "
    "class for each image, export them for classification, with a folder per class; or "
    "cut the objects out, into one folder per class; or write a CSV with the columns "
    "path and label."
)


def explain_unreadable(
    root: Folder, tables: Sequence[LocatedTable], question: Question
) -> Question:
    """Add to a question which labels graft does not read, and what to do with them.

    If there are any, options are dropped whose classes would be folders such as `train`
    or `images`.

    Args:
        root: The data set's folder.
        tables: Its tables of labels.
        question: What is unclear about it.
    """
    about_columns = _about_columns(tables)
    if not question.options:
        question = _with_documents(root, question, about_columns)
    objects = _labels_of_objects(root, tables)
    one_hot = [
        f"The columns {some_of(each.one_hot)} of {each.table.name!r} are one class "
        "each (one-hot). graft reads the classes from one column: add a column label "
        "with the name of the column that holds the 1."
        for each in tables
        if each.one_hot
    ]
    headless = [
        f"The first line of {each.table.name!r} names an image: to read the table, "
        "insert a header above it, such as 'path,label'."
        for each in tables
        if not each.table.has_header
    ]
    notes = [*headless, *about_columns, *_about_tables_of_splits(tables)]
    if notes:
        finding = " ".join([question.finding, *notes])
        question = Question(finding, question.options)
    if not objects and not one_hot:
        return question
    options = tuple(each for each in question.options if not _has_no_class(root, each))
    notes = [question.finding, *one_hot]
    if objects:
        notes.append(f"{objects}, which graft does not read.")
    if objects and not options:
        notes.append(_MEND)
    return Question(" ".join(notes), options)


def _about_columns(tables: Sequence[LocatedTable]) -> list[str]:
    """Say why tables with labels give no option."""
    return [
        reason
        for each in tables
        if each.table.has_header and not (each.one_hot or each.has_boxes_of_objects)
        if (reason := choose_labels(each).reason)
    ]


def _about_tables_of_splits(tables: Sequence[LocatedTable]) -> list[str]:
    """Say how to read several tables, such as train.csv and test.csv, together."""
    of_splits = [each for each in tables if each.role and choose_labels(each).column]
    names = {each.role: each.table.name for each in of_splits}
    columns = {each.table.columns for each in of_splits}
    if len(names) < _FEWEST_TABLES or len(columns) > 1:
        return []
    return [
        f"{some_of(names.values())} label one split each, and a config reads one "
        "table. To keep all these splits, join the tables into one CSV with another "
        "column split, which says train, val or test in each line."
    ]


def _with_documents(
    root: Folder, question: Question, explained: Sequence[str]
) -> Question:
    """Name the files beside the images that may hold the labels.

    Args:
        root: The data set's folder.
        question: What is unclear about it.
        explained: Sentences about files that need no other one.
    """
    found = [
        name
        for name in documents_of(root)
        if not any(each.startswith(repr(name)) for each in explained)
    ]
    if not found:
        return question
    number = len(found)
    return Question(
        f"{question.finding} {some_of(found)} {agree(number, 'lies', 'lie')} beside "
        f"the images: if {agree(number, 'it holds', 'they hold')} one label for each "
        "image, write it into a CSV with the columns path and label."
    )


def documents_of(root: Folder) -> list[str]:
    """Return the files in a folder that may hold labels, and that graft can't read."""
    return sorted(
        name
        for name in root.others
        if os.path.splitext(name.lower())[1] in _DOCUMENTS
        and not _NO_LABELS.match(name)
    )


def _labels_of_objects(root: Folder, tables: Sequence[LocatedTable]) -> str | None:
    export = name_export(root)
    if export:
        return export
    for located in tables:
        if located.has_boxes_of_objects:
            return f"{located.table.name!r} has a line for each box"
    for folder in root.walk():
        if folder.images and any(map(is_annotation, folder.path.split("/"))):
            return f"{folder.path!r} seems to hold masks"
    return None


def _has_no_class(root: Folder, option: Option) -> bool:
    """Tell whether an option takes folders for classes that are called otherwise."""
    settings = option.settings
    if "class_pattern" in settings or "path_column" in settings:
        return False
    path = str(settings.get("path", ""))
    base = root.child_at(path) if path else root
    if base is None:  # a table
        return False
    tops = base.filled
    splits = settings.get("split_folders")
    if isinstance(splits, Mapping):
        paths = [each for value in splits.values() for each in _listed(value)]
        found = [base.child_at(each) for each in paths]
        tops = [child for folder in found if folder for child in folder.filled]
    return all(
        is_box(top.name) or is_annotation(top.name) or role_of(top.name) for top in tops
    )


def _listed(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value
