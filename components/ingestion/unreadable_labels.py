"""Say where labels are written that graft does not read: boxes, masks, one-hot."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from graft.components.ingestion.folder_counts import Folder
from graft.components.ingestion.folder_names import is_annotation, is_box, role_of
from graft.components.ingestion.label_tables import LocatedTable
from graft.components.ingestion.layout_answers import Option, Question
from graft.components.ingestion.source import some_of

_YOLO_FILES = ("_darknet.labels", "data.yaml", "data.yml", "classes.txt", "obj.names")
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
    objects = _labels_of_objects(root, tables)
    one_hot = [
        f"The columns {some_of(each.one_hot)} of {each.table.name!r} are one class "
        "each (one-hot). graft reads the classes from one column: add a column label "
        "with the name of the column that holds the 1."
        for each in tables
        if each.one_hot
    ]
    if not objects and not one_hot:
        return question
    options = tuple(each for each in question.options if not _has_no_class(root, each))
    notes = [question.finding, *one_hot]
    if objects:
        notes.append(f"{objects}, which graft does not read.")
    if objects and not options:
        notes.append(_MEND)
    return Question(" ".join(notes), options)


def _labels_of_objects(root: Folder, tables: Sequence[LocatedTable]) -> str | None:
    beside = {
        os.path.splitext(name)[0] for folder in root.walk() for name in folder.others
    }
    stems = beside.intersection(
        os.path.splitext(name)[0] for folder in root.walk() for name in folder.images
    )
    yolo = any(name in _YOLO_FILES for name in root.others)
    masks = None
    for folder in root.walk():
        below_annotations = any(map(is_annotation, folder.path.split("/")))
        if below_annotations and folder.images:
            masks = masks or f"{folder.path!r} seems to hold masks"
        yolo_here = yolo or any(name in _YOLO_FILES for name in folder.others)
        for name in folder.others:
            stem, extension = os.path.splitext(name.lower())
            path = f"{folder.path}/{name}" if folder.path else name
            is_of_image = os.path.splitext(name)[0] in stems
            if extension == ".json" and (below_annotations or stem.endswith(".coco")):
                return f"{path!r} holds boxes as COCO has them"
            if extension == ".xml" and is_of_image:
                return f"{path!r} holds boxes as Pascal VOC has them"
            if extension == ".txt" and is_of_image and (below_annotations or yolo_here):
                return f"{path!r} holds boxes as YOLO has them"
    for located in tables:
        if located.has_boxes_of_objects:
            return f"{located.table.name!r} has a line for each box"
    return masks


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
