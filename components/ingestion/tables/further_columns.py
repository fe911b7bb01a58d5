"""Warn of further columns of a manifest that matter, and that nobody would read.

They may say the split, other labels of the images, or which images show one thing.
"""

from __future__ import annotations

import functools
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator

from graft.components.ingestion.names.folder_names import role_of
from graft.components.ingestion.names.split_words import ROLE_OF_ABBREVIATION
from graft.components.ingestion.sources.config import DataConfig
from graft.components.ingestion.sources.labels import shown
from graft.components.ingestion.sources.splitting import (
    ROLE_OF_NAME,
    TEST_ROLE,
    TRAIN_ROLE,
)
from graft.components.ingestion.tables.manifest_columns import FLAGS
from graft.contract.counts import counted

# Words of a column's values; folders of these names are classes.
_ROLE_OF_VALUE = {
    **ROLE_OF_ABBREVIATION,
    "fit": TRAIN_ROLE,
    "fitting": TRAIN_ROLE,
    "assess": TEST_ROLE,
    "assessment": TEST_ROLE,
}
_USE = re.compile(
    r"(data[-_ ]?)?(mode|role|purpose|phase|stage|usage|use|dataset|data[-_ ]set|part"
    r"|portion|sample)",
    re.IGNORECASE,
)
_MOST_USES = 5
_FOLD = re.compile(
    r"(k|cv)?[_ ]?folds?|fold[_ ]?(id|no|number)|partition|subset|kfold", re.IGNORECASE
)
_FLAG = re.compile(
    r"(is|in|for|use[_ ]?(for|in))[_ ]?"
    r"(train|training|val|valid|validation|test|testing)([_ ]?set)?"
    r"|(is|in)?[_ ]?(hold|held)[_ ]?out([_ ]?set)?",
    re.IGNORECASE,
)
_GROUP = re.compile(
    # Whose or what, also in German and Japanese.
    r"(patient(en)?|subject|sub|person|participant|proband|case|animal|specimen"
    r"|individual|identity|owner|household|user|driver|writer|author|speaker|患者|被験者"
    # Of what: an organ, a plant, a part.
    r"|lesion|eye|tree|plant|plot|wafer|board|part|workpiece|lot|batch|serial"
    r"|vehicle|track|sn|fallnummer"
    # When and where several images are taken.
    r"|study|study[-_ ]?instance|series|series[-_ ]?instance|exam|accession|scan|wsi"
    r"|mrn|slide|video|clip|scene|seq|sequence|burst|session|site|visit"
    # Of which images are made.
    r"|group|source[-_ ]?image|parent[-_ ]?image|original[-_ ]?image)s?"
    r"[-_ ]?(id|ids|no|nr|num|nummer|number|name|code|uid|key)?",
    re.IGNORECASE,
)
_MOST_VALUES = 10_000
_FEWEST = 2


@functools.lru_cache(1024)
def _role_of(value: str) -> str | None:
    return role_of(value) or _ROLE_OF_VALUE.get(value.casefold())


class FurtherColumns:
    """Find further columns that seem to say more than a feature of the images."""

    def __init__(self) -> None:
        self._roles: dict[str, set[str]] = {}
        self._others: set[str] = set()
        self._flags: dict[str, bool] = {}
        self._labels: set[str] = set()
        self._values: dict[str, set[str]] = defaultdict(set)
        self._differing: dict[str, tuple[int, str]] = {}
        self._splits_of: dict[str, dict[str, set[str | None]]] = defaultdict(dict)
        self._num_lines = 0

    def add(
        self, columns: Iterable[tuple[str, str]], label: str, role: str | None
    ) -> None:
        """Take a line.

        Args:
            columns: Name and value of its further columns.
            label: Its label.
            role: Its given split, or None.
        """
        self._num_lines += 1
        self._labels.add(label)
        for name, value in columns:
            self._add_to_splits(name, value)
            values = self._values[name]
            if len(values) <= _MOST_VALUES:
                values.add(value)
            if value != label:
                number, first = self._differing.get(name, (0, value))
                self._differing[name] = (number + 1, first)
            if _GROUP.fullmatch(name):
                self._splits_of[name].setdefault(value, set()).add(role)

    def _add_to_splits(self, name: str, value: str) -> None:
        if name in self._others:
            self._flags[name] = self._flags[name] and value.casefold() in FLAGS
            return
        role = _role_of(value)
        if role is None:
            self._others.add(name)
            self._roles.pop(name, None)
            self._flags[name] = value.casefold() in FLAGS
        else:
            self._roles.setdefault(name, set()).add(role)

    def warnings(self, config: DataConfig) -> list[str]:
        """Return a warning for each of these columns."""
        return [
            *self._about_splits(config),
            *self._about_labels(config),
            *self._about_groups(config),
        ]

    def _about_splits(self, config: DataConfig) -> Iterator[str]:
        for name, roles in self._roles.items():
            if len(roles) > 1:
                is_readable = all(v.lower() in ROLE_OF_NAME for v in self._values[name])
                mend = (
                    f"set `data.split_column: {name}`"
                    if is_readable
                    else "write train, val or test into a column "
                    f"{config.split_column!r}"
                )
                yield (
                    f"The column {name!r} holds names of splits, and is not read as "
                    f"the split: `split_column` is {config.split_column!r}. If it says "
                    f"the split, {mend}."
                )
        for name in sorted(self._others):
            is_flag = _FLAG.fullmatch(name) or (_role_of(name) and self._flags[name])
            if is_flag or _FOLD.fullmatch(name) or self._is_of_uses(name):
                yield (
                    f"The column {name!r} may say the split, and is not read: write "
                    f"train, val or test into a column {config.split_column!r}."
                )

    def _is_of_uses(self, name: str) -> bool:
        """Tell whether a column says what lines are for: `ours` and `test`."""
        values = self._values[name]
        return (
            _USE.fullmatch(name) is not None
            and _FEWEST <= len(values) <= _MOST_USES
            and any(map(_role_of, values))
        )

    def _about_labels(self, config: DataConfig) -> Iterator[str]:
        for name, (number, first) in self._differing.items():
            values = self._values[name]
            if len(values) >= _FEWEST and values <= self._labels:
                yield (
                    f"The column {name!r} holds labels, too. In "
                    f"{counted(number, 'line')} it has another one than "
                    f"{config.label_column!r}, such as {shown(first)}, and is not "
                    "read: an image has one label. If these images have several, "
                    "leave them out."
                )

    def _about_groups(self, config: DataConfig) -> Iterator[str]:
        for name, splits_of in self._splits_of.items():
            if not _FEWEST <= len(splits_of) < self._num_lines:
                continue
            mend = (
                "The model looks better than it is, if images of one group are in "
                "`train` and in `test`: give each group one split in the column "
                f"{config.split_column!r}."
            )
            across = [each for each, roles in splits_of.items() if len(roles) > 1]
            if across:
                yield (
                    f"{counted(len(across), 'group')} of the column {name!r} have "
                    f"images in several splits, such as {shown(across[0])}. {mend}"
                )
            elif any(None in roles for roles in splits_of.values()):
                yield (
                    f"The column {name!r} seems to say which images show one thing: "
                    f"{counted(len(splits_of), 'group')} in "
                    f"{counted(self._num_lines, 'line')}. graft splits single images. "
                    f"{mend}"
                )
