"""The label map: the class names of a model, and the label of each.

The order of the class names is that of the labels and of the model's probabilities. It
is the names' own order, so that a class keeps its place when images are added.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

NO_LABEL = -1
"""Stands for the label of a class name that is not in the label map."""


@dataclass(frozen=True)
class LabelMap:
    """Class names and labels, both ways.

    Attributes:
        class_names: The class name of each label, from 0.

    Raises:
        ValueError: A class name occurs twice or has a line break.
    """

    class_names: tuple[str, ...]

    def __post_init__(self) -> None:
        is_one_line = not any("\n" in name for name in self.class_names)
        if len(set(self.class_names)) != len(self.class_names) or not is_one_line:
            raise ValueError(
                "`class_names` must be different texts of one line each. "
                f"Received: {self.class_names!r}"
            )

    @classmethod
    def of(cls, names: Iterable[str | bytes]) -> LabelMap:
        """Return the label map of the class names in some examples.

        Args:
            names: Class names in any order, each any number of times.
        """
        return cls(tuple(sorted({_text(name) for name in names})))

    @classmethod
    def from_lines(cls, lines: Iterable[str | bytes]) -> LabelMap:
        """Return the label map whose class names are in the order of their labels."""
        return cls(tuple(_text(line) for line in lines))

    @classmethod
    def from_text(cls, text: str) -> LabelMap:
        """Read what `to_text` wrote.

        A line ends at a line feed alone: a class name may hold other separators, such
        as U+2028, at which `str.splitlines` would cut it.
        """
        return cls.from_lines(text.removesuffix("\n").split("\n") if text else ())

    def to_text(self) -> str:
        """Return one class name a line, in the order of the labels."""
        return "".join(f"{name}\n" for name in self.class_names)

    def __len__(self) -> int:
        return len(self.class_names)

    def __iter__(self) -> Iterator[str]:
        return iter(self.class_names)

    def label_of(self, name: str | bytes) -> int:
        """Return the label of a class name, or `NO_LABEL`."""
        return self._labels.get(_text(name), NO_LABEL)

    def labels_of(self, names: Iterable[str | bytes]) -> list[int]:
        """Return the label of each class name, or `NO_LABEL`."""
        return [self.label_of(name) for name in names]

    @cached_property
    def _labels(self) -> dict[str, int]:
        return {name: label for label, name in enumerate(self.class_names)}


def _text(name: str | bytes) -> str:
    return name.decode() if isinstance(name, bytes) else name
