"""Sources that are folders: one folder per class, or splits of class folders."""

from __future__ import annotations

import os
from collections import Counter, defaultdict

from graft.components.ingestion.config import DataConfig
from graft.components.ingestion.image_ref import ImageRef
from graft.components.ingestion.source import Listing, class_name_of, some_of
from graft.components.ingestion.splitting import (
    ROLE_OF_NAME,
    TRAIN_ROLE,
    splits_of_roles,
)
from graft.contract.errors import DataError
from graft.contract.split_names import SPLITS
from graft.storage.listing import FileEntry, Tree

# Files that lie beside images and are none; anything else is read to find out.
_SIDECAR_EXTENSIONS = frozenset(
    ".txt .md .rst .html .htm .xml .json .jsonl .csv .tsv .yaml .yml .toml .ini .cfg "
    ".pdf .doc .docx .xls .xlsx .zip .tar .gz .tgz .xz .7z .rar .py .ipynb .sh .log "
    ".mat .npy .npz .h5 .hdf5 .pkl .db .sqlite .mp4 .mov .avi .wav .mp3 .xmp .aae .bak "
    ".tmp".split()
)

_PRE_SPLIT_DEPTH = 3  # split/class/image
_FOLDERS_DEPTH = 2  # class/image


def list_images(tree: Tree, root: str, config: DataConfig) -> Listing:
    """List the images of a tree of class folders, split already or not.

    Args:
        tree: The files below `root`.
        root: The data set's folder.
        config: See `DataConfig`.

    Returns:
        The references. The class is the folder's name; of folders nested in it the
        first one's name is the image's source.

    Raises:
        DataError: The folders are neither layout, or it can't be told which.
    """
    split_folders = _split_folders(tree, config)
    if split_folders:
        return _list_pre_split(tree, split_folders, config)
    return _list_class_folders(tree, root)


def _split_folders(tree: Tree, config: DataConfig) -> dict[str, str]:
    """Return the role (train, validation, test) by folder; {} if there are none."""
    if config.format == "folders":
        return {}
    top = sorted(name for name in tree.folders if "/" not in name)
    roles = {name: ROLE_OF_NAME[name.lower()] for name in top if _is_role(name)}
    nested = {name.split("/")[0] for name in tree.folders if "/" in name}
    has_train = any(
        role == TRAIN_ROLE and name in nested for name, role in roles.items()
    )
    if not has_train:
        if config.format == "pre_split":
            raise DataError(
                "`format: pre_split` needs a folder train that holds class folders. "
                f"Received: folders {some_of(top) or 'none'}."
            )
        return {}
    others = [name for name in top if name not in roles]
    if others and config.format == "auto":
        if len(roles) == 1:
            return {}  # a class that is called "train"
        raise DataError(
            f"It can't be told whether {some_of(sorted(roles))} are splits or classes, "
            f"since {some_of(others)} lie beside them. Say `format: pre_split` or "
            "`format: folders`, or move the other folders out."
        )
    twice = [role for role, number in Counter(roles.values()).items() if number > 1]
    if twice:
        names = [name for name, role in roles.items() if role in twice]
        raise DataError(f"Folders {some_of(names)} mean the same split. Merge them.")
    return roles


def _is_role(name: str) -> bool:
    return name.lower() in ROLE_OF_NAME


def _list_pre_split(tree: Tree, roles: dict[str, str], config: DataConfig) -> Listing:
    listing = Listing("pre_split")
    unlabelled: Counter[str] = Counter()
    usable = {
        entry.parts[0] for entry in tree.files if len(entry.parts) >= _PRE_SPLIT_DEPTH
    }
    splits = splits_of_roles(
        {role for name, role in roles.items() if name in usable},
        config.validation_becomes,
    )
    for entry in tree.files:
        parts = entry.parts
        if parts[0] not in roles or _is_sidecar(entry):
            listing.ignored[_extension(entry)] += 1
        elif len(parts) < _PRE_SPLIT_DEPTH:
            unlabelled[parts[0]] += 1
        else:
            nested = parts[2] if len(parts) > _PRE_SPLIT_DEPTH else parts[0]
            class_name = class_name_of(parts[1], f"the folder {'/'.join(parts[:2])!r}")
            listing.refs.append(
                _ref(entry, class_name, nested, splits[roles[parts[0]]])
            )
    if unlabelled:
        listing.warnings.append(
            f"{sum(unlabelled.values())} images lie directly in "
            f"{some_of([*unlabelled])}, in no class folder: they have no label and are "
            "left aside."
        )
    found = {ref.class_name for ref in listing.refs}
    listing.empty_classes = sorted(
        {
            name.split("/")[1]
            for name in tree.folders
            if name.count("/") == 1 and name.split("/")[0] in roles
        }
        - found
    )
    return listing


def _list_class_folders(tree: Tree, root: str) -> Listing:
    listing = Listing("folders")
    data_set = os.path.basename(os.path.abspath(root)) or root
    unlabelled: list[str] = []
    nested_by_class: dict[str, set[str]] = defaultdict(set)
    for entry in tree.files:
        parts = entry.parts
        if _is_sidecar(entry):
            listing.ignored[_extension(entry)] += 1
        elif len(parts) < _FOLDERS_DEPTH:
            unlabelled.append(entry.name)
        else:
            class_name = class_name_of(parts[0], f"the folder {parts[0]!r}")
            source = data_set
            if len(parts) > _FOLDERS_DEPTH:
                source = parts[1]
                nested_by_class[class_name].add(parts[1])
            listing.refs.append(_ref(entry, class_name, source, SPLITS))
    if unlabelled and not listing.refs:
        raise DataError(
            f"No class folders: {len(unlabelled)} files lie directly in {root!r}, such "
            f"as {some_of(unlabelled[:1])}. Move each image into a folder named after "
            "its class, or give a manifest with the columns path and label."
        )
    if unlabelled:
        listing.warnings.append(
            f"{len(unlabelled)} files lie directly in {root!r}, in no class folder: "
            f"they have no label and are left aside ({some_of(unlabelled)})."
        )
    if len(nested_by_class) == 1 and len({ref.class_name for ref in listing.refs}) == 1:
        ((name, below),) = nested_by_class.items()
        if len(below) > 1:
            raise DataError(
                f"Only one class, {name!r}, was found, and it holds the folders "
                f"{some_of(sorted(below))}. If these are the classes, give the folder "
                f"{os.path.join(root, name)!r} as the data's path."
            )
    if nested_by_class:
        listing.warnings.append(
            f"Folders are nested in the classes {some_of(sorted(nested_by_class))}: "
            "their images count as images of the class."
        )
    found = {ref.class_name for ref in listing.refs}
    top = {name for name in tree.folders if "/" not in name}
    listing.empty_classes = sorted(top - found)
    return listing


def _ref(
    entry: FileEntry, class_name: str, source: str, splits: tuple[str, ...]
) -> ImageRef:
    return ImageRef(entry.path, entry.name, class_name, source, splits, entry.size)


def _extension(entry: FileEntry) -> str:
    return os.path.splitext(entry.name)[1].lower() or "(none)"


def _is_sidecar(entry: FileEntry) -> bool:
    return _extension(entry) in _SIDECAR_EXTENSIONS
