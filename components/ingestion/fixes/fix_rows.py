"""Read label fixes: decisions of a person on single images, in CSV files.

`graft report --labels` writes such a file, with a blank decision for each image. A
person fills in the columns `action` and `new_label`, mostly in a spreadsheet.
"""

from __future__ import annotations

import csv
import difflib
import io
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Literal, NamedTuple

from graft.components.ingestion.sources.labels import shown
from graft.components.ingestion.tables.manifest_rows import DELIMITER_LINE, DELIMITERS
from graft.contract.counts import counted
from graft.contract.errors import DataError
from graft.storage import files, hashing, listing
from graft.storage.listing import FileEntry
from graft.storage.paths import expand_home, is_remote, join, parent_of

NUMBER, PATH, LABEL, SUGGESTION = "number", "path", "label", "suggestion"
CONFIDENCE, WHY, ACTION, NEW_LABEL = "confidence", "why", "action", "new_label"
BY, CONTENT_HASH = "by", "content_hash"
COLUMNS = (
    *(NUMBER, PATH, LABEL, SUGGESTION, CONFIDENCE, WHY),
    *(ACTION, NEW_LABEL, BY, CONTENT_HASH),
)
"""The columns of a file of label fixes, in their order."""

ACTIONS = ("keep", "accept", "relabel", "drop", "add", "new class")
"""The words for the column `action`; blank: `relabel`, if there is a new label."""

Kind = Literal["keep", "relabel", "drop", "add"]

_HASH = re.compile(r"[0-9a-f]{64}")
# A spreadsheet takes such a cell for a formula, which a stranger's file name may hold.
_FORMULA = re.compile(r"'*[=+\-@\t\r]")
_UTF_16_MARKS = (b"\xff\xfe", b"\xfe\xff")
_ZIP_MARK = b"PK\x03\x04"


class Fix(NamedTuple):
    """The decision on one image.

    Attributes:
        kind: `keep` confirms the label; the others change the data.
        where: File and line, for messages.
        content_hash: SHA-256 of the image; None if the row has none.
        path: The image's path, as written; None if the row has none.
        label: The label that the person saw; None if the row has none.
        new_label: The class to give; None to keep or drop the image.
        is_new_class: Whether the row says that the data lack this class so far.
        by: Name of the person; "" if unknown.
        file: The file of the row. The path of an added image starts from its folder.
    """

    kind: Kind
    where: str
    content_hash: str | None
    path: str | None
    label: str | None
    new_label: str | None
    is_new_class: bool
    by: str
    file: str

    def describe(self) -> str:
        """Return the image as the row names it."""
        return repr(self.path or self.content_hash)

    def file_of_added(self) -> FileEntry:
        """Return the file of an image to add.

        Raises:
            DataError: There is no such file.
        """
        folder = (parent_of if is_remote(self.file) else _folder)(self.file)
        written = self.path or ""
        for name in (written, written.replace("\\", "/")):
            path = expand_home(name)
            if not is_remote(path) and not os.path.isabs(path):
                path = join(folder, path)
            if files.is_file(path):
                return listing.entry_of(path, name)
        raise DataError(
            f"{self.where}: `path` must name the image to add, from the folder of this "
            f"file. Received: {written!r}, which is not a file."
        )


class FixFile(NamedTuple):
    """A file of label fixes.

    Attributes:
        path: The file.
        sha256: Hash of its bytes.
        num_rows: Number of rows.
        num_undecided: Number of rows without a decision.
        fixes: The decisions.
    """

    path: str
    sha256: str
    num_rows: int
    num_undecided: int
    fixes: list[Fix]


def read_fix_files(paths: Iterable[str]) -> list[FixFile]:
    """Read files of label fixes.

    Raises:
        DataError: A file can't be read, or a row is not clear. The message names the
            line.
    """
    return [_read_file(path) for path in paths]


def protected(cell: str) -> str:
    """Return a cell in a form that no spreadsheet takes for a formula."""
    return f"'{cell}" if _FORMULA.match(cell) else cell


