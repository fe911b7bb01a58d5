"""Find classes that all have a twin, such as `cat_new` and `dog_new`.

The twins may be other versions of the same images. They may be classes as well, as
`bad_apple` is beside `apple`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection

from graft.components.ingestion.names.folder_counts import Folder
from graft.components.ingestion.sources.layout_answers import FolderLayout
from graft.components.ingestion.sources.source import some_of

_FEWEST_CLASSES = 2


def twins_of(names: Collection[str]) -> dict[str, str]:
    """Return the class by its twin, if each class has one with the same addition.

    Args:
        names: The names of all class folders.
    """
    known = set(names)
    half = len(known) // 2
    are_numbers = any(name.isdigit() for name in known)  # `10` is no twin of `0`
    if len(known) % 2 or half < _FEWEST_CLASSES or are_numbers:
        return {}
    first = min(known, key=lambda name: (len(name), name))
    for other in known - {first}:
        before, found, after = other.partition(first)
        if not found or bool(before) == bool(after):
            continue
        twins = {f"{before}{name}{after}": name for name in known}
        twins = {twin: name for twin, name in twins.items() if twin in known}
        if len(twins) == half and not twins.keys() & set(twins.values()):
            return twins
    return {}


def with_warning_of_twins(root: Folder, layout: FolderLayout) -> FolderLayout:
    """Add a warning to a layout whose classes all have a twin."""
    above = [
        folder
        for paths in layout.split_folders.values()
        for path in paths
        if (folder := root.child_at(path)) and not folder.is_flat
    ] or [root]
    twins = twins_of({top.name for folder in above for top in folder.filled})
    if not twins:
        return layout
    warning = (
        f"Each class has a second one with the same addition to its name: "
        f"{some_of(sorted(twins))} beside {some_of(sorted(twins.values()))}. They are "
        "read as classes. If they hold other versions of the same images, or more "
        "images of the same classes, merge them, or leave one of each two out."
    )
    return dataclasses.replace(layout, warnings=(*layout.warnings, warning))
