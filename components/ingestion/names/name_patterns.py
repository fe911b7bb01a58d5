"""Patterns that read class folders without some of their files."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field


@dataclass
class NameParts:
    """Parts of the names of files and folders that are left aside.

    Attributes:
        tops: Names of class folders.
        folders: Names of folders in class folders.
        starts: Regular expressions of how the names of files begin.
        ends: Regular expressions of how they end, without extension.
    """

    tops: set[str] = field(default_factory=set)
    folders: set[str] = field(default_factory=set)
    starts: set[str] = field(default_factory=set)
    ends: set[str] = field(default_factory=set)

    def joined(self, other: NameParts) -> NameParts:
        """Return the parts of both."""
        return NameParts(
            self.tops | other.tops,
            self.folders | other.folders,
            self.starts | other.starts,
            self.ends | other.ends,
        )


def pattern_without(parts: NameParts) -> str:
    """Return a `class_pattern` that reads class folders without files of such names."""
    top = f"(?!(?:{_any_of(parts.tops)})/)" if parts.tops else ""
    above = f"(?!(?:{_any_of(parts.folders)})/)" if parts.folders else ""
    file = ""
    if parts.starts:
        file += rf"(?!(?i:{'|'.join(sorted(parts.starts))})[^/]*$)"
    if parts.ends:
        file += rf"(?![^/]*(?i:{'|'.join(sorted(parts.ends))})\.[^./]+$)"
    return f"{top}(?P<class>[^/]+)/(?:{above}[^/]+/)*{file}[^/]+"


def _any_of(words: Iterable[str]) -> str:
    return "|".join(map(re.escape, sorted(words)))
