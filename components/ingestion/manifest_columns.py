"""Check the columns of a manifest, and say which ones may be meant."""

from __future__ import annotations

import difflib
import functools
import re
import shlex
from collections.abc import Iterable, Sequence

from graft.components.ingestion.config import DataConfig
from graft.components.ingestion.folder_names import role_of
from graft.components.ingestion.source import some_of
from graft.contract.counts import agree
from graft.contract.errors import DataError

_role_of = functools.lru_cache(1024)(role_of)
_BOX_COLUMNS = re.compile(r"x_?min|x1|bbox\w*|box(es)?|x_?center|roi\.x1|region_\w+")
_FLAG = re.compile(r"is[_ ]?(train|training|val|valid|validation|test)", re.IGNORECASE)

USUAL_COLUMNS = {
    "path_column": (
        "file files filename file_name filepath file_path image images image_name "
        "imagename image_path image_id img name id"
    ).split(),
    "label_column": (
        "labels class classes class_name classname class_id category target breed "
        "species diagnosis dx finding y type"
    ).split(),
}
"""Names that such columns often have, in small letters."""


def is_box_column(name: str) -> bool:
    """Tell whether a column's name says that it holds boxes of objects."""
    return bool(_BOX_COLUMNS.fullmatch(name.casefold()))


def one_hot_columns(names: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return the columns that are one class each, of which one holds a 1 in a row."""
    flags = [
        position
        for position in range(len(names))
        if rows and all(row[position : position + 1] in (["0"], ["1"]) for row in rows)
    ]
    ones = {sum(row[position] == "1" for position in flags) for row in rows}
    return [names[i] for i in flags] if len(flags) > 1 and ones == {1} else []


def require_columns(
    found: Sequence[str],
    where: str,
    config: DataConfig,
    hint: str = "",
    one_hot: Sequence[str] = (),
) -> None:
    """Refuse a manifest without the columns of the images' paths and labels.

    Args:
        found: The names of its columns.
        where: The manifest and the line, for a message.
        config: Names the columns.
        hint: A note on the columns, for a message.
        one_hot: Columns that are one class each.

    Raises:
        DataError: One is missing.
    """
    given = {"path_column": config.path_column, "label_column": config.label_column}
    missing = {key: name for key, name in given.items() if name not in found}
    if not missing:
        return
    hints = [
        f" Did you mean {match[0]!r}?"
        for name in missing.values()
        if (match := difflib.get_close_matches(name, found, n=1))
    ]
    usual = [
        f"--set {shlex.quote(f'data.{key}={name}')}"
        for key in missing
        for name in [each for each in found if each.casefold() in USUAL_COLUMNS[key]][
            :1
        ]
    ]
    if not hints and len(usual) == len(missing):
        hints = [f" Perhaps {' '.join(usual)}."]
    if one_hot:
        hints = [
            f" The columns {some_of(one_hot)} are one class each (one-hot): add a "
            "column with the name of the column that holds the 1."
        ]
    raise DataError(
        f"{where} lacks {agree(len(missing), 'the column', 'the columns')} "
        f"{some_of(missing.values())}. "
        f"Received: columns {[*found]!r}{hint}.{''.join(hints)} Add them, or name "
        "yours by `path_column` and `label_column`."
    )


def require_split_column(found: Sequence[str], where: str, config: DataConfig) -> None:
    """Refuse a manifest without the split column that the config names.

    A column of that name in other letters is refused, too: the images of its split
    `test` must not be trained on.
    """
    wanted = config.split_column
    if wanted in found:
        return
    alike = [name for name in found if name.strip().casefold() == wanted.casefold()]
    # A component gets all fields of the config, so that "set by the user" is not known.
    if not alike and wanted == DataConfig.model_fields["split_column"].default:
        return
    near = alike or difflib.get_close_matches(wanted, found, n=1)
    near = near or [name for name in found if name.strip().casefold() == "split"]
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise DataError(
        f"{where} lacks the column {wanted!r}, which `split_column` names. Received: "
        f"columns {[*found]!r}.{hint} Name the column, or leave `split_column` out."
    )


def require_distinct(names: Sequence[str], where: str, config: DataConfig) -> None:
    """Refuse two columns of the same name.

    For the columns that graft reads, case and white space at the ends don't count: it
    would be unclear which column is meant.
    """
    read = {
        name.casefold()
        for name in (config.path_column, config.label_column, config.split_column)
    }
    by_key: dict[str, list[str]] = {}
    for name in filter(None, names):
        folded = name.strip().casefold()
        by_key.setdefault(folded if folded in read else name, []).append(name)
    for same in by_key.values():
        if len(same) > 1:
            raise DataError(
                f"{where}: the columns {some_of(same)} have the same name. Received: "
                f"columns {[*names]!r}. Rename or delete one."
            )


class SplitLikeColumns:
    """Find further columns that seem to say the split, which nobody would read."""

    def __init__(self) -> None:
        self._roles: dict[str, set[str]] = {}
        self._others: set[str] = set()

    def add(self, columns: Iterable[tuple[str, str]]) -> None:
        """Take the further columns of a line."""
        for name, value in columns:
            if name not in self._others:
                role = _role_of(value)
                if role is None:
                    self._others.add(name)
                    self._roles.pop(name, None)
                else:
                    self._roles.setdefault(name, set()).add(role)

    def warnings(self, config: DataConfig) -> list[str]:
        """Return a warning for each of these columns."""
        found = [name for name, roles in self._roles.items() if len(roles) > 1]
        flags = [name for name in self._others if _FLAG.fullmatch(name)]
        return [
            *(
                f"The column {name!r} holds names of splits, and is not read as the "
                f"split: `split_column` is {config.split_column!r}. If it says the "
                f"split, set `data.split_column: {name}`."
                for name in found
            ),
            *(
                f"The column {name!r} may say the split, and is not read: write train, "
                f"val or test into a column {config.split_column!r}."
                for name in sorted(flags)
            ),
        ]
