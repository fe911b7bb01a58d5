"""Tables that label single images as a class other than that of their folder."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from graft.components.ingestion.folders.layout_options import table_options
from graft.components.ingestion.names.folder_counts import Folder
from graft.components.ingestion.names.folder_names import role_of
from graft.components.ingestion.names.object_exports import as_option
from graft.components.ingestion.sources.image_ref import printable
from graft.components.ingestion.sources.layout_answers import FolderLayout, Question
from graft.components.ingestion.tables.column_names import never_holds_the_class
from graft.components.ingestion.tables.label_tables import (
    LocatedTable,
    are_one_to_one,
    names_part_of,
    plain,
)
from graft.contract.counts import agree, counted


class _Correction(NamedTuple):
    image: str
    folder: str
    label: str


def ask_about_corrections(
    root: Folder, layout: FolderLayout, tables: Sequence[LocatedTable]
) -> Question | None:
    """Ask about a table that puts images into the class of another folder.

    Most of its rows may agree with the folders, or it may hold the corrected rows only.

    Args:
        root: The data set's folder.
        layout: How its folders would be read.
        tables: Its tables of labels.
    """
    names = {
        plain(part)
        for folder in root.walk()
        if folder.images
        for part in folder.path.split("/")
        if role_of(part) is None
    }
    for located in tables:
        corrections = _corrections(located, names)
        if not corrections:
            continue
        first, number = corrections[0], len(corrections)
        return Question(
            f"{located.table.name!r} gives {counted(number, 'image')} "
            f"{agree(number, 'a label that is', 'labels that are')} the name of "
            f"another folder: {printable(first.image)!r} lies in "
            f"{printable(first.folder)!r}, and its label is {printable(first.label)!r}."
            " If the table is right, "
            + agree(
                number,
                "move the image into the folder of its label.",
                "move the images into the folders of their labels.",
            ),
            (as_option(root, layout), *table_options(root, [located.table])),
        )
    return None


def _corrections(located: LocatedTable, names: set[str]) -> list[_Correction]:
    column = located.label_column()
    if column is None or located.image_column is None or never_holds_the_class(column):
        return []
    rows = [
        _Correction(image, folder, label)
        for image, folder, label in zip(
            located.table.column(located.image_column),
            located.folders,
            located.table.column(column),
            strict=True,
        )
        if folder is not None and label
    ]
    # Labels that count the folders, such as 1 for the folder 0, correct nothing.
    are_numbers = all(row.label.isdigit() for row in rows)
    if are_numbers and are_one_to_one([(row.label, row.folder) for row in rows]):
        return []
    return [
        row
        for row in rows
        if plain(row.label) in names and not names_part_of(row.label, row.folder)
    ]
