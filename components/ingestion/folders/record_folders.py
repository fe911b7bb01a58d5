"""Ask about folders of TFRecord files, which are no class folders."""

from __future__ import annotations

from graft.components.ingestion.names.folder_counts import Folder
from graft.components.ingestion.sources.layout import is_record_name
from graft.components.ingestion.sources.layout_answers import Option, Question
from graft.contract.counts import counted


def ask_about_records(root: Folder) -> Question | None:
    """Ask about folders of which most files are TFRecord files, and no images.

    Args:
        root: The data set's folder.
    """
    number = sum(is_record_name(n) for folder in root.walk() for n in folder.images)
    if number * 2 <= root.total:
        return None
    return Question(
        f"{counted(number, 'TFRecord file')} of {counted(root.total, 'file')}: their "
        "records hold the images and the labels, and no folder is a class.",
        (
            Option(
                {"format": "tfrecord"},
                f"{counted(number, 'TFRecord file')}; a word such as train in the name "
                "of a file or folder is its split",
            ),
        ),
    )
