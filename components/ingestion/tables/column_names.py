"""What the names of a table's columns say about their content."""

from __future__ import annotations

import re
from collections.abc import Collection

from graft.components.ingestion.names.folder_names import role_of
from graft.components.ingestion.tables.manifest_columns import USUAL_COLUMNS

_LABEL_COLUMNS = frozenset(
    name.replace("_", "") for name in ("label", *USUAL_COLUMNS["label_column"])
)
_SPLIT_COLUMNS = re.compile(
    r"split|set|subset|(k|cv)?[-_ ]?folds?|partition|usage"
    r"|(is|in|for|use[-_ ]?(for|in))[-_ ]?"
    r"(train|training|val|valid|validation|test|testing)([-_ ]?set)?"
    r"|(is|in)?[-_ ]?(hold|held)[-_ ]?out([-_ ]?set)?"
)
_OTHER_COLUMNS = re.compile(
    r"(img_?|image_?)?(width|height|size)|w|h"
    r"|roi\W?\w+|bytes|format|[xy]_?(min|max|[12]|center)|bbox\w*|box\w*|left|top|right|bottom"
    r"|.*\bid|.*_id|index|date|time|age|sex|gender"
)


def is_label_column(name: str) -> bool:
    """Tell whether a column of this name mostly holds labels."""
    return re.sub(r"[\W_]+", "", name).casefold() in _LABEL_COLUMNS


def holds_splits(values: Collection[str]) -> bool:
    """Tell whether the values of a column are the names of several splits."""
    roles = {role_of(value) for value in set(values)}
    return len(roles) > 1 and None not in roles


def never_holds_the_class(column: str) -> bool:
    """Tell whether a column's name says that it holds a split, size, date or number."""
    return is_split_column(column) or bool(_OTHER_COLUMNS.fullmatch(column.casefold()))


def is_split_column(column: str) -> bool:
    """Tell whether a column's name says that it holds the split."""
    return bool(_SPLIT_COLUMNS.fullmatch(column.casefold()))
