"""List the images of folders: class folders, split folders, classes in file names."""

from __future__ import annotations

import itertools
import os
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping

from graft.components.ingestion.folders.pattern_hints import (
    hint_about_pattern,
    text_of_name,
)
from graft.components.ingestion.names.folder_names import (
    is_side_folder,
    role_of,
    roles_of,
)
from graft.components.ingestion.names.split_words import ROLE_OF_ABBREVIATION
from graft.components.ingestion.names.stray_names import StrayName, stray_name_of
from graft.components.ingestion.sources.config import DataConfig
from graft.components.ingestion.sources.image_ref import ImageRef
from graft.components.ingestion.sources.layout_answers import FolderLayout, SplitFolders
from graft.components.ingestion.sources.misnamed_images import warn_of_misnamed
from graft.components.ingestion.sources.source import Listing, class_name_of, some_of
from graft.components.ingestion.sources.splitting import TRAIN_ROLE, splits_of_roles
from graft.components.ingestion.tables.split_tables import read_split_tables
from graft.contract.counts import agree, counted
from graft.contract.errors import DataError
from graft.contract.split_names import SPLITS
from graft.storage.image_folder import kind_of_ignored, kinds_of_ignored
from graft.storage.left_aside import describe, kind_of_file
from graft.storage.listing import FileEntry, Tree

_FOLDERS_DEPTH = 2  # class/image


def list_images(
    tree: Tree, root: str, layout: FolderLayout, config: DataConfig
) -> Listing:
    """List the images of a folder.

    Args:
        tree: The files below `root`.
        root: The data set's folder.
        layout: The layout of the folders.
        config: See `DataConfig`.

    Returns:
        The references. An image's class is the name of its class folder. Its source is
        the first folder within that one, if there is one.

    Raises:
        DataError: `class_pattern` matches no image, or a table of labels can't be read.
    """
    if config.class_pattern is not None:
        listing = _list_by_pattern(tree, root, layout.split_folders, config)
    elif layout.format in ("tiny_imagenet", "roboflow"):
        listing = _list_labelled_splits(tree, root, layout, config)
    elif layout.format == "pre_split":
        listing = _list_pre_split(tree, layout.split_folders, config)
    else:
        listing = _list_class_folders(tree, root)
    listing.warnings.extend(layout.warnings)
    listing.warnings.extend(warn_of_misnamed(tree.files))
    listing.ignored.update(kinds_of_ignored(tree))
    return listing


def _list_pre_split(
    tree: Tree, split_folders: SplitFolders, config: DataConfig
) -> Listing:
    listing = Listing("pre_split")
    role_of_folder = _roles_by_folder(split_folders)
    unlabelled: Counter[str] = Counter()
    found: list[tuple[FileEntry, str, list[str]]] = []
    outside: Counter[str] = Counter()
    for entry in _possible_images(tree, listing):
        folder, below = _split_of(entry, role_of_folder)
        if folder is None:
            outside[entry.parts[0] if len(entry.parts) > 1 else "."] += 1
        elif len(below) < _FOLDERS_DEPTH:
            unlabelled[folder] += 1
        else:
            found.append((entry, folder, below))
    _refuse_empty_splits(tree, role_of_folder)
    splits = splits_of_roles(
        {role_of_folder[folder] for _, folder, _ in found}, config.validation_becomes
    )
    nested: dict[str, set[str]] = defaultdict(set)  # class to the folders in it
    for entry, folder, below in found:
        class_name = listing.class_of(
            below[0], f"the folder {f'{folder}/{below[0]}'!r}"
        )
        source = folder
        if len(below) > _FOLDERS_DEPTH:
            source = below[1]
            nested[class_name].add(below[1])
        split = splits[role_of_folder[folder]]
        listing.refs.append(_ref(entry, class_name, source, split))
    if unlabelled:
        listing.warnings.append(
            f"Left aside: {counted(unlabelled.total(), 'image')} directly in "
            f"{some_of([*unlabelled])}, where no class folder says the label."
        )
    _warn_of_outside(listing, outside)
    _warn_of_nested(listing, nested)
    _note_empty_classes(
        listing,
        tree,
        {
            name: name.removeprefix(f"{folder}/")
            for folder in role_of_folder
            for name in tree.folders
            if name.startswith(f"{folder}/")
            and name.count("/") == folder.count("/") + 1
        },
    )
    return listing


