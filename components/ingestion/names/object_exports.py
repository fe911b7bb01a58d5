"""Recognize exports for the detection of objects, by the names of their files."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence

from graft.components.ingestion.names.class_levels import as_setting
from graft.components.ingestion.names.folder_counts import Folder
from graft.components.ingestion.names.folder_names import is_annotation, is_box
from graft.components.ingestion.names.layout_meaning import meaning_of
from graft.components.ingestion.sources.layout_answers import (
    FolderLayout,
    Option,
    Question,
)
from graft.components.ingestion.sources.source import some_of
from graft.contract.counts import agree

_YOLO_FILES = frozenset(
    ("_darknet.labels", "data.yaml", "data.yml", "classes.txt", "obj.names")
)
_SIDECARS = (".txt", ".xml", ".json")
# One file for all images of a folder.
_CREATE_ML = re.compile(r".*\.createml\.json", re.IGNORECASE)
_COCO = re.compile(
    r".*\.coco\.json|_?(annotations?|labels|instances\w*)\.json", re.IGNORECASE
)
_CVAT = "annotations.xml"


def ask_about_exports(root: Folder, layout: FolderLayout) -> Question | None:
    """Ask about class folders that may be exports for the detection of objects.

    Such a folder has a file of annotations beside most of its images, or one for all.

    Args:
        root: The data set's folder.
        layout: How its folders would be read.
    """
    classes = class_folders(root, layout)
    found = {top.path: file for top in classes if (file := _annotation_of(top))}
    if not found:
        return None
    names = sorted(found)
    number = len(names)
    return Question(
        f"{agree(number, 'The folder', 'The folders')} {some_of(names)} "
        f"{agree(number, 'has', 'have')} files of annotations for "
        f"{agree(number, 'its', 'their')} images, such as {found[names[0]]!r}. "
        "Exports for the detection of objects look so: their classes are in these "
        "files, and not in the names of the folders. If so, cut the objects out, into "
        "one folder per class, or write a CSV with the columns path and label.",
        (as_option(root, layout),),
    )


def as_option(root: Folder, layout: FolderLayout) -> Option:
    """Return the config that reads the folders as a layout."""
    settings: dict[str, object] = {"format": layout.format}
    if layout.split_folders:
        settings = {"split_folders": as_setting(layout.split_folders)}
    return Option(settings, meaning_of(root, layout))


def name_export(root: Folder) -> str | None:
    """Say which file of a data set holds objects, and in which form; None if none."""
    beside = {_stem(name) for folder in root.walk() for name in folder.others}
    images = {name for folder in root.walk() for name in folder.images}
    stems = beside.intersection(map(_stem, images))
    yolo = not _YOLO_FILES.isdisjoint(root.others)
    for folder in root.walk():
        below_annotations = any(map(is_annotation, folder.path.split("/")))
        yolo_here = yolo or not _YOLO_FILES.isdisjoint(folder.others)
        for name in folder.others:
            kind = _kind_of(name, below_annotations, _stem(name) in stems, images)
            if kind == "YOLO" and not (below_annotations or yolo_here):
                continue
            if kind is not None:
                path = f"{folder.path}/{name}" if folder.path else name
                return f"{path!r} holds objects as {kind} has them"
    return None


def _kind_of(  # noqa: PLR0911
    name: str, below_annotations: bool, is_of_image: bool, images: set[str]
) -> str | None:
    lower = name.lower()
    if lower.endswith(".json") and _stem(name) in images:
        return "Supervisely"
    if _CREATE_ML.fullmatch(name):
        return "CreateML"
    if lower.endswith(".json") and is_of_image and not below_annotations:
        return "labelme"
    if _COCO.fullmatch(name) or (lower.endswith(".json") and below_annotations):
        return "COCO"
    if lower == _CVAT:
        return "CVAT"
    if lower.endswith(".xml") and is_of_image:
        return "Pascal VOC"
    if lower.endswith(".txt") and is_of_image:
        return "YOLO"
    return None


def class_folders(root: Folder, layout: FolderLayout) -> Sequence[Folder]:
    """Return the folders that a layout takes for classes; those of all its splits."""
    if not layout.split_folders:
        return root.filled
    paths = [path for paths in layout.split_folders.values() for path in paths]
    folders = [folder for path in paths if (folder := root.child_at(path))]
    return [child for folder in folders for child in folder.filled]


def _annotation_of(top: Folder) -> str | None:
    """Return a file that holds the annotations of a folder's images, or None."""
    for path, name in _others(top):
        if name.lower() == _CVAT or _COCO.fullmatch(name) or _CREATE_ML.fullmatch(name):
            return path
    stems = {
        _stem(name): path
        for path, name in _others(top)
        if name.lower().endswith(_SIDECARS)
    }
    images = [n for folder in top.walk() for n in folder.images] if stems else []
    found = (stems.get(_stem(name)) or stems.get(name) for name in images)
    of_images = [path for path in found if path is not None]
    if len(of_images) * 2 > len(images):
        return of_images[0]
    if any(is_box(child.name) for child in top.filled):
        for child in top.children.values():
            if is_annotation(child.name):
                return next((path for path, _ in _others(child)), None)
    return None


def _others(top: Folder) -> Iterator[tuple[str, str]]:
    for folder in top.walk():
        for name in folder.others:
            yield f"{folder.path}/{name}", name


def _stem(name: str) -> str:
    return os.path.splitext(name)[0]
