"""Label tables beside images, as their first lines show them.

They give the options of a question about the layout. They also show where folders may
not be the classes.
"""

from __future__ import annotations

import os
import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import NamedTuple

from graft.components.ingestion.names.folder_counts import Folder
from graft.components.ingestion.names.folder_names import role_of_any_word
from graft.components.ingestion.sources.splitting import TRAIN_ROLE
from graft.components.ingestion.tables.column_names import (
    holds_splits,
    is_label_column,
    is_split_column,
    never_holds_the_class,
)
from graft.components.ingestion.tables.manifest_columns import is_box_column

TABLE_EXTENSIONS = (".csv", ".tsv", ".jsonl", ".ndjson")
"""Extensions of files that may be a `Table`."""

# Of Kaggle: `sample_submission.csv`, `sampleSubmission.csv`.
_SUBMISSION = re.compile(r"(sample|example)?[-_ ]?submissions?(?![a-z])", re.IGNORECASE)
_MOST_AGREEING = 0.9
_ONE_HOT = "0 or 1"  # stands for the columns of `LocatedTable.one_hot`
_FEWEST = 2


class Table(NamedTuple):
    """A CSV or JSON lines file that may hold labels.

    Attributes:
        name: Path relative to the data set's root.
        columns: Names of the columns.
        rows: Cells of the first rows.
        has_header: Whether `columns` stand in the file.
        is_whole: Whether `rows` are all rows of the file.
    """

    name: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    has_header: bool = True
    is_whole: bool = True

    def below(self, path: str) -> Table | None:
        """Return the table relative to a folder, or None if it is outside."""
        if not self.name.startswith(f"{path}/"):
            return None
        return self._replace(name=self.name[len(path) + 1 :])

    def without_header(self) -> Table:
        """Return the table if its first line is a row."""
        names = tuple(f"column {n}" for n in range(1, len(self.columns) + 1))
        rows = (self.columns, *self.rows)
        return self._replace(columns=names, rows=rows, has_header=False)

    def column(self, name: str) -> list[str]:
        """Return the values of a column."""
        position = self.columns.index(name)
        return [row[position].strip() for row in self.rows]


Places = Mapping[str, Sequence[str]]
"""Name of an image, with and without extension, to the folders that hold one."""


