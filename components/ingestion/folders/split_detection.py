"""Detect split folders by their names, or ask about them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from graft.components.ingestion.folders.layout_options import (
    flat_options,
    options_beside_classes,
    options_of_splits,
    read_as_classes,
)
from graft.components.ingestion.folders.layout_questions import ask_about_levels
from graft.components.ingestion.folders.mixed_splits import (
    ask_about_splits_in_splits,
    options_of_inner_splits,
    options_of_one_each,
    options_with_flat_splits,
)
from graft.components.ingestion.folders.split_class_names import (
    ask_about_splits_in_names,
)
from graft.components.ingestion.folders.split_guesses import options_of_guessed_splits
from graft.components.ingestion.folders.stray_folders import (
    ask_about_stray_folders,
    warn_of_stray_names,
)
from graft.components.ingestion.names.folder_counts import Folder
from graft.components.ingestion.names.folder_names import (
    is_annotation,
    is_box,
    is_of_annotations,
    roles_of,
    roles_of_words,
)
from graft.components.ingestion.sources.layout_answers import (
    FolderLayout,
    Question,
    SplitFolders,
)
from graft.components.ingestion.sources.similar_classes import skeleton_of
from graft.components.ingestion.sources.source import some_of
from graft.components.ingestion.sources.splitting import TRAIN_ROLE, VALIDATION_ROLE
from graft.components.ingestion.tables.label_tables import Table
from graft.contract.counts import agree, counted

_FEWEST_CLASSES = 2


def splits_by_name(
    root: Folder, tops: list[Folder], tables: Sequence[Table]
) -> FolderLayout | Question | None:
    """Detect the layout if the folders have names of splits."""
    if all(top.is_flat for top in tops):  # `trainA`, `trainB`, `testA`, `testB`
        question = ask_about_splits_in_names(root, tops)
        if question and any(
            "class_pattern" in each.settings for each in question.options
        ):
            return question
    roles = roles_of([top.name for top in tops])
    if len(set(roles.values())) < min(2, len(tops)) and not (
        len(roles) == len(tops) and TRAIN_ROLE in roles.values()
    ):
        return None
    names = sorted(roles)
    others = [top.name for top in tops if top.name not in roles]
    if others:
        finding = (
            f"The folders {some_of(names)} may be splits or classes, because other "
            f"folders lie beside them: {some_of(others)}."
        )
        masks = [name for name in others if is_of_annotations(name)]
        if masks:
            finding += (
                f" By {agree(len(masks), 'its name', 'their names')}, {some_of(masks)} "
                f"{agree(len(masks), 'holds', 'hold')} masks or labels of the images."
            )
        roles = _with_rest_as_train(root, roles)
        return _ask_about_splits(root, roles, tables, finding)
    twice = [role for role, n in Counter(roles.values()).items() if n > 1]
    if twice:
        same = sorted(name for name, role in roles.items() if role in twice)
        finding = f"The folders {some_of(same)} are the same split."
        return _ask_about_splits(root, roles, tables, finding)
    doubt = _doubt_about_splits(root, roles) or _doubt_about_evaluation(roles)
    if doubt:
        return _ask_about_splits(root, roles, tables, doubt)
    split_folders = {role: (name,) for name, role in roles.items()}
    return as_splits(root, split_folders)


def as_splits(root: Folder, split_folders: SplitFolders) -> FolderLayout | Question:
    """Return the layout of split folders, if it is plain which folders are classes."""
    question = doubt_about_classes(root, split_folders)
    if question is not None:
        return question
    names = {
        child.name: child
        for paths in split_folders.values()
        for path in paths
        if (folder := root.child_at(path)) and not folder.is_flat
        for child in folder.filled
    }
    warnings = warn_of_stray_names([*names.values()])
    return FolderLayout("pre_split", split_folders, warnings)


def doubt_about_classes(root: Folder, split_folders: SplitFolders) -> Question | None:
    """Ask about folders in splits that may be no classes, or hold them."""
    splits = {
        path: folder
        for paths in split_folders.values()
        for path in paths
        if (folder := root.child_at(path))
    }
    siblings = [folder.filled for folder in splits.values() if not folder.is_flat]
    classes = splits[split_folders[TRAIN_ROLE][0]].filled
    doubt = ask_about_splits_in_splits(root, classes, split_folders)
    if doubt is not None:
        return doubt
    return ask_about_stray_folders(root, siblings, split_folders) or ask_about_levels(
        root, classes, split_folders
    )


def _doubt_about_splits(  # noqa: PLR0911
    root: Folder, roles: dict[str, str]
) -> str | None:
    """Return why folders with names of splits are not splits, or None."""
    folder_of = {role: root.children[name] for name, role in roles.items()}
    train = folder_of.get(TRAIN_ROLE)
    if train is None:
        return f"The folders {some_of(sorted(roles))} are splits, but none is train."
    named_so = f"The folders {some_of(sorted(roles))} have names of splits, but "
    if train.is_flat:
        return (
            f"{named_so}{train.name!r} has no class folders: images lie directly in it."
        )
    for folder in folder_of.values():
        if not folder.is_flat and not are_classes(folder, train):
            below = some_of(sorted(child.name for child in folder.filled))
            return (
                f"{named_so}{folder.name!r} does not hold class folders directly. It "
                f"holds {below}."
            )
    if len(train.filled) < _FEWEST_CLASSES:
        only = train.filled[0].name
        return f"{named_so}{train.name!r} holds only one folder, {only!r}."
    validation = folder_of.get(VALIDATION_ROLE)
    if validation is not None and validation.is_flat:
        return (
            f"{validation.name!r} has no class folders, so that nothing says the label "
            f"of its {counted(validation.total, 'image')}. Without labels they can't "
            "judge a model."
        )
    classes = {child.name for child in train.filled}
    alike = set(map(skeleton_of, classes))
    for folder in folder_of.values():
        found = {child.name for child in folder.filled}
        if found and alike.isdisjoint(map(skeleton_of, found)):
            return (
                f"{named_so}no class in common: {train.name!r} holds "
                f"{some_of(sorted(classes))}, {folder.name!r} {some_of(sorted(found))}."
            )
    return None


def _doubt_about_evaluation(roles: dict[str, str]) -> str | None:
    """Return why a folder such as `evaluation` may be the test set, or None."""
    alone = roles_of_words([*roles])
    names = [name for name, role in roles.items() if alone.get(name, role) != role]
    if not names:
        return None
    beside = [name for name, role in roles.items() if role == VALIDATION_ROLE]
    return (
        f"The folder {some_of(sorted(names))} may be the test set, or a second "
        f"validation set beside {some_of(sorted(beside))}."
    )


def are_classes(folder: Folder, train: Folder | None = None) -> bool:
    """Tell whether the subfolders of a split folder can be classes."""
    names = [child.name for child in folder.filled]
    if all(is_box(name) or is_annotation(name) for name in names):
        return False
    if len(names) == 1 and not folder.images:
        (child,) = folder.filled
        is_known = train is not None and train is not folder
        if is_known and child.name in train.children:  # type: ignore[union-attr]
            return True
        return child.is_flat and child.name != folder.name
    return True


def _ask_about_splits(
    root: Folder, roles: dict[str, str], tables: Sequence[Table], finding: str
) -> Question:
    options = [
        *options_of_inner_splits(root, roles),
        *options_of_guessed_splits(root),
        *options_beside_classes(root, roles),
        *options_of_splits(root, roles),
        *options_of_splits(root, roles_of_words([*roles])),
        *options_of_one_each(root, roles),
        *options_with_flat_splits(root, roles),
        *flat_options(root, tables),
    ]
    if not (len(roles) == len(root.filled) and len(set(roles.values())) > 1):
        options += read_as_classes(root)  # never train and test alone
    return Question(finding, tuple(options))


def _with_rest_as_train(root: Folder, roles: dict[str, str]) -> dict[str, str]:
    """Return roles with train for a folder such as `pets` beside `pets_test`."""
    if TRAIN_ROLE in roles.values():
        return roles
    others = [top for top in root.filled if top.name not in roles]
    given = {
        child.name
        for name in roles
        for child in root.children[name].filled
        if not is_box(child.name)
    }
    if len(others) == 1 and len({each.name for each in others[0].filled} & given) > 1:
        return {others[0].name: TRAIN_ROLE, **roles}
    return roles
