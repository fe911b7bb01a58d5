"""Refuse labels that name no classes: splits, or a class and a score."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping

from graft.components.ingestion.names.folder_names import role_of
from graft.components.ingestion.names.split_words import ROLE_OF_ABBREVIATION
from graft.components.ingestion.sources.config import DataConfig
from graft.components.ingestion.sources.source import some_of
from graft.components.ingestion.sources.splitting import TRAIN_ROLE
from graft.contract.errors import DataError

_SCORE = (
    r"(?:0?\.\d+|0,\d+|1\.0+|1,0{1,2}|\d(?:\.\d+)?e-\d{1,2}"
    r"|(?:100|\d{1,2})(?:[.,]\d+)?\s?%)"
)
_BETWEEN = r"(?:[^\w.]|_)+"  # not the point of versions such as `v1.0.1`
# As `cat 0.9`, `cat:0.90`, `cat (1.0)`, `cat@0.9` and `cat 90%`. Model numbers such as
# `C 1.8` are above 1.
_SCORED = re.compile(
    rf"(?P<name>.*[^\W\d_].*?){_BETWEEN}{_SCORE}[)\]}}>]?", re.IGNORECASE | re.DOTALL
)
# As `0.9 cat`, `(0.9) cat` and `90%: cat`.
_SCORED_BEFORE = re.compile(
    rf"[(\[{{<]?{_SCORE}{_BETWEEN}(?P<name>.*[^\W\d_].*)", re.IGNORECASE | re.DOTALL
)
_UNITS = frozenset(
    "nm µm μm um mm cm dm m km in inch ft µl μl ul ml cl dl l µg μg ug mg g kg t lb oz "
    "ns µs μs ms s sec min h hz khz mhz ghz v mv kv a ma w mw kw gw ev j kj pa hpa kpa "
    "bar n c f k mol mmol m2 m3 x mpx mp px d".split()
)


def require_classes(places: Mapping[str, str], config: DataConfig) -> None:
    """Refuse labels that are all splits, or all a class and a score.

    Args:
        places: Label to the place where it stands first, for a message.
        config: With `class_names`, the user says that the labels are names.

    Raises:
        DataError: They are.
    """
    if config.class_names or not places:
        return
    first = next(iter(places.values()))
    # Alone, `tr` and `te` are codes of languages.
    roles = {role_of(label) or _role_of_abbreviation(label) for label in places}
    if None not in roles and TRAIN_ROLE in roles and len(roles) > 1:
        raise DataError(
            f"{first}: all labels are names of splits. Received: {some_of(places)}. "
            f"Name the column of the classes by `label_column`, and this one by "
            "`split_column`. If they are the names of classes, list them in "
            "`class_names`."
        )
    scored = _without_scores([*places])
    names = Counter(scored.values())
    if len(scored) == len(places) and max(names.values()) > 1:
        raise DataError(
            f"{first}: the labels seem to be a class and a score each. Received: "
            f"{some_of(places)}. As classes, one thing would have several labels: "
            f"write the class alone, such as {names.most_common(1)[0][0]!r}. If they "
            "are the names of classes, list them in `class_names`."
        )


def warn_of_scores(counts: Mapping[str, int], config: DataConfig) -> list[str]:
    """Return a warning about labels that may be a class and a score, or none.

    Args:
        counts: Class name to its number of images.
        config: With `class_names`, the user says that the labels are names.
    """
    found = [*_without_scores([*counts])]
    if config.class_names or not found:
        return []
    return [
        f"Labels that may be a class and a score: {some_of(found, counts)}. Each is a "
        "class of its own: if they have scores, write the class alone."
    ]


def _without_scores(labels: list[str]) -> dict[str, str]:
    """Return the labels with a score behind or before, and their texts without it."""
    matches = ((label, _SCORED.fullmatch(label.strip())) for label in labels)
    found = {label: match["name"] for label, match in matches if match}
    matches = ((label, _SCORED_BEFORE.fullmatch(label.strip())) for label in labels)
    before = {
        label: match["name"].strip()
        for label, match in matches
        if match and match["name"].strip().casefold() not in _UNITS
    }
    names = {*before.values()}
    # One thing in several amounts is no class with a score: `1.5% milk`, `3% milk`.
    if len(names) > 1 or not names.isdisjoint(labels):
        found = {**before, **found}
    return found


def _role_of_abbreviation(label: str) -> str | None:
    return ROLE_OF_ABBREVIATION.get(label.strip().casefold())