def _unprotected(cell: str) -> str:
    return cell[1:] if cell[:1] == "'" and _FORMULA.match(cell) else cell


def _read_file(path: str) -> FixFile:
    location = expand_home(path)
    try:
        raw = files.read_bytes(location)
    except OSError as error:
        raise DataError(
            f"`label_fixes` must name files that can be read. Received: {path!r}: "
            f"{error.strerror or error}. Correct the path, or give this user the right "
            "to read the file."
        ) from error
    fixes, num_rows = [], 0
    for line, values in _rows(_text_of(raw, path), path):
        num_rows += 1
        fix = _fix_of(values, f"{path!r}, line {line}", location)
        if fix is not None:
            fixes.append(fix)
    sha256 = hashing.hash_bytes(raw)
    return FixFile(path, sha256, num_rows, num_rows - len(fixes), fixes)


def _folder(path: str) -> str:
    return os.path.dirname(os.path.abspath(path))


def _text_of(raw: bytes, path: str) -> str:
    """Decode a file: UTF-8, or UTF-16 that begins with a byte order mark."""
    if raw.startswith(_ZIP_MARK):
        raise DataError(
            f"{path!r} is a spreadsheet or an archive, not CSV. Save it as CSV (UTF-8)."
        )
    is_utf_16 = raw.startswith(_UTF_16_MARKS)
    if b"\0" in raw and not is_utf_16:
        raise DataError(
            f"{path!r} contains a NUL byte. The file is UTF-16 without a byte order "
            "mark, or not a text file. Save it as CSV (UTF-8)."
        )
    try:
        return raw.decode("utf-16" if is_utf_16 else "utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise DataError(
            f"{path!r}, line {line}: not UTF-8 text. Save the file as UTF-8 (in a "
            "spreadsheet, choose 'CSV UTF-8')."
        ) from error


