"""What every kind of source returns: references, and what was left aside on the way."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from graft.components.ingestion.image_ref import ImageRef, printable
from graft.contract import class_name
from graft.contract.errors import DataError

_MOST_NAMES_IN_A_MESSAGE = 5


@dataclass
class Listing:
    """The images of a data set.

    Attributes:
        layout: The layout found: "folders", "pre_split", "csv" and so on.
        refs: The images, in a fixed order.
        empty_classes: Classes that were announced (a folder) but hold nothing.
        empty_notes: Sentences on the folders of these classes: what they hold.
        ignored: Files that are no images by their names: how many by kind.
        warnings: Sentences for the user.
        look_alikes: Of the warnings, those on classes whose names look alike.
        spellings: By class name, the texts that stand for it in the source: how many
            images by text.
    """

    layout: str
    refs: list[ImageRef] = field(default_factory=list)
    empty_classes: list[str] = field(default_factory=list)
    empty_notes: list[str] = field(default_factory=list)
    ignored: Counter[str] = field(default_factory=Counter)
    warnings: list[str] = field(default_factory=list)
    look_alikes: list[str] = field(default_factory=list)
    spellings: dict[str, Counter[str]] = field(default_factory=dict)

    def class_of(self, text: str, where: str) -> str:
        """Return the class name of one image, and remember how it was written.

        Args:
            text: As `class_name_of` takes it.
            where: As `class_name_of` takes it.

        Raises:
            DataError: It is no class name.
        """
        name = class_name_of(text, where)
        self.spellings.setdefault(name, Counter())[text] += 1
        return name


def class_name_of(text: str, where: str) -> str:
    """Return a class name in Unicode's composed form, the same on every system.

    Args:
        text: A folder's name or a manifest's cell.
        where: What to call the place in a message.

    Raises:
        DataError: It is no class name by the rule of `graft.contract.class_name`.
    """
    try:
        return class_name.class_name_of(text)
    except ValueError as error:
        raise DataError(
            "A class name must be UTF-8 text without line breaks or other control "
            f"characters, and not blank. Received: {printable(text)!r} ({where}): "
            f"{error}. Rename it."
        ) from error


def some_of(names: list[str]) -> str:
    """Return the first few names for a message, and how many more there are."""
    shown = ", ".join(repr(printable(n)) for n in names[:_MOST_NAMES_IN_A_MESSAGE])
    more = len(names) - _MOST_NAMES_IN_A_MESSAGE
    return f"{shown} and {more} more" if more > 0 else shown
