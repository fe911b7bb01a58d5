"""Say what a layout reads, with counts, for the options of a question."""

from __future__ import annotations

from collections import Counter

from graft.components.ingestion.names.folder_counts import Folder
from graft.components.ingestion.sources.layout_answers import (
    ROLES,
    FolderLayout,
    describe_classes,
)
from graft.contract.counts import counted


def meaning_of(root: Folder, layout: FolderLayout) -> str:
    """Return what a layout reads, with counts."""
    if layout.format == "folders":
        return classes_of(root)
    if layout.format != "pre_split":
        return f"the layout {layout.format}, {counted(root.total, 'image')}"
    classes: Counter[str] = Counter()
    parts = []
    for role in ROLES:
        number = 0
        for path in layout.split_folders.get(role, ()):
            folder = root.child_at(path)
            if folder is None or folder.is_flat:
                continue
            for child in folder.filled:
                classes[child.name] += child.total
                number += child.total
        if number:
            parts.append(f"{role} {counted(number, 'image')}")
    return f"splits: {', '.join(parts)}; {describe_classes(classes)}"


def classes_of(root: Folder) -> str:
    """Return the class folders of a folder, with counts."""
    return describe_classes(Counter({top.name: top.total for top in root.filled}))
