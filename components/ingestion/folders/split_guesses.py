"""Guess which top folders are splits, for the options of a question.

Folders that hold the same class folders are very likely splits, whatever their names.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Sequence

from graft.components.ingestion.copies.copy_names import is_named_after_copies
from graft.components.ingestion.folders.layout_options import options_of_splits
from graft.components.ingestion.names.folder_counts import Folder
from graft.components.ingestion.names.folder_names import (
    is_fold,
    is_origin,
    role_of,
    roles_of,
)
from graft.components.ingestion.names.split_words import guessed_role_of
from graft.components.ingestion.sources.layout_answers import ROLES, Option
from graft.components.ingestion.sources.similar_classes import skeleton_of
from graft.components.ingestion.sources.splitting import (
    TEST_ROLE,
    TRAIN_ROLE,
    VALIDATION_ROLE,
)

_FEWEST_CLASSES = 2


def guessed_roles(root: Folder) -> dict[str, str]:
    """Return the roles of all top folders that share class folders, as far as known.

    The names tell them, misspelt ones too. Of a last folder beside `train`, nothing but
    `test` is left.
    """
    known = roles_of([top.name for top in root.filled])
    roles = {}
    for top in root.filled:
        found = known.get(top.name) or _guessed_role(top.name)
        if found:
            roles[top.name] = found
    unknown = [top for top in root.filled if top.name not in roles]
    train = [root.children[n] for n, role in roles.items() if role == TRAIN_ROLE]
    if len(unknown) == 1 and train and TEST_ROLE not in roles.values():
        (rest,) = unknown
        if _have_common_classes([*train, rest]):
            roles[rest.name] = TEST_ROLE
    return {name: role for role in ROLES for name, r in roles.items() if r == role}


def options_of_guessed_splits(root: Folder) -> Iterator[Option]:
    """Yield the option to read all top folders as splits, if their names tell which."""
    roles = guessed_roles(root)
    are_all = len(roles) == len(root.filled) and TRAIN_ROLE in roles.values()
    if are_all and _have_common_classes(root.filled):
        yield from options_of_splits(root, roles)


def hint_about_splits(root: Folder) -> str:
    """Say how to name top folders as splits, if not all their names tell which.

    The user fills in the rest. It is empty where they can't be splits, as parts of a
    set.
    """
    tops = root.filled
    below = {child.name for top in tops for child in top.filled}
    if (
        not 1 < len(tops) <= len(ROLES)
        or not _have_common_classes(tops)
        or any(is_fold(top.name) or is_origin(top.name) for top in tops)
        or all(map(role_of, below))
        or any(map(is_named_after_copies, (*below, *(top.name for top in tops))))
    ):
        return ""
    roles = guessed_roles(root)
    splits = {role: name for name, role in roles.items()}
    if len(splits) < len(roles) or len(roles) == len(tops):
        return ""
    # A guess of the rest would be wrong as often as right.
    for role in (TRAIN_ROLE, TEST_ROLE, VALIDATION_ROLE):
        if len(splits) < len(tops):
            splits.setdefault(role, "...")
    names = {role: splits[role] for role in ROLES if role in splits}
    setting = shlex.quote(f"data.split_folders={json.dumps(names, ensure_ascii=False)}")
    return f" If they are splits, name each of them: `--set {setting}`."


def _have_common_classes(folders: Sequence[Folder]) -> bool:
    """Tell whether each folder holds class folders that another one has, too."""
    if len(folders) < 2 or any(folder.images for folder in folders):
        return False
    names = [{skeleton_of(child.name) for child in each.filled} for each in folders]
    common = set.intersection(*names)
    return len(common) >= _FEWEST_CLASSES


def _guessed_role(name: str) -> str | None:
    words = re.findall(r"[^\W\d_]+", name)
    roles = {role for word in words if (role := guessed_role_of(word))}
    return roles.pop() if len(roles) == 1 and len(words) == 1 else None
