"""Read the lines of a manifest (CSV or JSON lines) strictly.

A line that does not fit the header is refused. Cutting or filling it could change a
label.
"""

from __future__ import annotations

import csv
import io
import itertools
import json
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import IO, Any, NamedTuple

from graft.components.ingestion.sources.config import DataConfig
from graft.components.ingestion.sources.labels import shown
from graft.components.ingestion.tables.manifest_columns import (
    flag_columns,
    require_columns,
    require_distinct,
)
from graft.contract.counts import counted
from graft.contract.errors import DataError
from graft.storage import files

DELIMITERS = (",", ";", "\t", "|")
"""What may stand between the cells of a CSV file."""

DELIMITER_LINE = re.compile(r"\"?sep=([,;\t|])\"?", re.IGNORECASE)
"""The first line of a file that tells a spreadsheet its delimiter."""

_IMAGE_EXTENSIONS = frozenset(".jpg .jpeg .png .gif .bmp .webp .tif .tiff".split())
_SAMPLED_LINES = 20
_ARRAY = " To write a JSON array so, use `jq -c '.[]'`."
_UTF_16_MARKS = ("\udcff\udcfe", "\udcfe\udcff")


class Row(NamedTuple):
    """One line of a manifest.

    Attributes:
        line: Line number, from 1.
        values: Column to value. In a CSV file, all values are texts.
        nameless: Positions, from 1, of filled cells whose column has no name.
    """

    line: int
    values: dict[str, object]
    nameless: tuple[int, ...] = ()


def read_rows(path: str, layout: str, config: DataConfig) -> Iterator[Row]:
    """Yield the lines of a manifest that name an image.

    Args:
        path: The manifest, UTF-8 with or without a byte order mark.
        layout: "csv" or "jsonl".
        config: Names the columns.

    Raises:
        DataError: A line can't be read. The message names it.
    """
    try:
        with files.open_for_reading(path) as file:
            lines = _Lines(file, path)
            if layout == "csv":
                yield from _csv_rows(lines, path, config)
            else:
                yield from _json_rows(lines, path, config)
    except OSError as error:
        raise DataError(
            f"The manifest {path!r} can't be read: {error.strerror or error}. Give "
            "this user the right to read it, or copy it."
        ) from error


# How files begin that are called `.csv` and are something else.
_OTHER_FILES = {
    "PK\x03\x04": "an Excel or OpenDocument spreadsheet, or an archive",
    "\udcd0\udccf\x11": "an old Excel spreadsheet",
    "PAR1": "a Parquet file",
    "\x1f\udc8b": "a gzip archive",
    "\udc80\x04\udc95": "a pickle",
}


class _Lines:
    """The lines of a text file with their line ends: LF, CR LF or CR.

    Attributes:
        number: Number of lines read so far.
    """

    def __init__(self, file: IO[bytes], path: str) -> None:
        self.number = 0
        self._path = path
        self._lines = io.TextIOWrapper(
            file, encoding="utf-8-sig", errors="surrogateescape", newline=""
        )

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        line = next(self._lines)
        self.number += 1
        if "\0" in line or not line.isascii():
            self._require_text(line)
        return line

    def _require_text(self, line: str) -> None:
        where = f"{self._path!r}, line {self.number}"
        if line.startswith(_UTF_16_MARKS):
            raise DataError(
                f"{where}: the file is UTF-16. Save it as UTF-8 (in a spreadsheet, "
                "choose 'CSV UTF-8')."
            )
        for mark, what in _OTHER_FILES.items():
            if self.number == 1 and line.startswith(mark):
                raise DataError(
                    f"{self._path!r} is no text, but {what}. Save the table as CSV "
                    "(UTF-8)."
                )
        if "\0" in line:
            raise DataError(
                f"{where} contains a NUL byte. The file is UTF-16, or not a text file. "
                "Save it as UTF-8 (in a spreadsheet, choose 'CSV UTF-8')."
            )
        try:
            line.encode("utf-8")
        except UnicodeEncodeError as error:
            before = line[max(0, error.start - 20) : error.start]
            byte = line[error.start].encode("utf-8", "surrogateescape")
            raise DataError(
                f"{where}: not UTF-8 text: the byte 0x{byte.hex()} after {before!r}. "
                "Save the file as UTF-8 (in a spreadsheet, choose 'CSV UTF-8')."
            ) from error


def _csv_rows(lines: _Lines, path: str, config: DataConfig) -> Iterator[Row]:
    names, delimiter = _csv_header(lines, path, config)
    for number, cells in _csv_records(lines, delimiter, path):
        if not any(cell.strip() for cell in cells):
            continue
        if len(cells) != len(names):
            mend = _mend_of_cells(cells, len(names), delimiter)
            raise DataError(
                f"{path!r}, line {number}: {counted(len(cells), 'cell')}, the "
                f"header has {len(names)}. {mend}. "
                f"Received: {shown(delimiter.join(cells))}."
            )
        if [cell.strip() for cell in cells] == names:
            raise DataError(
                f"{path!r}, line {number} repeats the header. Delete the line."
            )
        yield Row(
            number,
            {name: cell for name, cell in zip(names, cells, strict=True) if name},
            tuple(
                position
                for position, cell in enumerate(cells, start=1)
                if not names[position - 1] and cell.strip()
            ),
        )