class LocatedTable:
    """A table whose rows were looked up among the images of a data set.

    Args:
        table: The table.
        places: The images of the data set.

    Attributes:
        table: The table.
        above: The folder that holds the table.
        image_column: The column that names the images; None if no column does.
        start: The folder that these names start from.
        folders: The path of each row's folder; None if it is missing or one of several.
    """

    def __init__(self, table: Table, places: Places) -> None:
        self.table = table
        self.above = table.name.rpartition("/")[0]
        self.image_column: str | None = None
        best = (0, 0)
        for column in filter(None, table.columns):
            cells = table.column(column)
            found = [cell for cell in cells if self._fitting(cell, places)]
            whole = sum("." in _parts_of(cell)[1] for cell in found)
            if (whole, len(found)) > best:
                self.image_column, best = column, (whole, len(found))
        self._fits = [
            self._fitting(cell, places)
            for cell in (table.column(self.image_column) if self.image_column else ())
        ]
        self.start = self._most_common_start()
        self.folders = [
            fitting[0][1] if len(fitting) == 1 else None for fitting in self._fits
        ]

    def _fitting(self, cell: str, places: Places) -> list[tuple[str, str]]:
        """Return where a path in the table may start, and the image's folder there."""
        above, name = _parts_of(cell)
        ends = f"/{above}" if above else ""
        inside = f"/{self.above}/" if self.above else "/"
        fitting = []
        for path in places.get(name, ()):
            start = f"/{path}"[: -len(ends)] if ends else f"/{path}"
            if f"/{path}".endswith(ends) and f"{start}/".startswith(inside):
                fitting.append((start[1:], path))
        return fitting

    def _most_common_start(self) -> str:
        number = Counter(start for fitting in self._fits for start, _ in fitting)
        stem, role = self.stem, self.role

        def rank(start: str) -> tuple[int, bool, bool, bool]:
            # Of train_images/ and test_images/ with the same names, train.csv means
            # the first. Labels of an unknown split are those of train, too.
            name = start.rpartition("/")[2]
            found = role_of_any_word(name)
            return (
                number[start],
                name == stem,
                role is not None and found == role,
                role is None and found == TRAIN_ROLE,
            )

        return max(number, key=rank, default="")

    @property
    def stem(self) -> str:
        """The table's name, without folder and extension."""
        return os.path.splitext(self.table.name.rpartition("/")[2])[0]

    @property
    def role(self) -> str | None:
        """The split that the table's name says, or None."""
        return role_of_any_word(self.stem)

    @property
    def reads_all(self) -> bool:
        """Whether all images that the rows name lie where `start` leads to."""
        return all(
            any(start == self.start for start, _ in fitting)
            for fitting in self._fits
            if fitting
        )

    def num_images(self, start: str) -> int:
        """Return the number of images below a folder that the rows name."""
        names = self.table.column(self.image_column) if self.image_column else []
        return len(
            {
                (path, _parts_of(name)[1])
                for name, fitting in zip(names, self._fits, strict=True)
                for found, path in fitting
                if found == start
            }
        )

    @property
    def starts(self) -> list[str]:
        """The folders that each hold all images that the rows name.

        There are several where the same names lie in several folders.
        """
        number = Counter(start for fitting in self._fits for start, _ in set(fitting))
        total = sum(map(bool, self._fits))
        return sorted(start for start, times in number.items() if times == total)

    @property
    def others(self) -> list[str]:
        """The columns other than that of the images."""
        return [name for name in self.table.columns if name != self.image_column]

    @cached_property
    def split_columns(self) -> list[str]:
        """The columns that say the split, by their names or their values."""
        return [
            name
            for name in self.others
            if is_split_column(name) or holds_splits(self.table.column(name))
        ]

    @cached_property
    def one_hot(self) -> list[str]:
        """The columns that hold one 1 in each row, and otherwise 0: one per class."""
        flags = [
            name
            for name in self.others
            if name and set(self.table.column(name)) <= {"0", "1", "0.0", "1.0"}
        ]
        columns = [self.table.column(name) for name in flags]
        ones = [sum(cell.startswith("1") for cell in row) for row in zip(*columns)]  # noqa: B905
        used = sum(any(cell.startswith("1") for cell in column) for column in columns)
        is_one_hot = used >= _FEWEST and set(ones) == {1}
        return flags if is_one_hot else []

    @property
    def has_boxes_of_objects(self) -> bool:
        """Whether the rows are boxes, of which an image has several."""
        boxes = any(map(is_box_column, self.others))
        names = self.table.column(self.image_column) if self.image_column else []
        return boxes and len(set(names)) < len(names)

    def label_column(self) -> str | None:
        """Return the column that plainly holds the labels, or None."""
        others = [n for n in self.others if n and n not in self.split_columns]
        if len(others) == 1:
            return others[0]
        known = [name for name in others if is_label_column(name)]
        # Of skin lesions, the column `diagnosis` may say "unknown" only.
        several = [n for n in known if len(set(self.table.column(n))) > 1]
        return next(iter(several or known), None)

    def other_labels(self) -> list[str]:
        """Return the columns that group the images otherwise than their folders.

        Returns:
            One column, or those that are one class each. It is empty if no column holds
            labels, or if one agrees with the folders: each of its values is the name of
            a folder, or stands for one.
        """
        if self.image_column is None:
            return []
        known = [path for path in self.folders if path is not None]
        if len(known) < max(_FEWEST, len(self.table.rows) / 2):
            return []
        candidates = []
        for name, values in self._columns_of_labels().items():
            pairs = [
                (value, path)
                for value, path in zip(values, self.folders, strict=True)
                if path is not None and value
            ]
            if _agree(pairs):
                return []
            if self._may_be_label(name, [value for value, _ in pairs]):
                candidates.append(name)
        return self._chosen(candidates)

    def ambiguous_labels(self) -> list[str]:
        """Return the columns that label images by names that several folders hold.

        Returns:
            One column, or those that are one class each. It is empty if most rows name
            one image, or if one column holds the names of the folders.
        """
        several = [len(fitting) > 1 for fitting in self._fits]
        if sum(several) < max(_FEWEST, len(self.table.rows) / 2):
            return []
        candidates = []
        for name, values in self._columns_of_labels().items():
            known = [
                (value, [path for _, path in fitting])
                for value, fitting in zip(values, self._fits, strict=True)
                if len(fitting) > 1 and value
            ]
            named = sum(
                any(names_part_of(value, path) for path in paths)
                for value, paths in known
            )
            if known and named >= _MOST_AGREEING * len(known):
                return []
            if self._may_be_label(name, [value for value, _ in known]):
                candidates.append(name)
        return self._chosen(candidates)

    def _columns_of_labels(self) -> dict[str, list[str]]:
        """Return the values of each column that may hold labels."""
        columns = {name: self.table.column(name) for name in self.others if name}
        if self.one_hot:
            rows = zip(*(columns[name] for name in self.one_hot), strict=True)
            columns[_ONE_HOT] = [
                self.one_hot[[cell[:1] for cell in row].index("1")] for row in rows
            ]
        return columns

    def _chosen(self, candidates: list[str]) -> list[str]:
        plain = self.label_column()
        chosen = plain if plain in candidates else next(iter(candidates), None)
        if chosen == _ONE_HOT:
            return self.one_hot
        return [] if chosen is None else [chosen]

    def _may_be_label(self, name: str, values: list[str]) -> bool:
        distinct = len(set(values))
        if distinct < _FEWEST or distinct == len(values) or name in self.one_hot:
            return False
        if name in self.split_columns:
            return False
        if is_label_column(name) or name == _ONE_HOT:
            return True
        if never_holds_the_class(name) or distinct * 2 > len(values):
            return False
        are_numbers = all(re.fullmatch(r"[-+]?[\d.]+", value) for value in values)
        return not are_numbers or name == self.label_column()


