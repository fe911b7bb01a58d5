"""Warn of lines of a manifest whose label is another than their image's path says."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from graft.components.ingestion.sources.labels import shown
from graft.contract.counts import agree, counted

_MOST_PAIRS = 10_000
_NUMBER_AT_END = re.compile(r"[-_. ()]*\d+[)]?$")


class _Seen(NamedTuple):
    number: int
    example: str


class LabelsInPaths:
    """Compare labels with the folders and the names of the images.

    A table whose lines are shifted by one, or sorted without their labels, gives each
    image a label, and a wrong one.
    """

    def __init__(self) -> None:
        self._labels: Counter[str] = Counter()
        self._seen: dict[tuple[str, str], _Seen] = {}

    def add(self, path: str, label: str) -> None:
        """Take a line."""
        self._labels[label] += 1
        *folders, name = path.split("/")
        stem = _NUMBER_AT_END.sub("", name.rpartition(".")[0])
        for word in {*folders, stem} - {""}:
            seen = self._seen.get((word, label))
            if seen is not None or len(self._seen) < _MOST_PAIRS:
                number, example = seen or (0, path)
                self._seen[word, label] = _Seen(number + 1, example)

    def warnings(self) -> Iterator[str]:
        """Yield a warning if paths hold labels, and lines give other ones."""
        others = {
            pair: seen
            for pair, seen in self._seen.items()
            if self._is_another_label(*pair)
        }
        if others:
            number = sum(seen.number for seen in others.values())
            (_, label), seen = max(others.items(), key=lambda each: each[1].number)
            yield (
                f"{counted(number, 'line')} {agree(number, 'gives', 'give')} an image "
                "another label than its path seems to say, such as "
                f"{shown(seen.example)} the label {shown(label)}. If the paths are "
                "right, the lines of the labels may have been moved: write the table "
                "anew."
            )

    def _is_another_label(self, word: str, label: str) -> bool:
        # A number, as 1, is a part of most paths.
        return (
            word in self._labels
            and not word.isdecimal()
            and _folded(word) != _folded(label)
        )


def _folded(name: str) -> str:
    return re.sub(r"[\W_]+", "", name).casefold()
