"""Ask about split folders in class folders that hold images beside them.

In `cat/test/1.jpg` beside `cat/20.jpg`, the folder `test` was perhaps set apart.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from graft.components.ingestion.folders.layout_options import (
    read_as_classes,
    read_splits_below,
)
from graft.components.ingestion.folders.splits_inside_names import (
    letters_of,
    split_inside,
)
from graft.components.ingestion.names.class_levels import option_of_pattern
from graft.components.ingestion.names.folder_counts import Folder
from graft.components.ingestion.names.folder_names import roles_of
from graft.components.ingestion.sources.layout_answers import Question
from graft.components.ingestion.sources.source import some_of
from graft.components.ingestion.sources.splitting import TRAIN_ROLE
from graft.contract.counts import agree

_FEWEST_ROLES = 2


def ask_about_splits_in_classes(
    root: Folder, tops: Sequence[Folder]
) -> Question | None:
    """Ask about class folders that hold images, and folders with names of splits.

    One class that holds one such folder is only worth a warning.
    """
    other = _ask_about_splits_named_after_classes(
        root, tops
    ) or _ask_about_deeper_splits(root, tops)
    if other is not None:
        return other
    roles = _roles_in(tops)
    holders = [top.name for top in tops if _holds(top, roles)]
    if len(tops) < 2 or (len(holders) < 2 and len(set(roles.values())) < 2):
        return None
    if not any(top.images and _holds(top, roles) for top in tops):
        return None
    finding = (
        f"{agree(len(roles), 'The folder', 'The folders')} {some_of(sorted(roles))} in "
        f"{some_of(sorted(holders))} "
        f"{agree(len(roles), 'has the name of a split', 'have names of splits')}, but "
        f"images lie beside {agree(len(roles), 'it. It', 'them. They')} may be "
        f"{agree(len(roles), 'a split', 'splits')}, or images of the class like the "
        "others."
    )
    splits = "|".join(map(re.escape, sorted(roles, key=len, reverse=True)))
    pattern = f"(?P<class>[^/]+)/(?:(?P<split>{splits})/)?.+"
    kind = agree(len(roles), "a split", "splits")
    meaning = f"{some_of(sorted(roles))} as {kind}, and images without a split: train"
    return Question(
        finding,
        (*option_of_pattern(root, {}, pattern, meaning), *read_as_classes(root)),
    )


def _ask_about_splits_named_after_classes(
    root: Folder, tops: Sequence[Folder]
) -> Question | None:
    """Ask about splits such as `cat/cat_train` and `cat/cat_test`."""
    parts = {
        child.name: (top.name, found)
        for top in tops
        for child in top.filled
        if (found := split_inside(child.name))
    }
    names = {child.name for top in tops for child in top.filled}
    are_so = all(
        part.rest == letters_of(class_name) for class_name, part in parts.values()
    )
    roles = {part.role for _, part in parts.values()}
    if not names or parts.keys() < names or not are_so or TRAIN_ROLE not in roles:
        return None
    if len(roles) < _FEWEST_ROLES:
        return None
    return Question(
        f"The class folders hold folders with the name of the class and a split, "
        f"{some_of(sorted(parts))}. As images of the class, graft would make other "
        "splits.",
        (*read_splits_below(root, sorted(parts)), *read_as_classes(root)),
    )


def _ask_about_deeper_splits(root: Folder, tops: Sequence[Folder]) -> Question | None:
    """Ask about splits below another folder of each class: `cat/images/train`."""
    found = {
        top.name: {
            each.name
            for child in top.filled
            for folder in child.walk()
            for each in folder.filled
        }
        for top in tops
    }
    roles = roles_of(set().union(*found.values()))
    names = [roles.keys() & each for each in found.values()]
    are_splits = all(len({roles[name] for name in each}) > 1 for each in names)
    if len(tops) < 2 or not are_splits or TRAIN_ROLE not in roles.values():
        return None
    splits = "|".join(map(re.escape, sorted(roles, key=len, reverse=True)))
    pattern = f"(?P<class>[^/]+)/(?:.+/)?(?P<split>{splits})/.+"
    meaning = f"{some_of(sorted(roles))} as splits"
    return Question(
        f"The class folders hold folders with names of splits, {some_of(sorted(roles))}"
        ", below other folders. As images of the class, graft would make other splits.",
        (*option_of_pattern(root, {}, pattern, meaning), *read_as_classes(root)),
    )


def warn_of_inner_splits(tops: Sequence[Folder]) -> tuple[str, ...]:
    """Return a warning about folders in classes that are not read as splits."""
    roles = _roles_in(tops)
    holders = sorted(top.name for top in tops if _holds(top, roles))
    if not holders:
        return ()
    return (
        f"{agree(len(holders), 'The class', 'The classes')} {some_of(holders)} "
        f"{agree(len(holders), 'holds', 'hold')} folders with names of splits, "
        f"{some_of(sorted(roles))}, and their images are split by content.",
    )


def _roles_in(tops: Sequence[Folder]) -> dict[str, str]:
    """Return the split folders in classes; `train` alone may hold trains."""
    roles = roles_of({child.name for top in tops for child in top.filled})
    return roles if set(roles.values()) != {TRAIN_ROLE} else {}


def _holds(top: Folder, roles: dict[str, str]) -> bool:
    return any(child.name in roles for child in top.filled)