def _refuse_empty_splits(tree: Tree, role_of_folder: Mapping[str, str]) -> None:
    """Refuse a folder of a split that holds no file: its copy may have been cut short.

    Raises:
        DataError: There is one, beside folders of other splits. Images of train would
            silently take its place.
    """
    parents = {os.path.dirname(folder) for folder in role_of_folder}
    for name in tree.folders:
        is_split = name in role_of_folder or (
            os.path.dirname(name) in parents and role_of(os.path.basename(name))
        )
        if is_split and not any(e.name.startswith(f"{name}/") for e in tree.files):
            raise DataError(
                f"The folder {name!r} is named as a split and holds no image. Put its "
                "images there. Or remove it, and images of train take its place."
            )


def _list_class_folders(tree: Tree, root: str) -> Listing:
    listing = Listing("folders")
    data_set = os.path.basename(os.path.abspath(root)) or root
    unlabelled: list[str] = []
    nested: dict[str, set[str]] = defaultdict(set)  # class to the folders in it
    for entry in _possible_images(tree, listing):
        parts = entry.parts
        if len(parts) < _FOLDERS_DEPTH:
            unlabelled.append(entry.name)
            continue
        class_name = listing.class_of(parts[0], f"the folder {parts[0]!r}")
        source = data_set
        if len(parts) > _FOLDERS_DEPTH:
            source = parts[1]
            nested[class_name].add(parts[1])
        listing.refs.append(_ref(entry, class_name, source, SPLITS))
    if unlabelled:
        listing.warnings.append(
            f"Left aside: {counted(len(unlabelled), 'file')} directly in {root!r}, "
            f"where no class folder says the label ({some_of(unlabelled)})."
        )
    _warn_of_nested(listing, nested)
    _note_empty_classes(
        listing, tree, {name: name for name in tree.folders if "/" not in name}
    )
    return listing


def _list_by_pattern(
    tree: Tree, root: str, split_folders: SplitFolders, config: DataConfig
) -> Listing:
    pattern = config.class_pattern or ""
    # File systems and editors write the same letter in one or two code points.
    expression = re.compile(unicodedata.normalize("NFC", pattern))
    listing = Listing("class_pattern")
    role_of_folder = _roles_by_folder(split_folders)
    data_set = os.path.basename(os.path.abspath(root)) or root
    found: list[tuple[FileEntry, str, str | None]] = []
    text_of_split: dict[str, str] = {}  # to the first image that has it
    left: list[str] = []
    for entry in _possible_images(tree, listing):
        text = text_of_name(pattern, entry.name)
        match = expression.fullmatch(unicodedata.normalize("NFC", text))
        folder, _ = _split_of(entry, role_of_folder)
        if not match or not match["class"] or (role_of_folder and folder is None):
            left.append(entry.name)
            continue
        where = f"{entry.name!r} by `class_pattern`"
        role = role_of_folder[folder] if folder is not None else None
        if "split" in expression.groupindex and match["split"]:
            role = match["split"]
            text_of_split.setdefault(role, entry.name)
        found.append((entry, listing.class_of(match["class"], where), role))
    if not found:
        raise DataError(
            "`class_pattern` must match the whole "
            + ("path of an image. " if "/" in pattern else "name of an image, without ")
            + ("" if "/" in pattern else "its extension. ")
            + f"Received: {pattern!r}, which matches none of "
            f"{counted(len(left), 'file')}, such as {some_of(left[:1]) or 'none'}. "
            f"{hint_about_pattern(pattern, left, root)}".rstrip()
        )
    if left:
        listing.warnings.append(
            f"Left aside: {counted(len(left), 'file')} that `class_pattern` does not "
            f"match, or outside of the split folders ({some_of(left)})."
        )
    role_of_text = _roles_of_texts(text_of_split)
    roles = {role_of_text.get(role, role) for _, _, role in found if role}
    splits = splits_of_roles(roles | {TRAIN_ROLE}, config.validation_becomes)
    for entry, class_name, role in found:
        # Beside `cat_test`, an image of `cat` must not become a test image.
        given = role_of_text.get(role, role) if role else TRAIN_ROLE
        allowed = splits[given] if roles else SPLITS
        listing.refs.append(_ref(entry, class_name, data_set, allowed))
    return listing


def _roles_of_texts(first_of: Mapping[str, str]) -> dict[str, str]:
    """Return the roles by the texts of the group `split`.

    Args:
        first_of: The name of an image by text.

    Raises:
        DataError: A text is no name of a split.
    """
    abbreviations = {
        text: role
        for text in first_of
        if (role := ROLE_OF_ABBREVIATION.get(text.casefold()))
    }
    roles = {**abbreviations, **roles_of(first_of)}
    for text, name in first_of.items():
        if text not in roles:
            raise DataError(
                "The group `split` of `class_pattern` must match a split's name, such "
                f"as train, val or test. Received: {text!r} of {name!r}. Let the group "
                "match such words only, as (?P<split>train|test) does, or rename the "
                "folder or file."
            )
    return roles


