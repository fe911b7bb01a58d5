"""The findings of one check."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from graft.components.quality.image_table import ImageTable
from graft.contract.split_names import TRAIN_SPLIT


def _nothing() -> np.ndarray:
    return np.empty(0, np.int64)


def _no_words(index: int) -> str:
    raise IndexError(index)


def _no_facts(index: int) -> dict[str, Any]:
    return {}


@dataclass(frozen=True)
class Finding:
    """One finding.

    Attributes:
        image: The image, by index. The policy `drop` removes it from training.
        message: The reason, with the measured value.
        other: The second image of a pair; None for a single image.
    """

    image: int
    message: str
    other: int | None = None


@dataclass(frozen=True)
class Findings:
    """All findings of one check. Only those that are shown get words.

    Attributes:
        table: All images.
        images: int (F,), the images found, by index.
        others: int (F,), the second image of each pair; empty for single images.
        tell: Returns the message of the finding at an index.
        not_searched: What was left out, such as "images without features", to its
            number. A check whose policy is `fail` then fails.
        facts: Returns the values in the message of a finding, by name.
    """

    table: ImageTable
    images: np.ndarray = field(default_factory=_nothing)
    others: np.ndarray = field(default_factory=_nothing)
    tell: Callable[[int], str] = _no_words
    not_searched: Mapping[str, int] = field(default_factory=dict)
    facts: Callable[[int], dict[str, Any]] = _no_facts

    def __len__(self) -> int:
        """Number of findings."""
        return len(self.images)

    def first(self, count: int) -> list[Finding]:
        """Return the first findings."""
        return [
            Finding(
                int(self.images[index]),
                self.tell(index),
                int(self.others[index]) if len(self.others) else None,
            )
            for index in range(min(count, len(self)))
        ]

    def in_train(self) -> np.ndarray:
        """Return the images found in `train`, each once."""
        images: np.ndarray = np.unique(self.images)
        in_train: np.ndarray = images[self.table.is_in(TRAIN_SPLIT)[images]]
        return in_train

    def and_more(self, more: Findings) -> Findings:
        """Return these findings, and those of `more` of other images."""
        images, place = np.unique(more.images, return_index=True)
        new = np.sort(place[~np.isin(images, self.images)])
        num_own = len(self)

        def tell(index: int) -> str:
            if index < num_own:
                return self.tell(index)
            return more.tell(int(new[index - num_own]))

        return Findings(
            self.table,
            np.concatenate([self.images, more.images[new]]),
            np.concatenate([self.others, more.others[new]]),
            tell,
            {**self.not_searched, **more.not_searched},
        )
