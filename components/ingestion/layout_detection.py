"""Detect the layout of a data set from the names of its folders and files.

No file is opened. If a layout can be read in several ways, or in none, the result is a
question to the user.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from graft.components.ingestion.derived_copies import (
    ask_about_copies,
    with_option_without_copies,
    with_warning_of_copies,
)
from graft.components.ingestion.folder_counts import Folder
from graft.components.ingestion.folder_names import (
    is_annotation,
    is_box,
    role_of,
    roles_of,
    roles_of_words,
)
from graft.components.ingestion.format_pairs import ask_about_format_pairs
from graft.components.ingestion.label_corrections import ask_about_corrections
from graft.components.ingestion.label_tables import (
    TABLE_EXTENSIONS,
    Table,
    label_tables,
)
from graft.components.ingestion.layout_answers import (
    FolderLayout,
    Question,
    SplitFolders,
)
from graft.components.ingestion.layout_options import (
    flat_options,
    options_beside_classes,
    options_of_splits,
    read_as_classes,
    read_below,
)
from graft.components.ingestion.layout_questions import (
    ask_about_boxes,
    ask_about_levels,
    ask_about_origins,
    ask_about_parts,
    ask_about_role_among_classes,
    ask_about_same_children,
    ask_about_tables,
    warn_of_doubtful_classes,
)
from graft.components.ingestion.mask_files import (
    ask_about_masks,
    with_option_without_masks,
    with_warning_of_masks,
)
from graft.components.ingestion.object_exports import ask_about_exports
from graft.components.ingestion.record_folders import ask_about_records
from graft.components.ingestion.similar_classes import skeleton_of
from graft.components.ingestion.source import some_of
from graft.components.ingestion.split_class_names import ask_about_splits_in_names
from graft.components.ingestion.split_guesses import options_of_guessed_splits
from graft.components.ingestion.splitting import TRAIN_ROLE, VALIDATION_ROLE
from graft.components.ingestion.unreadable_labels import (
    documents_of,
    explain_unreadable,
)
from graft.contract.counts import counted

_TINY_IMAGENET_LABELS = "val_annotations.txt"
_ROBOFLOW_LABELS = "_classes.csv"
_FEWEST_CLASSES = 2
_MEND = (
    "Move each image into a folder named after its class, or give a manifest with the "
    "columns path and label."
)
_MENDS = ("a manifest", "write a CSV", "into one folder")  # these say what to do


def detect_layout(
    root: Folder, tables: Sequence[Table] = ()
) -> FolderLayout | Question:
    """Detect the layout of a folder of images.

    Args:
        root: The folder.
        tables: Label tables in the folder, for the options of a question.

    Returns:
        The layout, if exactly one is possible; a question otherwise.
    """
    records = ask_about_records(root)
    if records is not None:
        return records
    answer = _layout_of(root, tables)
    located = label_tables(root, tables)
    if isinstance(answer, FolderLayout):
        if answer.format not in ("folders", "pre_split"):
            return answer
        doubt = (
            ask_about_exports(root, answer)
            or ask_about_masks(root, answer)
            or ask_about_format_pairs(root, answer)
            or ask_about_copies(root, answer)
            or ask_about_corrections(root, answer, located)
            or ask_about_tables(root, answer, located)
            or ask_about_origins(root, answer, tables)
        )
        if doubt is None:
            return with_warning_of_copies(root, with_warning_of_masks(root, answer))
        answer = doubt
    else:
        answer = with_option_without_copies(root, answer)
        answer = with_option_without_masks(root, answer)
    answer = explain_unreadable(root, located, answer)
    if answer.options or any(mend in answer.finding for mend in _MENDS):
        return answer
    return Question(f"{answer.finding} {_MEND}")


def _layout_of(root: Folder, tables: Sequence[Table]) -> FolderLayout | Question:
    tops = root.filled
    if not tops or len(root.images) > root.total / 2:
        return _ask_about_flat_images(root, tables)
    found = (
        _known_layout(root)
        or _ask_about_annotations(root, tables)
        or (_single_folder(root, tops[0], tables) if len(tops) == 1 else None)
        or _splits_by_name(root, tops, tables)
        or ask_about_splits_in_names(root, tops)
        or ask_about_role_among_classes(root, tops)
        or ask_about_same_children(root, tops)
        or ask_about_parts(root, tops, tables)
        or ask_about_boxes(root, tops, tables)
        or ask_about_levels(root, tops, {})
    )
    return found or FolderLayout("folders", warnings=warn_of_doubtful_classes(tops))


def _known_layout(root: Folder) -> FolderLayout | None:
    """Recognize the published layouts that have their own reader."""
    train, validation = root.children.get("train"), root.children.get("val")
    if (
        train
        and validation
        and _TINY_IMAGENET_LABELS in validation.others
        and [child.name for child in validation.filled] == ["images"]
        and len(train.filled) >= _FEWEST_CLASSES
        and all(
            [box.name for box in each.filled] == ["images"] for each in train.filled
        )
    ):
        return FolderLayout("tiny_imagenet")
    roles = {top.path: role_of(top.name) for top in root.filled}
    if (
        TRAIN_ROLE in roles.values()
        and None not in roles.values()
        and len(set(roles.values())) == len(roles)
        and all(top.is_flat and _ROBOFLOW_LABELS in top.others for top in root.filled)
    ):
        return FolderLayout(
            "roboflow", {role: (path,) for path, role in roles.items() if role}
        )
    return None


def _ask_about_flat_images(root: Folder, tables: Sequence[Table]) -> Question:
    number = len(root.images)
    return Question(
        f"No class folders: {counted(number, 'file')} directly in the folder, such "
        f"as {some_of(root.images[:1])}. {_MEND}",
        flat_options(root, tables),
    )


def _ask_about_annotations(root: Folder, tables: Sequence[Table]) -> Question | None:
    """Ask about folders such as `images` beside `annotations`, `labels` or `masks`."""
    boxes = [top for top in root.filled if is_box(top.name)]
    annotations = [
        child
        for child in root.children.values()
        if is_annotation(child.name) and (boxes or child.total)
    ]
    if not annotations or not (boxes or _is_surely_annotation(annotations)):
        return None
    options = [
        option
        for box in boxes
        if not box.is_flat
        for option in read_below(box, _answer_below(box, tables))
    ]
    names = [each.name for each in (*boxes, *annotations)]
    return Question(
        f"The folders {some_of(sorted(names))} seem to hold images and annotations, "
        "not classes. graft learns one class per image, and can't tell where the class "
        "is written.",
        (*options, *flat_options(root, tables), *read_as_classes(root)),
    )


def _is_surely_annotation(annotations: list[Folder]) -> bool:
    """Tell whether folders can't be classes, as "mask" or "label" can."""
    return any(
        folder.name.casefold().rstrip("s")
        in ("annotation", "trimap", "bbox", "bboxe", "segmentation", "groundtruth")
        for folder in annotations
    )


