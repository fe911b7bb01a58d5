"""Read the splits of a manifest's images from their paths: `test/0001.jpg`."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable, Sequence

from graft.components.ingestion.folder_names import role_of
from graft.components.ingestion.splitting import TRAIN_ROLE

_FIRST_WORD = re.compile(r"[^\W\d_]+")


def roles_of_paths(paths: Sequence[str]) -> list[str] | None:
    """Return the split of each path if the paths say it.

    They do if all have the name of a split in the same place: a folder at one depth, or
    the first word of the file's name. `train` must be among several splits, so a folder
    of trains is none.

    Args:
        paths: Paths as a manifest has them, with slashes or backslashes.

    Returns:
        The role of each image; None if the paths don't say it.
    """
    parts = [re.split(r"[/\\]", path) for path in paths]
    depth = min((len(each) for each in parts), default=1) - 1
    candidates: Iterable[list[str]] = (
        *([each[level] for each in parts] for level in range(depth)),
        *([each[-1 - level] for each in parts] for level in range(1, depth + 1)),
        [_first_word(each[-1]) for each in parts],
    )
    for names in candidates:
        role_of_name = {name: role_of(name) for name in set(names)}
        roles = [role_of_name[name] for name in names]
        if TRAIN_ROLE in roles and len(set(roles)) > 1 and None not in roles:
            return [role for role in roles if role is not None]
    return None


def describe(roles: Sequence[str], column: str) -> str:
    """Say which splits were read from the paths, and how to prevent it."""
    counts = ", ".join(f"{number} {role}" for role, number in Counter(roles).items())
    return (
        f"The paths name the splits: {counts}. They hold, since there is no column "
        f"{column!r}. To split by content instead, add it with blank cells."
    )


def _first_word(name: str) -> str:
    found = _FIRST_WORD.match(os.path.splitext(name)[0])
    return found[0] if found else ""
