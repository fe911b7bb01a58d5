"""Read files that say the splits of images, such as `splits.csv`, `test_list.txt`."""

from __future__ import annotations

import csv
import io
import json
import os
import re
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from graft.components.ingestion.names.folder_names import role_of
from graft.components.ingestion.names.split_words import ROLE_OF_WORD, without_accents
from graft.components.ingestion.sources.splitting import TRAIN_ROLE
from graft.components.ingestion.tables.column_names import holds_splits
from graft.components.ingestion.tables.manifest_columns import USUAL_COLUMNS
from graft.components.ingestion.tables.manifest_rows import DELIMITER_LINE, DELIMITERS
from graft.storage import files
from graft.storage.listing import FileEntry

_MOST_BYTES = 4 * 2**20
_TABLES = (".csv", ".tsv")
_LINES = (".txt", ".lst", ".list")
_JSON_LINES = (".jsonl", ".ndjson")
_TEXTS = (*_TABLES, *_JSON_LINES, ".json")
_SPREADSHEETS = (".xlsx", ".xls", ".ods", ".parquet", ".feather")
_OTHERS = (".mat", ".npy", ".npz", ".pkl", ".pickle", ".yaml", ".yml")
_WORD = re.compile(r"[A-Z]?[^\W\d_A-Z]+|[A-Z]+(?![^\W\d_A-Z])")
# As in `trainlist01.txt` and `test_ids.npy`.
_OF_LISTS = (
    "list lists ids idx index indexes indices names images imgs files filenames split "
    "splits"
).split()
_SPLIT_WORDS = frozenset("split splits fold folds kfold partition partitions".split())
_SPLIT_COLUMN = re.compile(
    r"(k|cv)?[-_ ]?(split|splits|set|subset|partition|usage|phase|folds?|data[-_ ]?set)"
    r"([-_ ]?(id|no|number|name|type))?|kfold",
    re.IGNORECASE,
)
_PARTS_COLUMN = re.compile(
    r"(k|cv)?[-_ ]?(splits?|subset|partition|folds?)([-_ ]?(id|no|number))?|kfold",
    re.IGNORECASE,
)
_FLAG_COLUMN = re.compile(r"(?:is[-_ ]?)?(?P<word>[a-z]+)", re.IGNORECASE)
_HELD_OUT = re.compile(r"(?i)hold[-_ ]?out|held[-_ ]?out")
_PATH_COLUMNS = frozenset(("path", *USUAL_COLUMNS["path_column"]))
_TRUE, _FALSE = frozenset("1 1.0 true yes".split()), frozenset("0 0.0 false no".split())


class Listed(NamedTuple):
    """One text of a file that may name an image.

    Attributes:
        text: The text, such as `cat/1.jpg`.
        role: The split that the file gives it; None if it is unknown which.
        is_of_split: Whether the file gives it one, by a number or another word.
    """

    text: str
    role: str | None
    is_of_split: bool = False


class SplitList(NamedTuple):
    """A file that may say the split of images.

    Attributes:
        name: Path relative to the data set's root.
        lines: What it says, a tuple for each line; None if graft can't read it.
        role: The split that its name says, or None.
        is_whole: Whether `lines` are all lines.
        has_splits: Whether its content says the splits, and not its name alone.
    """

    name: str
    lines: list[tuple[Listed, ...]] | None
    role: str | None
    is_whole: bool = True
    has_splits: bool = False


def read_split_list(entry: FileEntry) -> SplitList | None:
    """Read a file that may say the split of images; None for other files.

    Args:
        entry: A file beside images.
    """
    stem, extension = os.path.splitext(entry.parts[-1])
    extension = extension.casefold()
    plain = _HELD_OUT.sub("holdout", without_accents(stem))
    words = [word.casefold() for word in _WORD.findall(plain)]
    roles = {role for word in words if (role := _role_of_list(word))}
    role = roles.pop() if len(roles) == 1 else None
    is_named = bool(role or roles) or not _SPLIT_WORDS.isdisjoint(words)
    is_numbers = is_named and any(word.endswith(tuple(_OF_LISTS)) for word in words)
    if extension in (*_OTHERS, *_SPREADSHEETS):
        is_list = is_numbers or (is_named and extension in _SPREADSHEETS)
        return SplitList(entry.name, None, role) if is_list else None
    is_lines = extension in _LINES or not extension
    if not (extension in _TEXTS or (is_named and is_lines)):
        return None
    try:
        content = files.read_bytes(
            entry.path, 0, min(entry.size or _MOST_BYTES, _MOST_BYTES)
        )
        is_whole = len(content) < _MOST_BYTES
        text = content.decode("utf-8-sig", "replace")
        lines = [*_lines_of(text, extension, role, is_whole=is_whole)]
    except (OSError, ValueError, RecursionError, csv.Error):
        return None
    has_splits = any(
        each.is_of_split or each.role != role for line in lines for each in line
    )
    if not (has_splits or is_named):
        return None
    if is_numbers and not any(map(_has_letters, lines)):
        # Numbers of images, as in train_test_split.txt of CUB-200.
        return SplitList(entry.name, None, role, is_whole)
    return SplitList(entry.name, lines, role, is_whole, has_splits)


