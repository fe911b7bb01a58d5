"""Detect the layout of a data set from the names of its folders and files.

No file is opened. If a layout can be read in several ways, or in none, the result is a
question to the user.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from graft.components.ingestion.copies.class_twins import with_warning_of_twins
from graft.components.ingestion.copies.derived_copies import (
    FoundCopies,
    ask_about_copies,
    with_option_without_copies,
    with_warning_of_copies,
)
from graft.components.ingestion.copies.format_pairs import ask_about_format_pairs
from graft.components.ingestion.copies.mask_files import (
    ask_about_masks,
    with_option_without_masks,
    with_warning_of_masks,
)
from graft.components.ingestion.folders.copied_trees import (
    with_options_without_copied_tree,
)
from graft.components.ingestion.folders.data_sets_below import with_data_sets_below
from graft.components.ingestion.folders.doubtful_classes import (
    warn_of_doubtful_classes,
)
from graft.components.ingestion.folders.file_name_options import splits_without_class
from graft.components.ingestion.folders.file_name_splits import (
    ask_about_splits_of_files,
    splits_of_files,
    with_warning_of_splits,
)
from graft.components.ingestion.folders.label_corrections import ask_about_corrections
from graft.components.ingestion.folders.layout_options import (
    flat_options,
    read_as_classes,
    read_below,
)
from graft.components.ingestion.folders.layout_questions import (
    ask_about_levels,
    ask_about_origins,
    ask_about_parts,
    ask_about_role_among_classes,
    ask_about_same_children,
    ask_about_tables,
)
from graft.components.ingestion.folders.record_folders import ask_about_records
from graft.components.ingestion.folders.sources_in_names import (
    ask_about_sources_in_names,
)
from graft.components.ingestion.folders.split_class_names import (
    ask_about_splits_in_names,
)
from graft.components.ingestion.folders.split_detection import (
    are_classes,
    as_splits,
    doubt_about_classes,
    splits_by_name,
)
from graft.components.ingestion.folders.split_guesses import is_set_beside_its_split
from graft.components.ingestion.folders.splits_in_classes import (
    ask_about_splits_in_classes,
    warn_of_inner_splits,
)
from graft.components.ingestion.folders.stray_folders import (
    ask_about_folders_apart,
    ask_about_stray_folders,
    warn_of_stray_names,
)
from graft.components.ingestion.folders.unlike_folders import with_warning_of_unlike
from graft.components.ingestion.names.folder_counts import Folder
from graft.components.ingestion.names.folder_names import (
    are_names_of_splits,
    is_annotation,
    is_box,
    role_of,
)
from graft.components.ingestion.names.object_exports import ask_about_exports
from graft.components.ingestion.sources.layout_answers import (
    FolderLayout,
    Option,
    Question,
    paths_of_splits,
)
from graft.components.ingestion.sources.source import some_of
from graft.components.ingestion.sources.splitting import TRAIN_ROLE
from graft.components.ingestion.tables.label_tables import (
    TABLE_EXTENSIONS,
    Table,
    label_tables,
)
from graft.components.ingestion.tables.unreadable_labels import (
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
_HINT = (
    " If the files' names say the class, a regular expression in `class_pattern` reads "
    "it, such as (?P<class>[^_]+)_.* of cat_1_left.jpg."
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
        copies = FoundCopies(root, answer)
        splits = splits_of_files(root, answer)
        doubt = (
            ask_about_exports(root, answer)
            or ask_about_masks(root, answer)
            or ask_about_format_pairs(root, answer)
            or ask_about_copies(root, answer, copies)
            or ask_about_splits_of_files(root, answer, splits)
            or ask_about_corrections(root, answer, located)
            or ask_about_tables(root, answer, located)
            or ask_about_origins(root, answer, tables)
        )
        if doubt is None:
            answer = with_warning_of_splits(root, answer, splits)
            warned = with_warning_of_masks(root, answer)
            warned = with_warning_of_copies(root, warned, copies)
            if warned == answer:
                warned = with_warning_of_twins(root, answer)
            return with_warning_of_unlike(root, warned)
        answer = doubt
    else:
        answer = with_data_sets_below(
            root, answer, lambda folder: _answer_below(folder, tables)
        )
        answer = with_options_without_copied_tree(
            root, answer, lambda folder: detect_layout(folder, tables)
        )
        answer = with_option_without_copies(root, answer)
        answer = with_option_without_masks(root, answer)
        answer = _with_doubts_about_splits(root, answer)
    answer = explain_unreadable(root, located, answer)
    if answer.options or any(mend in answer.finding for mend in _MENDS):
        return answer
    return Question(f"{answer.finding} {_MEND}")


def _with_doubts_about_splits(root: Folder, question: Question) -> Question:
    """Put the options of the next question in place of those that name the splits.

    An option is the answer to every question, so that it must read the tree.
    """
    options: list[Option] = []
    findings: list[str] = []
    for option in question.options:
        splits = option.settings.get("split_folders")
        if not isinstance(splits, Mapping) or len(option.settings) > 1:
            options.append(option)
            continue
        layout = FolderLayout("pre_split", paths_of_splits(splits))
        doubt = (
            doubt_about_classes(root, layout.split_folders)
            or ask_about_masks(root, layout)
            or ask_about_format_pairs(root, layout)
            or ask_about_copies(root, layout)
        )
        if doubt is None or doubt.finding in question.finding:
            options.append(option)
        else:
            options += doubt.options
            findings.append(doubt.finding)
    return Question(" ".join([question.finding, *findings[:1]]), tuple(options))


def _layout_of(root: Folder, tables: Sequence[Table]) -> FolderLayout | Question:
    tops = root.filled
    if not tops or len(root.images) > root.total / 2:
        return _ask_about_flat_images(root, tables)
    found = (
        _known_layout(root)
        or _ask_about_annotations(root, tables)
        or (_single_folder(root, tops[0], tables) if len(tops) == 1 else None)
        or splits_by_name(root, tops, tables)
        or (
            ask_about_same_children(root, tops)
            if is_set_beside_its_split(root)
            else None
        )
        or ask_about_splits_in_names(root, tops)
        or ask_about_sources_in_names(root, tops, tables)
        or ask_about_role_among_classes(root, tops)
        or ask_about_folders_apart(root, tops)
        or ask_about_same_children(root, tops)
        or ask_about_splits_in_classes(root, tops)
        or ask_about_parts(root, tops, tables)
        or ask_about_stray_folders(root, [tops], {})
        or ask_about_levels(root, tops, {})
    )
    warnings = (
        *warn_of_doubtful_classes(tops),
        *warn_of_stray_names(tops),
        *warn_of_inner_splits(tops),
    )
    return found or FolderLayout("folders", warnings=warnings)


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
    options = flat_options(root, tables)
    return Question(
        f"No class folders: {counted(number, 'file')} directly in the folder, such "
        f"as {some_of(root.images[:1])}. {_MEND}"
        f"{_note_on_splits(root) if options else _hint_at(root)}",
        options,
    )


def _hint_at(root: Folder) -> str:
    """Say what the names of files may say; nothing of a class, if they say splits."""
    return _note_on_splits(root) or _HINT


def _note_on_splits(root: Folder) -> str:
    """Say that the names of files hold splits and no class, if they do."""
    splits = splits_without_class(root)
    if not splits:
        return ""
    return (
        f" The files' names hold splits and no class: {some_of(splits)}. In the CSV, a "
        "column split keeps them."
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
        is_alone = not documents_of(root) and not splits_without_class(root)
        is_class = role_of(top.name) is None and not is_box(top.name)
        if is_one_class and is_class and is_alone:
            return FolderLayout("folders")  # one class, which ingestion refuses
        return Question(
            f"Only one folder, {top.name!r}, holds images ({top.total}), and it has no "
            f"class folders. {_MEND}{_note_on_splits(root)}",
            options,
        )
    if top.images:
        return None
    below = [child.name for child in top.filled]
    are_classes_below = are_classes(top) and not are_names_of_splits(below)
    if role_of(top.name) == TRAIN_ROLE and are_classes_below:
        return as_splits(root, {TRAIN_ROLE: (top.path,)})
    if (
        len(top.filled) == 1
        and top.filled[0].is_flat
        and not is_box(top.filled[0].name)
        and is_one_class
    ):
        return None
    what = "splits" if are_names_of_splits(below) else "classes"
    return Question(
        f"Only one class, {top.name!r}, was found, and it holds the folders "
        f"{some_of(sorted(below))}. If these are the "
        f"{what}, set `data.path` to this folder ({top.path!r} in the given one).",
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
