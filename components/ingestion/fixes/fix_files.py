"""Choose and check files of label fixes before a run; no image is read for it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from graft.components.ingestion.fixes.fix_rows import Fix, FixFile, read_fix_files
from graft.components.ingestion.sources.source import class_name_of
from graft.contract.errors import DataError
from graft.storage.paths import expand_home, is_remote

_UNKNOWN = object()


class ChosenFiles(NamedTuple):
    """The files of label fixes that a run applies.

    Attributes:
        paths: Files with decisions, each once, in an order that doesn't depend on that
            of the options.
        undecided: Files without a decision, as written, with their number of rows.
    """

    paths: tuple[str, ...]
    undecided: dict[str, int]


def choose_fix_files(written: Sequence[str]) -> ChosenFiles:
    """Return the files that decide something, in one form for one choice.

    The results of a run are looked up by the names of its files. Another order, or a
    file without decisions, must not make the same model again.

    Args:
        written: The files, as written.

    Raises:
        DataError: A file can't be read, or a row is not clear.
    """
    paths: dict[str, str] = {}
    undecided: dict[str, int] = {}
    for file in read_fix_files(written):
        if file.fixes:
            paths.setdefault(_identity(file.path), _short(file.path))
        else:
            undecided[file.path] = file.num_rows
    return ChosenFiles(tuple(sorted(paths.values())), undecided)


def require_no_conflicts(files: Iterable[FixFile]) -> None:
    """Refuse rows that name one image in the same way, and disagree about it.

    Other conflicts are found with the images (`label_fixes.apply_fixes`).

    Raises:
        DataError: Two rows disagree.
    """
    earlier: dict[tuple[str, str], Fix] = {}
    for file in files:
        for fix in file.fixes:
            after = _class_after(fix)
            if after is _UNKNOWN:
                continue
            for key in _keys(fix):
                other = earlier.setdefault(key, fix)
                if _class_after(other) != after:
                    raise conflict(fix, other, fix.describe())


def conflict(fix: Fix, other: Fix, name: str) -> DataError:
    """Return the error for two rows that disagree about an image.

    Args:
        fix: The later row.
        other: The earlier row.
        name: The image's name, in quotes.
    """
    return DataError(
        f"{fix.where} and {other.where} contradict each other: {name} "
        f"{_told(fix)}, and {_told(other)}. Delete one of the rows."
    )


def _told(fix: Fix) -> str:
    name = _class_after(fix)
    if name is _UNKNOWN:
        return "keeps its label"
    return "is to be dropped" if name is None else f"is a {name!r}"


def _class_after(fix: Fix) -> object:
    """Return the class that a row gives; None: it drops the image."""
    if fix.kind == "drop":
        return None
    text = fix.label if fix.kind == "keep" else fix.new_label
    return _UNKNOWN if text is None else class_name_of(text, fix.where)


def _keys(fix: Fix) -> Iterator[tuple[str, str]]:
    if fix.content_hash is not None:
        yield "content_hash", fix.content_hash
    if fix.kind == "add":
        yield "added", fix.file_of_added().path
    elif fix.path is not None:
        yield "path", fix.path


def _identity(path: str) -> str:
    return path if is_remote(path) else os.path.realpath(expand_home(path))


def _short(path: str) -> str:
    """Return a local path from the working directory if it lies there, else whole."""
    if is_remote(path):
        return path
    whole = os.path.abspath(expand_home(path))
    short = os.path.relpath(whole)
    return whole if short.split(os.sep)[0] == os.pardir else short
