"""Read the splits of a manifest's images from their paths: `test/0001.jpg`."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence

from graft.components.ingestion.folder_names import role_of, roles_of
from graft.components.ingestion.splitting import TRAIN_ROLE

_FIRST_WORD = re.compile(r"[^\W\d_]+")


def roles_of_paths(paths: Sequence[str], labels: Sequence[str]) -> list[str | None]:
    """Return the split that each path names, all in the same place.

    The place is a folder at one depth, or the first word of the file's name. The one
    where the most paths name a split counts. `train` must be among several splits, so a
    folder of trains is none. Words that begin the labels are none either.

    Args:
        paths: Paths as a manifest has them, with slashes or backslashes.
        labels: Label of each image.

    Returns:
        The role of each image, or None; all None if the paths name no splits.
    """
    parts = [re.split(r"[/\\]", path) for path in paths]
    best: list[str | None] = [None] * len(paths)
    for names in _places(parts):
        role_of_name = roles_of([name for name in set(names) if role_of(name)])
        roles = [role_of_name.get(name) for name in names]
        found = set(roles) - {None}
        if (
            TRAIN_ROLE in found
            and len(found) > 1
            and roles.count(None) < best.count(None)
            and not _begin_labels(names, roles, labels)
        ):
            best = roles
    return best


def describe(roles: Sequence[str | None], paths: Sequence[str], column: str) -> str:
    """Say which splits the paths name, whether they hold, and what to do otherwise."""
    counts = Counter(role for role in roles if role is not None)
    text = ", ".join(f"{number} {role}" for role, number in counts.items())
    if None in roles:
        other = paths[roles.index(None)]
        return (
            f"{counts.total():,} of {len(roles):,} paths name a split: {text}. They "
            f"don't hold, since others name none: {other!r}. If they are splits, write "
            f"them into a column {column!r}."
        )
    return (
        f"The paths name the splits: {text}. They hold, since there is no column "
        f"{column!r}. To split by content instead, add it with blank cells."
    )


def _places(parts: Sequence[Sequence[str]]) -> Iterator[list[str]]:
    """Yield the words of all paths in a place, "" for a path without it."""
    folders = [each[:-1] for each in parts]
    for depth in range(max(map(len, folders), default=0)):
        yield [each[depth] if depth < len(each) else "" for each in folders]
        yield [each[-1 - depth] if depth < len(each) else "" for each in folders]
    yield [_first_word(each[-1]) for each in parts]


def _begin_labels(
    names: Sequence[str], roles: Sequence[str | None], labels: Sequence[str]
) -> bool:
    return all(
        label.casefold().startswith(name.casefold())
        for name, role, label in zip(names, roles, labels, strict=True)
        if role is not None
    )


def _first_word(name: str) -> str:
    found = _FIRST_WORD.match(os.path.splitext(name)[0])
    return found[0] if found else ""