def _list_labelled_splits(
    tree: Tree, root: str, layout: FolderLayout, config: DataConfig
) -> Listing:
    """List splits whose labels may be in tables."""
    labelled = read_split_tables(tree, root, layout)
    listing = Listing(layout.format)
    splits = splits_of_roles(
        {role for _, role in labelled.values()}, config.validation_becomes
    )
    left: Counter[str] = Counter()
    for entry in _possible_images(tree, listing):
        if entry.name not in labelled:
            left[entry.parts[0]] += 1
            continue
        text, role = labelled[entry.name]
        class_name = listing.class_of(text, f"the label of {entry.name!r}")
        listing.refs.append(_ref(entry, class_name, entry.parts[0], splits[role]))
    if left:
        listing.warnings.append(
            f"Left aside: {counted(left.total(), 'image')} without a label in "
            f"{some_of(sorted(left))}."
        )
    missing = sorted(set(labelled) - {entry.name for entry in tree.files})
    if missing:
        listing.warnings.append(
            f"The label tables name {counted(len(missing), 'missing file')}: "
            f"{some_of(missing)}."
        )
    return listing


def _possible_images(tree: Tree, listing: Listing) -> list[FileEntry]:
    """Return the files that may be images, and count the others."""
    images = []
    for entry in tree.files:
        kind = kind_of_file(entry.parts[-1])
        if kind is None:
            images.append(entry)
        else:
            listing.ignored[kind] += 1
    return images


def _roles_by_folder(split_folders: SplitFolders) -> dict[str, str]:
    return {path: role for role, paths in split_folders.items() for path in paths}


def _split_of(
    entry: FileEntry, role_of_folder: dict[str, str]
) -> tuple[str | None, list[str]]:
    """Return the split folder of a file, and the rest of the file's path in parts."""
    parts = entry.parts
    for depth in range(1, len(parts)):
        folder = "/".join(parts[:depth])
        if folder in role_of_folder:
            return folder, parts[depth:]
    return None, parts


def _warn_of_outside(listing: Listing, outside: Counter[str]) -> None:
    if outside:
        names = sorted(outside)
        listing.warnings.append(
            f"Left aside: {counted(outside.total(), 'image')} outside of the split "
            f"folders: {some_of(names, outside)}."
        )


def _warn_of_nested(
    listing: Listing, folders_in: Mapping[str, Collection[str]]
) -> None:
    if folders_in:
        number = len(folders_in)
        names = sorted(
            set().union(*folders_in.values()),
            key=lambda name: (stray_name_of(name) is None, name),
        )
        listing.warnings.append(
            f"{agree(number, 'The class', 'The classes')} "
            f"{some_of(sorted(folders_in))} {agree(number, 'holds', 'hold')} folders: "
            f"{some_of(names)}. The images in them count as images of the class."
        )


def _note_empty_classes(listing: Listing, tree: Tree, classes: dict[str, str]) -> None:
    """Add class folders without images to the listing.

    Args:
        listing: The listing to extend.
        tree: The files.
        classes: Path of a folder to the class name.
    """
    found = {ref.class_name for ref in listing.refs}
    files: dict[str, Counter[str]] = defaultdict(Counter)
    kinds = itertools.chain(
        ((entry.name, kind_of_file(entry.parts[-1]), 1) for entry in tree.files),
        ((name, kind_of_ignored(name), n) for name, n in tree.ignored.items()),
    )
    for name, kind, number in kinds:
        parts = name.split("/")
        for depth in range(1, len(parts)):
            if kind and (folder := "/".join(parts[:depth])) in classes:
                files[folder][kind] += number
    aside = []
    for folder, text in classes.items():
        class_name = class_name_of(text, f"the folder {folder!r}")
        if class_name in found:
            continue
        is_stray = stray_name_of(class_name) is StrayName.CERTAIN
        if is_stray or (is_side_folder(class_name) and files[folder]):
            aside.append(folder)
            continue
        listing.empty_classes.append(class_name)
        held = f"only {describe(files[folder])}" if files[folder] else "nothing"
        listing.empty_notes.append(f"The folder {folder!r} holds {held}.")
    listing.empty_classes = sorted(set(listing.empty_classes))
    if aside:
        listing.warnings.append(
            f"Left aside: {counted(len(aside), 'folder')} without images, not called "
            f"like a class ({some_of(aside)})."
        )


def _ref(
    entry: FileEntry, class_name: str, source: str, splits: tuple[str, ...]
) -> ImageRef:
    return ImageRef(entry.path, entry.name, class_name, source, splits, entry.size)
