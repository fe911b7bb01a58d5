"""The configs that can read a data set with an unclear layout."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence

from graft.components.ingestion.folders.file_name_options import file_name_options
from graft.components.ingestion.folders.splits_inside_names import (
    pattern_of_splits,
    split_inside,
)
from graft.components.ingestion.names.class_levels import (
    option_of_pattern,
    options_of_levels,
)
from graft.components.ingestion.names.folder_counts import Folder
from graft.components.ingestion.names.folder_names import (
    is_annotation,
    is_box,
    is_fold,
    role_of,
    roles_of,
)
from graft.components.ingestion.names.layout_meaning import classes_of, meaning_of
from graft.components.ingestion.names.stray_names import StrayName, stray_name_of
from graft.components.ingestion.sources.layout_answers import (
    ROLES,
    FolderLayout,
    Option,
    Question,
)
from graft.components.ingestion.sources.similar_classes import skeleton_of
from graft.components.ingestion.sources.source import some_of
from graft.components.ingestion.sources.splitting import TEST_ROLE, TRAIN_ROLE
from graft.components.ingestion.tables.label_tables import (
    LocatedTable,
    Table,
    label_tables,
)
from graft.components.ingestion.tables.table_labels import (
    choose_labels,
    split_column_of,
)
from graft.contract.counts import counted

_FEWEST_CLASSES = 2
_NO_CLASSES = (StrayName.CERTAIN, StrayName.LIKELY)
_MOST_FOLDERS = 4  # more options are no help


def read_as_classes(root: Folder) -> Iterator[Option]:
    """Yield the option to read the top folders as classes, if they may be some."""
    are_folds = all(is_fold(top.name) and not top.is_flat for top in root.filled)
    if len(root.filled) >= _FEWEST_CLASSES and not are_folds:
        yield Option({"format": "folders"}, classes_of(root))


def read_by_parts(root: Folder) -> Iterator[Option]:
    """Yield the options to read inner folders as splits or as classes."""
    below: Counter[str] = Counter()
    for top in root.filled:
        below.update({child.name: child.total for child in top.filled})
    if not all(role_of(name) for name in below):
        yield from options_of_levels(root, {})
        return
    if not all(is_fold(top.name) for top in root.filled):
        yield from read_splits_below(root, sorted(below))


def read_splits_below(root: Folder, names: Sequence[str]) -> Iterator[Option]:
    """Yield the option to read `cat/train` and `cat/cat_test` as a class and a split.

    Args:
        root: The data set's folder. Images beside the splits are for training.
        names: The names of the inner folders. Each holds the word of one split.
    """
    parts = {name: split_inside(name) for name in names}
    found = [part for part in parts.values() if part is not None]
    if len(found) < len(names) or not found:
        return
    split = f"{pattern_of_splits(found)}/.+"
    pattern = f"(?P<class>[^/]+)/{split}"
    meaning = (
        f"the inner folders {some_of(sorted(names))} are splits; {classes_of(root)}"
    )
    if any(top.images for top in root.filled):
        pattern = f"(?P<class>[^/]+)/(?:{split}|[^/]+)"
        meaning += "; images without a split: train"
    yield Option({"class_pattern": pattern}, meaning)


def read_parts_with_splits(root: Folder) -> Iterator[Option]:
    """Yield the options to read `fold_0/train/cat`: one part, or all of them.

    Classes may lie beside the parts: their images are for training.
    """
    parts = [top for top in root.filled if _splits_in(top)]
    inner = [split for top in parts for split in _splits_in(top)]
    classes = {child.name for split in inner for child in split.filled}
    others = [top.name for top in root.filled if top not in parts]
    if len(classes) < _FEWEST_CLASSES or any(each.images for each in (*parts, *inner)):
        return
    if not others:
        first = root.filled[0]
        roles = roles_of([split.name for split in _splits_in(first)])
        for option in options_of_splits(first.as_root(), roles):
            yield Option(
                {"path": first.path, **option.settings},
                f"{first.name!r} alone, or another of them: {option.meaning}; "
                f"left aside: {root.total - first.total}",
            )
    names = "|".join(map(re.escape, sorted({split.name for split in inner})))
    split = f"[^/]+/(?P<split>{names})/"
    meaning = "all of them together"
    if others:
        above = "|".join(map(re.escape, sorted(top.name for top in parts)))
        split = f"(?:(?:{above})/(?P<split>{names})/|(?!(?:{above})/))"
        meaning += f", and {some_of(sorted(others))} as classes for training"
    yield from option_of_pattern(
        root,
        {},
        f"{split}(?P<class>[^/]+)/.+",
        f"{meaning}; an image in two splits counts in test or validation only",
    )


def _splits_in(top: Folder) -> list[Folder]:
    """Return the splits in a folder that holds nothing else, except annotations."""
    inner = [each for each in top.filled if not is_annotation(each.name)]
    return inner if all(role_of(each.name) for each in inner) else []


def read_below(folder: Folder, answer: FolderLayout | Question) -> Iterator[Option]:
    """Yield the options to use a subfolder as `data.path`."""
    if isinstance(answer, FolderLayout):
        if answer.format == "folders" and len(folder.filled) < _FEWEST_CLASSES:
            return  # one class, which ingestion refuses
        meaning = meaning_of(folder.as_root(), answer)
        yield Option({"path": folder.path}, meaning, answer)
        return
    for option in answer.options:
        path = "/".join(
            filter(None, (folder.path, str(option.settings.get("path", ""))))
        )
        settings = {"path": path, **_without_path(option)}
        yield Option(settings, option.meaning, option.layout)


def options_beside_classes(root: Folder, roles: Mapping[str, str]) -> Iterator[Option]:
    """Yield the option to read `test/cat` beside `cat`, whose images are for training.

    Args:
        root: The folder that holds them.
        roles: The role (validation, test) by the name of a top folder.
    """
    classes = {top.name for top in root.filled if top.name not in roles}
    inner = {n: {child.name for child in root.children[n].filled} for n in roles}
    parts = {name: part for name in roles if (part := split_inside(name))}
    known = roles_of([part.split for part in parts.values()])
    if (
        not roles
        or TRAIN_ROLE in roles.values()
        or {name: known.get(part.split) for name, part in parts.items()} != dict(roles)
        or len(classes) < _FEWEST_CLASSES
        or any(len(names & classes) * 2 < len(names) for names in inner.values())
        or any(root.children[name].is_flat for name in roles)
        or any(_holds(root.children[name], classes) for name in classes)
    ):
        return
    splits = "|".join(map(re.escape, sorted(roles)))
    split = pattern_of_splits([*parts.values()])
    doubts = {n: stray_name_of(n) for n in classes.union(*inner.values())}
    strays = sorted(n for n, doubt in doubts.items() if doubt in _NO_CLASSES)
    without = f"(?!(?:{'|'.join(map(re.escape, strays))})/)" if strays else ""
    yield from option_of_pattern(
        root,
        {},
        f"(?:{split}/|(?!(?:{splits})/)){without}(?P<class>[^/]+)/.+",
        f"{some_of(sorted(roles))} as {' and '.join(sorted(set(roles.values())))}, and "
        "the folders beside it for training",
    )


def _holds(folder: Folder, names: Collection[str]) -> bool:
    """Tell whether most folders in a folder have names of classes."""
    below = [child.name for child in folder.filled]
    return bool(below) and sum(name in names for name in below) * 2 >= len(below)


def options_of_splits(root: Folder, roles: dict[str, str]) -> Iterator[Option]:
    """Yield the option to read some top folders as splits.

    Args:
        root: The folder that holds them.
        roles: Folder name to role (train, validation, test).
    """
    split_folders: dict[str, list[str]] = defaultdict(list)
    used: set[str] = set()
    inner = {name: unwrapped(root.children[name]) for name in roles}
    trained = {
        skeleton_of(child.name)
        for name, role in roles.items()
        for child in inner[name].filled
        if role == TRAIN_ROLE
    }
    for name, role in roles.items():
        # Without a class of train, the folders are no classes, or have other names.
        below = {child.name for child in inner[name].filled}
        is_known = not trained.isdisjoint(map(skeleton_of, below))
        if is_known and not all(is_box(n) or is_annotation(n) for n in below):
            split_folders[role].append(inner[name].path)
            used.add(name)
    ordered = {role: split_folders[role] for role in ROLES if role in split_folders}
    if "train" not in ordered:
        return
    value = {role: p[0] if len(p) == 1 else p for role, p in ordered.items()}
    layout = FolderLayout("pre_split", {role: tuple(p) for role, p in ordered.items()})
    left = [top for top in root.filled if top.name not in used]
    meaning = meaning_of(root, layout)
    if left:
        names = ", ".join(f"{top.name} ({top.total})" for top in left)
        meaning += f"; left aside: {names}"
    yield Option({"split_folders": value}, meaning)


def flat_options(root: Folder, tables: Sequence[Table]) -> tuple[Option, ...]:
    """Return the options without class folders: label tables and file names."""
    return (*table_options(root, tables), *file_name_options(root))[:4]


def table_options(root: Folder, tables: Sequence[Table]) -> Iterator[Option]:
    """Yield the options that tables name the images and their labels."""
    for located in sorted(label_tables(root, tables), key=_order_of_splits):
        if located.reads_all:
            yield from _table_option(root, located, located.start)


def _order_of_splits(located: LocatedTable) -> int:
    """Order the table of `train` first, and that of `test` last."""
    role = located.role
    return 0 if role == TRAIN_ROLE else 2 if role == TEST_ROLE else 1


def options_of_each_folder(root: Folder, located: LocatedTable) -> Iterator[Option]:
    """Yield the options that a table names the images of one of several folders."""
    for start in located.starts[:_MOST_FOLDERS]:
        yield from _table_option(root, located, start)


def _table_option(root: Folder, located: LocatedTable, start: str) -> Iterator[Option]:
    """Yield the option that a table names the images below a folder."""
    folder = root.child_at(start) if start else root
    if folder is None or not located.table.has_header:
        return
    if located.one_hot or located.has_boxes_of_objects:
        return
    table, column = located.table, located.image_column
    settings: dict[str, object] = {"path": table.name}
    if column != "path":
        settings["path_column"] = column
    choice = choose_labels(located)
    label = choice.column
    if label is None:
        return
    note = f" (or another one of {some_of(choice.others)})" if choice.others else ""
    values = table.column(label) if label in table.columns else []
    if table.is_whole and len(set(values)) == 1 and len(values) > 1:
        return  # one class: of its folder, or of none
    if label != "label":
        settings["label_column"] = label
    split = split_column_of(located)
    if split not in (None, "split"):
        settings["split_column"] = split
    relative = folder.path[len(located.above) + 1 if located.above else 0 :]
    if relative:
        settings["image_folder"] = relative
    number = located.num_images(start)
    left = root.total - number
    read = (
        f"{counted(number, 'image')} that {table.name} names"
        if table.is_whole
        else f"the images that {table.name} names"
    )
    yield Option(
        settings,
        f"{read}, in {folder.path or 'its folder'}; labels from the column "
        f"{label!r}{note}"
        + (f"; left aside: {left}" if table.is_whole and left else ""),
    )


def unwrapped(folder: Folder) -> Folder:
    """Return the folder of the class folders, below folders that hold only one folder.

    Folders of annotations beside it don't count.
    """
    while not folder.images:
        below = [child for child in folder.filled if not is_annotation(child.name)]
        if len(below) != 1 or (below[0].is_flat and below[0].name != folder.name):
            break
        (folder,) = below
    return folder


def _without_path(option: Option) -> dict[str, object]:
    return {key: value for key, value in option.settings.items() if key != "path"}