def _mend_of_cells(cells: Sequence[str], expected: int, delimiter: str) -> str:
    if len(cells) < expected:
        return "Complete the line: a cell may be blank, but not missing"
    if not any(cell.strip() for cell in cells[expected:]):
        return f"Remove the delimiter {delimiter!r} at the end of the lines"
    return (
        f"If a value holds the delimiter {delimiter!r}, put the value in double quotes"
    )


def _csv_header(lines: _Lines, path: str, config: DataConfig) -> tuple[list[str], str]:
    """Read the names of the columns, and detect the delimiter."""
    line = next((line for line in lines if line.strip()), "")
    allowed: tuple[str, ...] = DELIMITERS
    if told := DELIMITER_LINE.fullmatch(line.strip()):
        allowed = (told[1],)
        line = next((line for line in lines if line.strip()), "")
    if not line:
        raise DataError(
            f"The manifest {path!r} is empty. Write a header, such as "
            f"'{config.path_column},{config.label_column}', and a line for each image."
        )
    where = f"{path!r}, line {lines.number}"
    known = (config.path_column, config.label_column)
    found: dict[str, list[str]] = {}
    for delimiter in allowed:
        try:
            cells = next(_reader_of([line], line, delimiter), [])
        except csv.Error:  # for instance "path","label" with another delimiter
            continue
        found[delimiter] = [cell.strip() for cell in cells]
    for delimiter, names in found.items():
        if set(known) <= set(names):
            require_distinct(names, where, config)
            return names, delimiter
    delimiter = max(found, key=lambda each: len(found[each]), default=allowed[0])
    names = found.get(delimiter, [])
    if len(found) < len(allowed) and len(names) <= 1:
        raise DataError(
            f"{where}: the header is not valid CSV: a double quote is not closed. "
            f"Received: {shown(line.strip())}. Close it."
        )
    if any(os.path.splitext(name)[1].lower() in _IMAGE_EXTENSIONS for name in names):
        raise DataError(
            f"{where}: the header is missing: the first line names an image. "
            f"Received: {shown(line.strip())}. Insert a header above it, such as "
            f"{delimiter.join(known)!r}."
        )
    hint = f" (delimiter {delimiter!r})" if delimiter != "," else ""
    rows = csv.reader(itertools.islice(lines, _SAMPLED_LINES), delimiter=delimiter)
    require_columns(names, where, config, hint, flag_columns(names, list(rows)))
    raise AssertionError("one of the columns is missing")


def _csv_records(
    lines: _Lines, delimiter: str, path: str
) -> Iterator[tuple[int, list[str]]]:
    """Yield line number and cells of each line."""
    for line in lines:
        start = lines.number
        try:
            cells = next(_reader_of(itertools.chain([line], lines), line, delimiter))
        except csv.Error as error:
            raise DataError(
                f"{path!r}, line {start}: not valid CSV: {error} (in line "
                f"{lines.number}). Close every double quote in its line. Write a "
                "double quote within a quoted value twice."
            ) from error
        if lines.number > start:
            raise DataError(
                f"{path!r}, line {start}: a double quote opens here and closes in line "
                f"{lines.number}. Close the quote in the same line, or remove the line "
                "breaks from the value."
            )
        yield start, cells


def _reader_of(lines: Iterable[str], line: str, delimiter: str) -> Iterator[list[str]]:
    """Return a reader of a line, whose values may be quoted behind a blank.

    In a line such as `1.jpg, "cat"`, the csv module would take the quotes for a part of
    the value. In other lines, a blank is a part of the value.
    """
    quoted = ' "' in line and re.search(rf'(?:^|{re.escape(delimiter)}) +"', line)
    return csv.reader(
        lines, delimiter=delimiter, strict=True, skipinitialspace=bool(quoted)
    )


def _json_rows(lines: _Lines, path: str, config: DataConfig) -> Iterator[Row]:
    checked: set[tuple[str, ...]] = set()
    for line in lines:
        if not line.strip():
            continue
        where = f"{path!r}, line {lines.number}"
        try:
            row = json.loads(line, object_pairs_hook=_object_of)
        except _TwiceError as error:
            raise DataError(
                f"{where}: the object has the key {str(error)!r} twice. Delete one."
            ) from error
        except (ValueError, RecursionError) as error:
            raise DataError(
                f"{where}: not valid JSON: {error}. Each line must be one object such "
                'as {"path": "a.jpg", "label": "cat"}, without a comma behind it.'
                + (_ARRAY if line.lstrip().startswith("[") else "")
            ) from error
        if not isinstance(row, dict):
            raise DataError(
                f"{where}: each line must be a JSON object such as "
                '{"path": "a.jpg", "label": "cat"}. '
                f"Received: {shown(line.strip())}."
                + (_ARRAY if isinstance(row, list) else "")
            )
        keys = tuple(row)
        if keys not in checked:
            require_columns(keys, where, config)
            require_distinct(keys, where, config)
            checked.add(keys)
        yield Row(lines.number, row)


class _TwiceError(ValueError):
    """A JSON object has a key twice."""


def _object_of(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        ((key, _),) = Counter(key for key, _ in pairs).most_common(1)
        raise _TwiceError(key)
    return values