def label_tables(root: Folder, tables: Sequence[Table]) -> list[LocatedTable]:
    """Return the tables that name images of a data set, and may label them."""
    tables = [table for table in tables if not _is_submission(table.name)]
    if not tables:
        return []
    # An index of all images could be large, and few of them are asked for.
    wanted = {
        _parts_of(cell)[1]
        for table in tables
        for row in (table.columns, *table.rows)
        for cell in row
        if cell
    }
    places: dict[str, list[str]] = defaultdict(list)
    for folder in root.walk():
        found = wanted.intersection(folder.images)
        stems = (os.path.splitext(name)[0] for name in folder.images)
        for name in found.union(wanted.intersection(stems)):
            places[name].append(folder.path)
    located = []
    for table in tables:
        first_line = LocatedTable(
            table.without_header()._replace(rows=(table.columns,)), places
        )
        is_row = first_line.image_column is not None
        located.append(
            LocatedTable(table.without_header() if is_row else table, places)
        )
    return [table for table in located if table.image_column is not None]


def _is_submission(path: str) -> bool:
    """Tell whether a table is an example of answers, whose labels are made up."""
    return bool(_SUBMISSION.match(path.rpartition("/")[2]))


def _parts_of(cell: str) -> tuple[str, str]:
    """Return the folder and the name in an image's path."""
    above, _, name = cell.strip().replace("\\", "/").removeprefix("./").rpartition("/")
    return above, name


def _agree(pairs: Sequence[tuple[str, str]]) -> bool:
    """Tell whether labels and folders group the images in the same way.

    Args:
        pairs: The label of an image, and the path of its folder.
    """
    if not pairs:
        return False
    named = sum(names_part_of(value, path) for value, path in pairs)
    if named >= _MOST_AGREEING * len(pairs):
        return True
    return are_one_to_one(pairs)


def are_one_to_one(pairs: Sequence[tuple[str, str]]) -> bool:
    """Tell whether each label stands for one folder of a level, and each has its own.

    Args:
        pairs: The label of an image, and the path of its folder.
    """
    depth = min((path.count("/") + 1 for _, path in pairs), default=0)
    for level in range(depth):
        grouped = Counter((value, path.split("/")[level]) for value, path in pairs)
        values, folders = (len({pair[i] for pair in grouped}) for i in (0, 1))
        if values == folders == len(grouped) and values >= _FEWEST:
            return True
    return False


def names_part_of(value: str, path: str) -> bool:
    """Tell whether a label is the name of a folder in a path."""
    return plain(value) in [plain(part) for part in path.split("/")]


def plain(text: str) -> str:
    """Return a label or name without case, separators and leading zeros."""
    letters = re.sub(r"[\W_]+", "", text).casefold()
    return letters.lstrip("0") or letters[:1]
