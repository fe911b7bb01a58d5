"""The result of listing a source: references, warnings, and counts of ignored files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from graft.components.ingestion.sources.image_ref import printable
from graft.components.ingestion.sources.ref_list import RefList
from graft.contract import class_name
from graft.contract.errors import DataError

_MOST_NAMES_IN_A_MESSAGE = 5


@dataclass
class Listing:
    """The images of a data set.

    Attributes:
        layout: "folders", "pre_split", "csv" and so on.
        refs: The images, in a fixed order.
        empty_classes: Classes whose folder holds no image.
        empty_notes: Sentences on the content of these folders.
        ignored: Number of files by kind, for files that are not images by their names.
        warnings: Sentences for the user.
        look_alikes: The warnings about confusable class names; also in `warnings`.
        spellings: Class name to its spellings in the source, each with the number of
            images.
    """

    layout: str
    refs: RefList = field(default_factory=RefList)
    empty_classes: list[str] = field(default_factory=list)
    empty_notes: list[str] = field(default_factory=list)
    ignored: Counter[str] = field(default_factory=Counter)
    warnings: list[str] = field(default_factory=list)
    look_alikes: list[str] = field(default_factory=list)
    spellings: dict[str, Counter[str]] = field(default_factory=dict)

    def class_of(self, text: str, where: str) -> str:
        """Return the class name of an image, and record its spelling.

        Args:
            text: As for `class_name_of`.
            where: As for `class_name_of`.

        Raises:
            DataError: The text is not a class name.
        """
        name = class_name_of(text, where)
        self.spellings.setdefault(name, Counter())[text] += 1
        return name


def class_name_of(text: str, where: str) -> str:
    """Return a class name in Unicode's composed form, which is equal on all systems.

    Args:
        text: Name of a folder, or cell of a manifest.
        where: Location of the text, for a message.

    Raises:
        DataError: `graft.contract.class_name` refuses the text.
    """
    try:
        return class_name.class_name_of(text)
    except ValueError as error:
        raise DataError(
            "A class name must be UTF-8 text without line breaks or other control "
            f"characters, and not blank. Received: {printable(text)!r} ({where}): "
            f"{error}. Rename it."
        ) from error


def some_of(names: Iterable[str], counts: Mapping[str, int] | None = None) -> str:
    """Return the first few names for a message, and the number of other names.

    Args:
        names: The names.
        counts: Numbers that follow the names in brackets, by name.
    """
    names = list(names)
    shown = ", ".join(
        repr(printable(name)) + (f" ({counts[name]})" if counts else "")
        for name in names[:_MOST_NAMES_IN_A_MESSAGE]
    )
    more = len(names) - _MOST_NAMES_IN_A_MESSAGE
    return f"{shown} and {more} more" if more > 0 else shown
