"""The configs that read splits of which some are of another kind than the others."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from graft.components.ingestion.folders.layout_options import options_of_splits
from graft.components.ingestion.names.class_levels import as_setting, option_of_pattern
from graft.components.ingestion.names.folder_counts import Folder
from graft.components.ingestion.names.folder_names import are_names_of_splits, roles_of
from graft.components.ingestion.names.layout_meaning import meaning_of
from graft.components.ingestion.names.object_exports import as_option
from graft.components.ingestion.sources.layout_answers import (
    ROLES,
    FolderLayout,
    Option,
    Question,
    SplitFolders,
)
from graft.components.ingestion.sources.source import some_of
from graft.components.ingestion.sources.splitting import TRAIN_ROLE

_FEWEST_CLASSES = 2
_FEWEST_ROLES = 2
_TAILS = (r"[-_. ]?\d+", r" ?\(\d+\)")  # behind the class in the name of a file


def options_of_one_each(root: Folder, roles: Mapping[str, str]) -> Iterator[Option]:
    """Yield the option without further folders of a split: `train_aug` by `train`.

    Args:
        root: The folder that holds the splits.
        roles: Folder name to role (train, validation, test).
    """
    first: dict[str, str] = {}
    for name in sorted(roles, key=lambda n: (len(n), -root.children[n].total)):
        if not root.children[name].is_flat:
            first.setdefault(roles[name], name)
    if len(first) < len(roles) and TRAIN_ROLE in first:
        yield from options_of_splits(root, {name: role for role, name in first.items()})


def options_of_inner_splits(root: Folder, roles: Mapping[str, str]) -> Iterator[Option]:
    """Yield the option to read `train/train/cat`, `train/val/cat` and `test/cat`.

    Args:
        root: The folder that holds the splits.
        roles: Folder name to role (train, validation, test).
    """
    found: dict[str, list[str]] = {}
    has_inner = False
    for name, role in roles.items():
        folder = root.children[name]
        below = [child.name for child in folder.filled]
        is_split = are_names_of_splits(below)
        has_inner |= is_split
        for path, inner in (
            [(f"{folder.path}/{n}", r) for n, r in roles_of(below).items()]
            if is_split
            else [(folder.path, role)]
        ):
            found.setdefault(inner, []).append(path)
    if has_inner and TRAIN_ROLE in found:
        ordered = {role: tuple(found[role]) for role in ROLES if role in found}
        layout = FolderLayout("pre_split", ordered)
        yield Option({"split_folders": as_setting(ordered)}, meaning_of(root, layout))


def options_with_flat_splits(
    root: Folder, roles: Mapping[str, str]
) -> Iterator[Option]:
    """Yield the option to read `train/cat/1.jpg` and `val/cat_1.jpg` together.

    Args:
        root: The folder that holds the splits.
        roles: Folder name to role (train, validation, test).
    """
    flat = [name for name in roles if root.children[name].is_flat]
    full = [name for name in roles if name not in flat]
    trained = [root.children[name] for name in full if roles[name] == TRAIN_ROLE]
    classes = {child.name for folder in trained for child in folder.filled}
    # Numbers in names count the images.
    if not flat or len(classes) < _FEWEST_CLASSES or any(map(str.isdigit, classes)):
        return
    for tail in _TAILS:
        expression = re.compile(rf"(?P<class>.+?){tail}\.[^.]+")
        known = [
            name for name in flat if _are_of(root.children[name], expression, classes)
        ]
        if known:
            splits = "|".join(map(re.escape, sorted((*full, *known))))
            pattern = rf"(?P<split>{splits})/(?P<class>[^/]+?)(?:/.+|{tail}\.[^./]+)"
            meaning = (
                f"in {some_of(sorted(known))} the names of the files say the class"
            )
            yield from option_of_pattern(root, {}, pattern, meaning)
            return


def _are_of(folder: Folder, expression: re.Pattern[str], classes: set[str]) -> bool:
    matches = map(expression.fullmatch, folder.images)
    return all(match and match["class"] in classes for match in matches)


def ask_about_splits_in_splits(
    root: Folder, classes: Sequence[Folder], split_folders: SplitFolders
) -> Question | None:
    """Ask about folders called as splits among the classes of a split.

    Args:
        root: The data set's folder.
        classes: The folders in `train`.
        split_folders: The folders that are splits.
    """
    roles = roles_of([each.name for each in classes])
    others = sorted(each.name for each in classes if each.name not in roles)
    if len(set(roles.values())) < _FEWEST_ROLES or len(others) < _FEWEST_CLASSES:
        return None
    inner = "|".join(map(re.escape, sorted(roles)))
    name = rf"(?!(?:{inner})/)(?P<class>[^/]+)/.+"
    options = [
        option
        for pattern, what in (
            (f"(?:(?P<split>{inner})/)?{name}", "the inner folders are splits, too"),
            (name, f"without {some_of(sorted(roles))}"),
        )
        for option in option_of_pattern(root, split_folders, pattern, what)
    ]
    return Question(
        f"Beside the classes {some_of(others)} of a split lie folders with the names "
        f"of splits: {some_of(sorted(roles))}.",
        (*options, as_option(root, FolderLayout("pre_split", split_folders))),
    )