def _role_of_list(word: str) -> str | None:
    """Return the role of `test`, `testlist` and the like."""
    for end in ("", *_OF_LISTS):
        if word.endswith(end) and word[: len(word) - len(end)] in ROLE_OF_WORD:
            return ROLE_OF_WORD[word[: len(word) - len(end)]]
    return None


def _has_letters(line: Sequence[Listed]) -> bool:
    return any(re.search(r"[^\W\d_]", each.text) for each in line)


def _lines_of(
    text: str, extension: str, role: str | None, *, is_whole: bool
) -> Iterator[tuple[Listed, ...]]:
    if extension == ".json":
        if is_whole:
            yield from ((each,) for each in _in_json(json.loads(text), role))
        return
    lines = text.splitlines()
    if not is_whole:
        del lines[-1]  # it is cut off
    if extension in _LINES or not extension:
        for line in map(str.strip, filter(str.strip, lines)):
            # A number beside others is a label, or a coordinate.
            parts = {each for each in re.split(r"[\s,;]+", line) if not each.isdigit()}
            said = [r for part in parts if (r := ROLE_OF_WORD.get(part.casefold()))]
            found = said[0] if len(said) == 1 else role
            yield tuple(Listed(part, found) for part in sorted({line} | parts) if part)
    elif extension in _JSON_LINES:
        for line in filter(str.strip, lines):
            yield tuple(_in_json(json.loads(line), role))
    else:
        yield from _in_table(lines, role)


def _in_table(lines: list[str], role: str | None) -> Iterator[tuple[Listed, ...]]:
    if lines and DELIMITER_LINE.fullmatch(lines[0].strip()):
        del lines[0]
    first = lines[0] if lines else ""
    delimiter = max(DELIMITERS, key=first.count)
    rows = csv.reader(io.StringIO("\n".join(lines)), delimiter=delimiter)
    header = [cell.strip() for cell in next(rows, [])]
    table = [tuple(cell.strip() for cell in row) for row in rows]
    columns = dict(
        zip(
            header,
            zip(*(r for r in table if len(r) == len(header)), strict=True),
            strict=False,
        )
    )
    of_splits = [name for name, values in columns.items() if holds_splits(values)]
    has_parts = any(map(_PARTS_COLUMN.fullmatch, header))
    yield tuple(Listed(cell, role) for cell in header)
    for row in table:
        pairs = dict(zip(header, row, strict=False))
        said = next((role_of(pairs[n]) for n in of_splits if n in pairs), None)
        found = said or _role_of_fields(pairs) or (None if has_parts else role)
        yield tuple(
            Listed(cell, found, has_parts)
            for name, cell in pairs.items()
            # Other numbers are labels or sizes, and no names of images.
            if cell and not (cell.isdigit() and name.casefold() not in _PATH_COLUMNS)
        )


def _in_json(value: Any, role: str | None) -> Iterator[Listed]:
    """Yield the texts in a JSON value, with the role of a key or field above them."""
    if isinstance(value, str):
        yield Listed(value, role)
    elif isinstance(value, list):
        for each in value:
            yield from _in_json(each, role)
    elif isinstance(value, dict):
        texts = {key: each for key, each in value.items() if isinstance(each, str)}
        found = _role_of_fields(texts) or role
        for key, each in value.items():
            below = role_of(each) if isinstance(each, str) else None
            yield Listed(key, below or found)
            yield from _in_json(each, role_of(key) or found)


def _role_of_fields(fields: dict[str, str]) -> str | None:
    """Return the split that a field such as `split` or `is_test` says."""
    for name, value in fields.items():
        if _SPLIT_COLUMN.fullmatch(name) and (role := role_of(value)):
            return role
        flag = _FLAG_COLUMN.fullmatch(name)
        of_flag = ROLE_OF_WORD.get(flag["word"].casefold()) if flag else None
        if of_flag and value.casefold() in _TRUE:
            return of_flag
        if of_flag and of_flag != TRAIN_ROLE and value.casefold() in _FALSE:
            return TRAIN_ROLE
    return None
