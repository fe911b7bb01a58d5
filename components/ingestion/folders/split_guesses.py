"""Guess which top folders are splits, for the options of a question.

Folders that hold the same class folders are very likely splits, whatever their names.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Sequence

from graft.components.ingestion.copies.copy_names import (
    is_named_after_copies,
    is_of_originals,
)
from graft.components.ingestion.folders.layout_options import (
    options_of_splits,
    unwrapped,
)
from graft.components.ingestion.names.folder_counts import Folder
from graft.components.ingestion.names.folder_names import (
    is_fold,
    is_of_annotations,
    is_origin,
    role_of,
    role_of_any_word,
    roles_of,
)
from graft.components.ingestion.names.split_words import (
    ROLE_OF_ABBREVIATION,
    guessed_role_of,
)
from graft.components.ingestion.sources.layout_answers import ROLES, Option
from graft.components.ingestion.sources.similar_classes import skeleton_of
from graft.components.ingestion.sources.splitting import (
    TEST_ROLE,
    TRAIN_ROLE,
    VALIDATION_ROLE,
)

_FEWEST_CLASSES = 2
_TIMES_LARGER = 1.5


def guessed_roles(root: Folder) -> dict[str, str]:
    """Return the roles of all top folders that share class folders, as far as known.

    The names tell them, misspelt ones too. Of a last folder beside `test`, nothing but
    `train` is left, and `test` beside `train`. Masks beside images have no role.
    """
    known = roles_of([top.name for top in root.filled])
    roles: dict[str, str] = {}
    masks = {top.name for top in root.filled if is_of_annotations(top.name)}
    for top in root.filled:
        if top.name in masks and len(masks) < len(root.filled):
            continue
        found = known.get(top.name) or _guessed_role(top.name)
        found = found or role_of_any_word(top.name)
        if found:
            roles[top.name] = found
    unknown = [top for top in root.filled if top.name not in {*roles, *masks}]
    if len(unknown) == 1 and roles:
        (rest,) = unknown
        left = [role for role in (TRAIN_ROLE, TEST_ROLE) if role not in roles.values()]
        beside = [root.children[name] for name in roles]
        if left and _have_common_classes([*beside, rest]):
            roles[rest.name] = left[0]
    return {name: role for role in ROLES for name, r in roles.items() if r == role}


def options_of_guessed_splits(root: Folder) -> Iterator[Option]:
    """Yield the option to read all top folders as splits, if their names tell which."""
    roles = guessed_roles(root)
    are_all = len(roles) == len(root.filled) and TRAIN_ROLE in roles.values()
    if are_all and _have_common_classes(root.filled):
        yield from options_of_splits(root, roles)


def options_of_rest_as_train(root: Folder) -> Iterator[Option]:
    """Yield the option to train on all parts beside `test`, such as `day1` and `day2`.

    Without it, all options would mix the test set with the rest.
    """
    roles = roles_of([top.name for top in root.filled])
    rest = [top.name for top in root.filled if top.name not in roles]
    is_without_train = roles and rest and TRAIN_ROLE not in roles.values()
    if is_without_train and _have_common_classes(root.filled):
        originals = [
            name
            for name in rest
            if is_of_originals(name) or not is_named_after_copies(name)
        ]
        for parts in (originals, rest):
            trained = dict.fromkeys(parts, TRAIN_ROLE)
            yield from options_of_splits(root, {**trained, **roles})


def is_set_beside_its_split(root: Folder) -> bool:
    """Tell whether two folders are a set and a split of it: `pets` and `pets_test`."""
    return (
        len(root.filled) == len(guessed_roles(root)) == 2
        and len(roles_of([top.name for top in root.filled])) < 2
        and any(role_of_any_word(top.name) for top in root.filled)
        and _have_common_classes(root.filled)
    )


def options_of_unnamed_splits(root: Folder) -> Iterator[Option]:
    """Yield the option that the smaller of two folders is the test set of the other.

    Their names don't tell, but their sizes do.
    """
    if _do_sizes_tell(root):
        train, test = sorted(root.filled, key=lambda top: -top.total)
        roles = {train.name: TRAIN_ROLE, test.name: TEST_ROLE}
        yield from options_of_splits(root, roles)


def _do_sizes_tell(root: Folder) -> bool:
    sizes = sorted(top.total for top in root.filled)
    return (
        len(sizes) == 2
        and sizes[1] >= _TIMES_LARGER * sizes[0]
        and _may_be_splits(root)
        and not guessed_roles(root)
    )


def _may_be_splits(root: Folder) -> bool:
    """Tell whether top folders may be splits; those called as parts of a set aren't."""
    tops = root.filled
    below = {child.name for top in tops for child in top.filled}
    return not (
        not 1 < len(tops) <= len(ROLES)
        or not _have_common_classes(tops)
        or any(is_fold(top.name) or is_origin(top.name) for top in tops)
        or all(map(role_of, below))
        or any(map(is_named_after_copies, (*below, *(top.name for top in tops))))
    )


def hint_about_splits(root: Folder) -> str:
    """Say how to name top folders as splits, if not all their names tell which.

    The user fills in the rest. It is empty where they can't be splits, or where options
    say it.
    """
    tops = root.filled
    roles = guessed_roles(root)
    if not _may_be_splits(root) or _do_sizes_tell(root):
        return ""
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
    inner = [unwrapped(folder) for folder in folders]
    if len(folders) < 2 or any(folder.images for folder in inner):
        return False
    names = [{skeleton_of(child.name) for child in each.filled} for each in inner]
    common = set.intersection(*names)
    return len(common) >= _FEWEST_CLASSES


def _guessed_role(name: str) -> str | None:
    words = re.findall(r"[^\W\d_]+", name)
    roles = {role for word in words if (role := guessed_role_of(word))}
    if len(roles) == 1 and len(words) == 1:
        return roles.pop()
    return ROLE_OF_ABBREVIATION.get(name.casefold())
