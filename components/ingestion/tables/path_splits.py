"""Read the splits of a manifest's images from their paths: `test/0001.jpg`."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from graft.components.ingestion.names.folder_names import (
    role_of,
    roles_of,
    split_and_class_of,
)
from graft.components.ingestion.names.split_words import ROLE_OF_ABBREVIATION
from graft.components.ingestion.sources.splitting import TRAIN_ROLE

_SHARE_OF_PATHS = 0.5
_WORD = re.compile(r"[^\W\d_]+")


def roles_of_paths(paths: Sequence[str], labels: Sequence[str]) -> list[str | None]:
    """Return the split that each path names, all in the same place.

    The place is a folder at one depth, or the first or last word of the file's name.
    The one where the most paths name a split counts. `train` must be among several
    splits, so a folder of trains is none. Words of the labels are none either.

    Args:
        paths: Paths as a manifest has them, with slashes or backslashes.
        labels: Label of each image.

    Returns:
        The role of each image, or None; all None if the paths name no splits.
    """
    parts = [re.split(r"[/\\]", path) for path in paths]
    best: list[str | None] = [None] * len(paths)
    for names in _places(parts):
        roles = _roles_of_words(names, labels)
        if roles.count(None) < best.count(None):
            best = roles
    return best


class NamedSplits(NamedTuple):
    """The splits that the names of files say.

    Attributes:
        roles: The split of each file, or None.
        words: The words that say it.
        is_first: Whether these are the first words of the names, or the last ones.
    """

    roles: list[str | None]
    words: list[str]
    is_first: bool


def splits_in_names(stems: Sequence[str], labels: Sequence[str]) -> NamedSplits | None:
    """Return the splits that the names of files say, or None.

    Args:
        stems: Names of files, without folder and extension.
        labels: Label of each.
    """
    found = []
    for word_of, is_first in ((_first_word, True), (_last_word, False)):
        words = [word_of(stem) for stem in stems]
        roles = _roles_of_words(words, labels)
        if roles.count(None) == len(roles):
            roles = _roles_of_abbreviations(words, labels)
        named = sorted({w for w, role in zip(words, roles, strict=True) if role})
        if named:
            found.append(NamedSplits(roles, named, is_first))
    return min(found, key=lambda each: each.roles.count(None), default=None)


def _roles_of_words(words: Sequence[str], labels: Sequence[str]) -> list[str | None]:
    """Return the roles of words; all None if they are not those of splits."""
    role_of_word = roles_of([word for word in set(words) if role_of(word)])
    roles = [role_of_word.get(word) for word in words]
    found = set(roles) - {None}
    is_split = TRAIN_ROLE in found and len(found) > 1
    if is_split and not _are_of_labels(words, roles, labels):
        return roles
    return [None] * len(words)


def _roles_of_abbreviations(
    words: Sequence[str], labels: Sequence[str]
) -> list[str | None]:
    """Return the roles of `tr` and `te`; all None if any word is none of these."""
    roles = [ROLE_OF_ABBREVIATION.get(word.casefold()) for word in words]
    found = set(roles)
    is_split = None not in found and TRAIN_ROLE in found and len(found) > 1
    if is_split and not _are_of_labels(words, roles, labels):
        return roles
    return [None] * len(words)


def describe(roles: Sequence[str | None], paths: Sequence[str], column: str) -> str:
    """Say which splits the paths name, whether they hold, and what to do otherwise."""
    counts = Counter(role for role in roles if role is not None)
    if None in roles:
        other = paths[roles.index(None)]
        return (
            f"{_named_by(counts, len(roles))} They don't hold, since others name none: "
            f"{other!r}. If they are splits, write them into a column {column!r}."
        )
    return (
        f"The paths name the splits: {_in_words(counts)}. They hold, since there is "
        f"no column {column!r}. To split by content instead, add it with blank cells."
    )


def warn_of_some_splits(
    paths: Sequence[str], labels: Sequence[str], column: str
) -> list[str]:
    """Return a warning about folders such as `test`, beside folders of no split.

    Args:
        paths: Paths as a manifest has them, of which not all name a split.
        labels: Label of each image.
        column: Name of the column for splits.
    """
    counts = _roles_of_some_folders(paths, labels)
    if not counts:
        return []
    return [
        f"{_named_by(counts, len(paths))} They don't hold, since others name none. If "
        f"they are splits, write them into a column {column!r}."
    ]


def warn_of_unread_splits(paths: Sequence[str], labels: Sequence[str]) -> list[str]:
    """Return a warning about splits in paths of which `class_pattern` reads none.

    Args:
        paths: Paths of the images that it reads.
        labels: The class of each.
    """
    roles = roles_of_paths(paths, labels)
    counts = Counter(role for role in roles if role is not None)
    if counts.total() < _SHARE_OF_PATHS * len(roles) or not counts:
        counts = _roles_of_some_folders(paths, labels)
    if not counts:
        return []
    return [
        f"{_named_by(counts, len(roles))} They don't hold, since `class_pattern` has "
        "no group `split`: the images' content decides. To keep them, add it, such as "
        "(?P<split>train|test), or set `split_folders`."
    ]


def _named_by(counts: Counter[str], total: int) -> str:
    number = f"{counts.total():,} of {total:,}"
    return f"{number} paths name a split: {_in_words(counts)}."


def _in_words(counts: Counter[str]) -> str:
    return ", ".join(f"{number:,} {role}" for role, number in counts.items())


def _roles_of_some_folders(paths: Sequence[str], labels: Sequence[str]) -> Counter[str]:
    """Count the roles of folders such as `holdout`, beside folders that have none."""
    folders = [re.split(r"[/\\]", path)[:-1] for path in paths]
    found: Counter[str] = Counter()
    for depth in range(max(map(len, folders), default=0)):
        names = [each[depth] if depth < len(each) else "" for each in folders]
        role_of_name = roles_of(set(names))
        for name in set(names):
            part = split_and_class_of(name)
            if part and part.class_name in names and (role := role_of(part.split)):
                role_of_name.setdefault(name, role)  # `pets_test` beside `pets`
        roles = [role_of_name.get(name) for name in names]
        counts = Counter(role for role in roles if role is not None)
        is_of_some = 0 < counts.total() < len(roles) or len(counts) > 1
        if is_of_some and not _are_of_labels(names, roles, labels):
            found = max(found, counts, key=Counter.total)
    return found


def _places(parts: Sequence[Sequence[str]]) -> Iterator[list[str]]:
    """Yield the words of all paths in a place, "" for a path without it."""
    folders = [each[:-1] for each in parts]
    for depth in range(max(map(len, folders), default=0)):
        yield [each[depth] if depth < len(each) else "" for each in folders]
        yield [each[-1 - depth] if depth < len(each) else "" for each in folders]
    stems = [os.path.splitext(each[-1])[0] for each in parts]
    yield [_first_word(stem) for stem in stems]
    yield [_last_word(stem) for stem in stems]


def _are_of_labels(
    words: Sequence[str], roles: Sequence[str | None], labels: Sequence[str]
) -> bool:
    """Tell whether the words of splits stand in the labels, too."""
    return all(
        word.casefold() in _WORD.findall(label.casefold())
        or label.casefold().startswith(word.casefold())
        for word, role, label in zip(words, roles, labels, strict=True)
        if role is not None
    )


def _first_word(stem: str) -> str:
    found = _WORD.match(stem)
    return found[0] if found else ""


def _last_word(stem: str) -> str:
    """Return the last word of a name, before its number."""
    return next(iter(_WORD.findall(stem)[-1:]), "")