def _single_folder(
    root: Folder, top: Folder, tables: Sequence[Table]
) -> FolderLayout | Question | None:
    """Detect the layout if only one folder holds images."""
    options = flat_options(root, tables)
    is_one_class = not options and not _has_table(root)
    if top.is_flat:
        is_alone = not documents_of(root)
        is_class = role_of(top.name) is None and not is_box(top.name)
        if is_one_class and is_class and is_alone:
            return FolderLayout("folders")  # one class, which ingestion refuses
        return Question(
            f"Only one folder, {top.name!r}, holds images ({top.total}), and it has no "
            f"class folders. {_MEND}",
            options,
        )
    if top.images:
        return None
    if role_of(top.name) == TRAIN_ROLE and _are_classes(top):
        return _as_splits(root, top, {TRAIN_ROLE: (top.path,)})
    if (
        len(top.filled) == 1
        and top.filled[0].is_flat
        and not is_box(top.filled[0].name)
        and is_one_class
    ):
        return None
    return Question(
        f"Only one class, {top.name!r}, was found, and it holds the folders "
        f"{some_of(sorted(child.name for child in top.filled))}. If these are the "
        f"classes, set `data.path` to this folder ({top.path!r} in the given one).",
        (*read_below(top, _answer_below(top, tables)), *options),
    )


def _has_table(root: Folder) -> bool:
    return any(
        name.lower().endswith(TABLE_EXTENSIONS)
        for folder in root.walk()
        for name in folder.others
    )


def _answer_below(folder: Folder, tables: Sequence[Table]) -> FolderLayout | Question:
    below = [table.below(folder.path) for table in tables]
    return detect_layout(folder.as_root(), [table for table in below if table])


def _splits_by_name(
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
    (train,) = split_folders[TRAIN_ROLE]
    return _as_splits(root, root.children[train], split_folders)


def _as_splits(
    root: Folder, train: Folder, split_folders: SplitFolders
) -> FolderLayout | Question:
    """Return the layout of split folders, if it is plain which folders are classes."""
    question = ask_about_levels(root, train.filled, split_folders)
    return question or FolderLayout("pre_split", split_folders)


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
        if not folder.is_flat and not _are_classes(folder, train):
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


def _are_classes(folder: Folder, train: Folder | None = None) -> bool:
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
        *options_of_guessed_splits(root),
        *options_beside_classes(root, roles),
        *options_of_splits(root, roles),
        *options_of_splits(root, roles_of_words([*roles])),
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