def _rows(text: str, path: str) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield line number and cells, by column, of each row that is not blank."""
    lines = io.StringIO(text, newline="")
    delimiters: Sequence[str] = DELIMITERS
    header, skipped = "", 0
    for line in lines:
        skipped += 1
        if told := DELIMITER_LINE.fullmatch(line.strip()):
            delimiters = (told[1],)
        elif line.strip():
            header = line
            break
    if not header:
        raise DataError(
            f"{path!r} is empty. Write a header, such as 'path,new_label', and a line "
            "for each image; or write the file with `graft report --labels`."
        )
    ended = skipped - 1
    try:
        names, delimiter = _header(header, delimiters, repr(path))
        ended = skipped
        rows = csv.reader(lines, delimiter=delimiter, strict=True)
        for cells in rows:
            number, ended = ended + 1, skipped + rows.line_num
            if not any(cell.strip() for cell in cells):
                continue
            if len(cells) != len(names):
                raise DataError(
                    f"{path!r}, line {number}: {counted(len(cells), 'cell')}, the "
                    f"header has {len(names)}. Received: "
                    f"{shown(delimiter.join(cells))}. Complete the line."
                )
            values = zip(names, cells, strict=True)
            yield number, {name: _unprotected(cell) for name, cell in values if name}
    except csv.Error as error:
        raise DataError(
            f"{path!r}, line {ended + 1}: not valid CSV: {error}. Close every double "
            "quote. Write a double quote within a quoted value twice."
        ) from error


def _header(line: str, delimiters: Sequence[str], where: str) -> tuple[list[str], str]:
    """Return the known columns ("" for others), and the delimiter."""
    found: dict[str, list[str]] = {}
    for delimiter in delimiters:
        cells = next(csv.reader([line], delimiter=delimiter), [])
        found[delimiter] = [cell.strip() for cell in cells]
    delimiter = max(found, key=lambda each: len(found[each]))
    written = found[delimiter]
    names = [re.sub(r"[\s-]+", "_", name.casefold()) for name in written]
    known = [name if name in COLUMNS else "" for name in names]
    for name in filter(None, set(known)):
        if known.count(name) > 1:
            raise DataError(
                f"{where} has the column `{name}` twice. Received: columns {written!r}."
                " Delete one."
            )
    for needed in ((PATH, CONTENT_HASH), (ACTION, NEW_LABEL)):
        if not set(needed) & set(known):
            one, other = needed
            close = [
                f" Did you mean `{name}` by {text!r}?"
                for text, plain in zip(written, names, strict=True)
                for name in difflib.get_close_matches(plain, needed, n=1)
            ]
            raise DataError(
                f"{where} must have the column `{one}` or `{other}`. Received: columns "
                f"{written!r}.{''.join(close[:1])} A file of label fixes says what to "
                "do with single images; `graft report --labels` writes one."
            )
    return known, delimiter


def _fix_of(values: Mapping[str, str], where: str, file: str) -> Fix | None:
    """Return the decision of a row; None without one."""
    cells = {name: cell.strip() for name, cell in values.items()}
    label, new_label = cells.get(LABEL) or None, cells.get(NEW_LABEL) or None
    action = _action_of(cells.get(ACTION, ""), where)
    if not action and new_label is None:
        return None
    content_hash = cells.get(CONTENT_HASH, "").lower() or None
    # A path may begin or end with a blank.
    path = values.get(PATH) if cells.get(PATH) else None
    if content_hash is not None and not _HASH.fullmatch(content_hash):
        raise DataError(
            f"{where}: `{CONTENT_HASH}` must be the 64 hexadecimal digits of an "
            f"image's SHA-256. Received: {shown(cells[CONTENT_HASH])}. Copy it whole "
            f"from the file of `graft report --labels`, or name the image by `{PATH}`."
        )
    if path is None and (content_hash is None or action == "add"):
        need = f"`{PATH}`" if action == "add" else f"`{PATH}` or `{CONTENT_HASH}`"
        raise DataError(
            f"{where}: the row names no image. Write its name into {need}, or delete "
            "the row."
        )
    kind, target = _decide(action, label, new_label, cells.get(SUGGESTION), where)
    return Fix(
        kind,
        where,
        content_hash,
        path,
        None if kind == "add" else label,
        target,
        action == "new class",
        cells.get(BY, ""),
        file,
    )


def _action_of(cell: str, where: str) -> str:
    word = re.sub(r"[\s_-]+", " ", cell.casefold()).strip()
    if word and word not in ACTIONS:
        close = difflib.get_close_matches(word, ACTIONS, n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        raise DataError(
            f"{where}: `{ACTION}` must be {_some_words(ACTIONS)}, or blank. "
            f"Received: {shown(cell)}.{hint}"
        )
    return word


def _some_words(words: Sequence[str]) -> str:
    return f"{', '.join(map(repr, words[:-1]))} or {words[-1]!r}"


def _decide(
    action: str,
    label: str | None,
    new_label: str | None,
    suggestion: str | None,
    where: str,
) -> tuple[Kind, str | None]:
    """Return what to do, and the class to give."""
    if action in ("keep", "drop"):
        if new_label is not None and (action == "drop" or new_label != label):
            raise DataError(
                f"{where}: `{ACTION}` {action!r} contradicts a new label. "
                f"Received: `{NEW_LABEL}` {shown(new_label)}. Clear one of the cells."
            )
        return ("keep" if action == "keep" else "drop"), None
    if action == "accept":
        if not suggestion or new_label not in (None, suggestion):
            raise DataError(
                f"{where}: `{ACTION}` 'accept' takes the suggestion, which is "
                f"{shown(suggestion or '')}, and `{NEW_LABEL}` is "
                f"{shown(new_label or '')}. Write 'relabel' and the label that you "
                "mean."
            )
        return "relabel", suggestion
    if action == "add":
        new_label = new_label or label
    if new_label is None:
        raise DataError(
            f"{where}: `{ACTION}` {action!r} needs the class of the image in "
            f"`{NEW_LABEL}`, which is blank. Write it there, or delete the row."
        )
    return ("add" if action == "add" else "relabel"), new_label
