"""List the images of a manifest: CSV or JSON lines with path, label and split."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from graft.components.ingestion.names.folder_names import role_of
from graft.components.ingestion.names.labels_of_other_things import require_classes
from graft.components.ingestion.names.split_words import with_evaluation_as_test
from graft.components.ingestion.sources.config import DataConfig
from graft.components.ingestion.sources.image_ref import ImageRef, printable
from graft.components.ingestion.sources.labels import (
    LabelKinds,
    several_labels,
    shown,
    text_of_cell,
    text_of_label,
)
from graft.components.ingestion.sources.source import Listing, class_name_of, some_of
from graft.components.ingestion.sources.splitting import (
    ROLE_OF_NAME,
    TEST_ROLE,
    TRAIN_ROLE,
    VALIDATION_ROLE,
    splits_of_roles,
)
from graft.components.ingestion.sources.tag_sets import require_no_tag_sets
from graft.components.ingestion.tables.further_columns import FurtherColumns
from graft.components.ingestion.tables.labels_in_paths import LabelsInPaths
from graft.components.ingestion.tables.manifest_columns import (
    is_box_column,
    require_split_column,
)
from graft.components.ingestion.tables.manifest_files import ManifestFiles
from graft.components.ingestion.tables.manifest_rows import Row, read_rows
from graft.components.ingestion.tables.path_splits import (
    describe,
    roles_of_paths,
    warn_of_some_splits,
)
from graft.components.ingestion.tables.sibling_manifests import warn_of_siblings
from graft.components.ingestion.tables.unnamed_images import warn_of_unnamed
from graft.contract.counts import counted
from graft.contract.errors import DataError
from graft.contract.split_names import SPLITS, TRAIN_SPLIT
from graft.storage import listing
from graft.storage.paths import expand_home, is_remote, parent_of

_WORD_OF_ROLE = {TRAIN_ROLE: "train", VALIDATION_ROLE: "val", TEST_ROLE: "test"}


class ManifestEntry(NamedTuple):
    """One image that a manifest names.

    Attributes:
        line: Line number, from 1.
        path: Path, as written.
        label: Label, as written.
        role: Its given split: "train", "validation", "test" or None.
        columns: Name and value of the other columns.
    """

    line: int
    path: str
    label: str
    role: str | None
    columns: tuple[tuple[str, str], ...]


class Manifest(NamedTuple):
    """The content of a manifest.

    Attributes:
        entries: The images; at least one.
        warnings: Sentences for the user.
    """

    entries: list[ManifestEntry]
    warnings: list[str]


def read_manifest(path: str, layout: str, config: DataConfig) -> Manifest:
    """Read all lines of a manifest. No image is opened.

    Args:
        path: The manifest.
        layout: "csv" or "jsonl".
        config: Names the columns.

    Raises:
        DataError: A line can't be read, or its path, label or split is not valid. The
            message names the line.
    """
    entries: list[ManifestEntry] = []
    first_of: dict[str, ManifestEntry] = {}
    kinds = LabelKinds()
    nameless: Counter[int] = Counter()
    columns: dict[str, None] = {}
    further = FurtherColumns()
    in_paths = LabelsInPaths()
    split_words: dict[str, int] = {}
    for row in read_rows(path, layout, config):
        where = f"{path!r}, line {row.line}"
        entry = _entry_of(row, where, layout, config)
        entries.append(entry)
        if entry.role:
            word = str(row.values[config.split_column]).strip().lower()
            split_words.setdefault(word, row.line)
        nameless.update(row.nameless)
        columns |= dict.fromkeys(row.values)
        further.add(entry.columns, entry.label, entry.role)
        in_paths.add(entry.path, entry.label)
        kinds.check(
            is_number=not isinstance(row.values[config.label_column], str),
            text=entry.label,
            where=where,
        )
        first = first_of.setdefault(os.path.normpath(entry.path), entry)
        _require_no_boxes(first, entry, path)
        if config.duplicate_label_policy == "fail":
            _require_same_class(first, entry, path)
    if not entries:
        raise DataError(
            f"The manifest {path!r} names no images: it is empty, or has a header "
            "only. Add a line for each image."
        )
    require_split_column([*columns], repr(path), config)
    _require_one_validation(split_words, path, config)
    _require_single_labels(entries, path, config)
    warnings = [
        f"Column {position} of {path!r} has no name in the header. Left aside: its "
        f"{counted(number, 'value')}."
        for position, number in sorted(nameless.items())
    ]
    warnings += [*further.warnings(config), *in_paths.warnings()]
    if config.split_column not in columns:
        entries = _with_splits_of_paths(entries, config, warnings)
    return Manifest(entries, warnings)


def _with_splits_of_paths(
    entries: list[ManifestEntry], config: DataConfig, warnings: list[str]
) -> list[ManifestEntry]:
    """Return the entries with the splits that all paths name; add what to know."""
    paths = [entry.path for entry in entries]
    labels = [entry.label for entry in entries]
    roles = roles_of_paths(paths, labels)
    if not any(roles):
        warnings += warn_of_some_splits(paths, labels, config.split_column)
    if any(roles):
        warnings.append(describe(roles, paths, config.split_column))
    if None in roles:
        return entries
    return [
        entry._replace(role=role) for entry, role in zip(entries, roles, strict=True)
    ]


def list_images(path: str, layout: str, config: DataConfig) -> Listing:
    """List the images that a manifest names.

    Args:
        path: The manifest. The paths in it are relative to its folder.
        layout: "csv" or "jsonl".
        config: Names the columns.

    Returns:
        The references, with the values of other columns. Missing files are found later,
        when they are read.

    Raises:
        DataError: As for `read_manifest`.
    """
    source = os.path.basename(path)
    folder = folder_of(path)
    manifest = read_manifest(path, layout, config)
    found = Listing(layout, warnings=manifest.warnings)
    roles = {entry.role for entry in manifest.entries}
    splits = splits_of_roles(
        {role for role in roles if role}, config.validation_becomes
    )
    if None in roles and TRAIN_ROLE in roles:
        # Images without a given split fill the other splits.
        splits[TRAIN_ROLE] = (TRAIN_SPLIT,)
    image_files = ManifestFiles(folder, config.image_folder)
    first_of: dict[str, ManifestEntry] = {}
    for entry in manifest.entries:
        where = f"{path!r}, line {entry.line}"
        image_path = image_files.path_of(entry.path, where)
        # `a`, `a.jpg`, and the same path of Windows, are one file.
        first = first_of.setdefault(os.path.normpath(image_path), entry)
        _require_no_boxes(first, entry, path)
        if config.duplicate_label_policy == "fail":
            _require_same_class(first, entry, path)
        size = None
        if not is_remote(image_path):
            size = listing.entry_of(image_path, entry.path).size
        found.refs.append(
            ImageRef(
                image_path,
                entry.path,
                found.class_of(entry.label, where),
                source,
                splits[entry.role] if entry.role else SPLITS,
                size,
                columns=entry.columns,
            )
        )
    paths = {ref.path for ref in found.refs}
    found.warnings += warn_of_unnamed(paths, folder, config.image_folder)
    if not roles - {None}:
        found.warnings += warn_of_siblings(path, folder, config)
    return found


def _require_single_labels(
    entries: Sequence[ManifestEntry], path: str, config: DataConfig
) -> None:
    """Refuse labels such as `cat|dog` where `cat` and `dog` are labels, too."""
    labels: dict[str, str] = {}
    for entry in entries:
        labels.setdefault(entry.label, f"{path!r}, line {entry.line}")
    for entry in entries:
        parts = several_labels(entry.label, labels)
        if parts and entry.label.strip() not in (config.class_names or ()):
            raise DataError(
                f"{path!r}, line {entry.line}: an image has one label. Received: "
                f"{shown(entry.label)}, which joins the labels {some_of(parts)}. "
                "Choose one of them, or leave the image out. If it is the name of a "
                "class, list it in `class_names`, with the names of the other classes."
            )
    require_classes(labels, config)
    require_no_tag_sets(labels, config)


def _require_one_validation(
    line_of: Mapping[str, int], path: str, config: DataConfig
) -> None:
    """Refuse `eval` beside `val`: one of the two means the test set."""
    roles = {word: ROLE_OF_NAME[word] for word in line_of}
    known = with_evaluation_as_test(roles, {word: [word] for word in roles})
    for word, role in known.items():
        if roles[word] != role:
            others = [name for name, r in known.items() if r == VALIDATION_ROLE]
            raise DataError(
                f"{path!r}, line {line_of[word]}: `{config.split_column}` may mean the "
                f"test set, or another validation set. Received: {word!r}, beside "
                f"{some_of(sorted(others))}. Write 'test' or {others[0]!r} for it."
            )


def _entry_of(row: Row, where: str, layout: str, config: DataConfig) -> ManifestEntry:
    name, label = row.values[config.path_column], row.values[config.label_column]
    if name is None or (isinstance(name, str) and not name.strip()):
        raise DataError(
            f"{where}: the column {config.path_column!r} is blank. Every image needs a "
            "path and a label: complete the line or delete it."
        )
    if not isinstance(name, str):
        raise DataError(
            f"{where}: the column {config.path_column!r} must be a text. "
            f'Received: {shown(name)}. Write the path in quotes, such as "cat/1.jpg".'
        )
    try:
        if layout == "csv" and isinstance(label, str):
            text = text_of_cell(label)
        else:
            text = text_of_label(label)
    except ValueError as error:
        raise DataError(
            f"{where}: the column {config.label_column!r} {error}. "
            f"Received: {shown(label)}."
        ) from error
    # Check it here, too, so that the fingerprint fails before ingestion starts.
    class_name_of(text, where)
    return ManifestEntry(
        row.line,
        name,
        text,
        _role_of(row.values.get(config.split_column), where, config),
        _further_columns(row.values, config),
    )


def _require_no_boxes(
    first: ManifestEntry, entry: ManifestEntry, manifest: str
) -> None:
    """Refuse a file that two lines give two boxes: a table of objects."""
    if first.columns == entry.columns:
        return
    boxes = [name for name, _ in entry.columns if is_box_column(name)]
    if boxes:
        raise DataError(
            f"{manifest!r}: lines {first.line} and {entry.line} are boxes in one image "
            f"(column {boxes[0]!r}). Received: {entry.path!r} twice. The data seem to "
            "be for the detection of objects, which graft does not learn. Cut the "
            "objects out and name each cut in its own line; or keep one line for each "
            "image, with the class of the whole image."
        )


def _require_same_class(
    first: ManifestEntry, entry: ManifestEntry, manifest: str
) -> None:
    """Refuse a file that two lines give two classes.

    Copies of a file under other names are found by their content, once they are read.
    """
    if first.label == entry.label:
        return
    names = [class_name_of(each.label, manifest) for each in (first, entry)]
    if names[0] != names[1]:
        paths = dict.fromkeys(
            os.path.normpath(each.path.replace("\\", "/")) for each in (first, entry)
        )
        also = "" if len(paths) == 1 else f", which is the file of {first.path!r},"
        raise DataError(
            f"{manifest!r}: lines {first.line} and {entry.line} give {entry.path!r}"
            f"{also} two labels. Received: {shown(names[0])} and {shown(names[1])}. "
            "Delete one of the lines, or set `duplicate_label_policy` to 'drop' (use "
            "neither) or 'keep' (use the image under each label)."
        )


def _role_of(split: object, where: str, config: DataConfig) -> str | None:
    if split is None or (isinstance(split, str) and not split.strip()):
        return None
    role = ROLE_OF_NAME.get(split.strip().lower()) if isinstance(split, str) else None
    if role is None:
        meant = role_of(split) if isinstance(split, str) else None
        hint = f" Write {_WORD_OF_ROLE[meant]!r} for it." if meant else ""
        raise DataError(
            f"{where}: `{config.split_column}` must be 'train', 'val' or 'test', or "
            "blank, so that the image's content decides. These words are taken, too: "
            f"{', '.join(sorted(ROLE_OF_NAME))}. Received: {shown(split)}.{hint}"
        )
    return role


def _further_columns(
    values: dict[str, object], config: DataConfig
) -> tuple[tuple[str, str], ...]:
    """Return the other columns of a line as text, without blank and missing values."""
    known = (config.path_column, config.label_column, config.split_column)
    texts = {
        name: value if isinstance(value, str) else json.dumps(value)
        for name, value in values.items()
        if name not in known and value is not None
    }
    return tuple(
        # JSON allows lone surrogates, which are not valid UTF-8.
        (printable(name), printable(text.strip()))
        for name, text in texts.items()
        if text.strip()
    )


def folder_of(path: str) -> str:
    """Return the folder of a manifest, which its paths start from."""
    path = expand_home(path)
    return (
        parent_of(path) if is_remote(path) else os.path.dirname(os.path.abspath(path))
    )
