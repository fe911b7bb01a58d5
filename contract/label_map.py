"""The label map: the class names of a model and their labels.

The label of a class is the index of its name in the label map. The model's
probabilities have the same order. `LabelMap.of` sorts names, so adding images to known
classes changes no label.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

from graft.contract.class_name import class_name_of

NO_LABEL = -1
"""Label of a class name that the label map lacks."""


@dataclass(frozen=True)
class LabelMap:
    """Maps labels to class names and class names to labels.

    Attributes:
        class_names: Class names in the order of their labels, from 0.

    Raises:
        ValueError: A class name occurs twice, or `class_name_of` would change or refuse
            it. Names that it accepts are one line each in the file of the label map.
    """

    class_names: tuple[str, ...]

    def __post_init__(self) -> None:
        if len(set(self.class_names)) != len(self.class_names) or not all(
            map(_is_class_name, self.class_names)
        ):
            raise ValueError(
                "`class_names` must be unique, and each must be one line. "
                f"Received: {self.class_names!r}"
            )

    @classmethod
    def of(cls, names: Iterable[str | bytes]) -> LabelMap:
        """Build a label map from the class names of examples.

        Args:
            names: Class names in any order. Duplicates are allowed.
        """
        return cls(tuple(sorted({_text(name) for name in names})))

    @classmethod
    def from_lines(cls, lines: Iterable[str | bytes]) -> LabelMap:
        """Build a label map from class names in the order of their labels."""
        return cls(tuple(_text(line) for line in lines))

    @classmethod
    def from_text(cls, text: str) -> LabelMap:
        """Parse the text that `to_text` returns.

        Only a line feed ends a line.
        """
        return cls.from_lines(text.removesuffix("\n").split("\n") if text else ())

    def to_text(self) -> str:
        """Return one class name per line, in the order of the labels."""
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


def _is_class_name(name: str) -> bool:
    try:
        return class_name_of(name) == name
    except ValueError:
        return False
