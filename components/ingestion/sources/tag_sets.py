"""Find labels that are sets of tags, such as `cat|dog` and `dog|bird`.

Data with several labels for an image would become classes, one for each set.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import NamedTuple

from graft.components.ingestion.sources.config import DataConfig
from graft.components.ingestion.sources.source import some_of
from graft.contract.errors import DataError

SEPARATORS = re.compile(r"\s*[|;,&+]\s*")
"""What stands between the tags of an image."""

# In English, German, Spanish, French, Italian, Portuguese, Dutch and Nordic languages,
# Polish and Russian.
_AND_WORDS = r"(?:and|und|y|et|e|en|och|og|i|и)"
_OR_WORDS = r"(?:or|oder|o|ou|of|eller|lub|или)"
_WEAK_SEPARATORS = re.compile(
    rf",?\s+(?:{_AND_WORDS}|{_OR_WORDS})\s+|[\s/_:~#,-]+", re.IGNORECASE
)
_AND = re.compile(rf"\s{_AND_WORDS}\s", re.IGNORECASE)
_NUMBERS = re.compile(r"\d+(?:\s+\d+)+")
_THOUSANDS_APART = re.compile(r"\d{1,3}(?:\s\d{3})+")
_SURE_SEPARATOR = re.compile(r"[|;]")
_THOUSANDS = re.compile(r"\d{1,3}(?:,\d{3})+")
# Names of several words share words, too: white shark, white wolf, wolf.
_FEWEST_LENGTHS = 3
_LABELS_PER_WORD = 1.5
# One alone may be a thing of its own: ice, cream, ice cream.
_FEWEST_MADE_OF_LABELS = 2
_SHARE_MADE_OF_LABELS = 0.1
_MOST_WORDS_SHARED = 0.9
_FEWEST_KNOWN_PARTS = 2
_MOST_LABELS_COMPARED = 2000


def require_no_tag_sets(places: Mapping[str, str], config: DataConfig) -> None:
    """Refuse labels of which most are combinations of the same tags.

    Args:
        places: Label to the place where it stands first, for a message.
        config: With `class_names`, the user says that the labels are names.

    Raises:
        DataError: They seem to be sets of tags.
    """
    if config.class_names:
        return
    tags_of = {
        label: tuple(filter(None, SEPARATORS.split(label.strip())))
        for label in places
        if not _THOUSANDS.fullmatch(label.strip())
    }
    examples = (
        _reordered(tags_of.values())
        or _combined(tags_of.values(), _is_mixed)
        or _beside_tags(tags_of)
    )
    if not examples:
        tags_of = {label: tuple(label.split()) for label in places}
        words = tags_of.values()
        examples = (
            _reordered(words)
            or _made_of_labels(words)
            or _numbers_beside_one(tags_of)
            or _combined(words, _are_tags_rather_than_words)
        )
    if not examples:
        tags_of = {label: _parts_of(label) for label in places}
        examples = _joined_by_and(tags_of) or _made_of_labels(tags_of.values())
    if not examples:
        return
    found = [label for label, tags in tags_of.items() if tags in examples]
    shared = Counter(tag for label in found for tag in set(tags_of[label]))
    tags = sorted(shared, key=lambda tag: (-shared[tag], tag))
    raise DataError(
        f"{places[found[0]]}: the labels seem to be sets of tags, and an image has one "
        f"label. Received: {some_of(found)}, made of the tags {some_of(tags)}. Choose "
        "one tag of each image, or train a model for one tag (it has it, or not). If "
        "they are the names of classes, list them in `class_names`."
    )


def warn_of_joined_labels(counts: Mapping[str, int], config: DataConfig) -> list[str]:
    """Return a warning about a label that may join two others, as `cat_dog` does.

    Args:
        counts: Label to its number of images.
        config: With `class_names`, the user says that the labels are names.
    """
    if config.class_names:
        return []
    found = [label for label in counts if _joins_labels(label, counts)]
    found = found or _with_tags_in_order(counts)
    if not found:
        return []
    return [
        f"Labels that may join others: {some_of(found, counts)}. An image has one "
        "label: if these images have several, choose one, or leave them out."
    ]


Tags = tuple[str, ...]


def _joins_labels(label: str, labels: Collection[str]) -> bool:
    """Tell whether the parts of a label are labels; of three or more, two at least."""
    parts = _parts_of(label)
    known = sum(part in labels for part in parts)
    return len(parts) > 1 and known >= min(len(parts), _FEWEST_KNOWN_PARTS)


def _with_tags_in_order(labels: Collection[str]) -> list[str]:
    """Return the labels of several words, if programs may have joined tags so.

    The words are in the order of the alphabet in each of them, most are in several, and
    one label has all words of another, as in `clear primary`, `clear primary road`.
    """
    if len(labels) > _MOST_LABELS_COMPARED:
        return []
    words_of = {label: label.split() for label in labels}
    joined = {label: words for label, words in words_of.items() if len(words) > 1}
    number = Counter(word for words in words_of.values() for word in set(words))
    of_joined = {word for words in joined.values() for word in words}
    shared = sum(number[word] > 1 for word in of_joined)
    sets = [frozenset(words) for words in words_of.values()]
    holds_another = any(one < other for one in sets for other in sets)
    are_in_order = all(words == sorted(words) for words in joined.values())
    is_likely = len(joined) >= _FEWEST_MADE_OF_LABELS and holds_another
    return (
        [*joined] if is_likely and are_in_order and 2 * shared >= len(of_joined) else []
    )


class _Sets(NamedTuple):
    """Sets of tags, and the positions of each tag in them."""

    sets: list[Tags]
    positions: dict[str, set[int]]


def _reordered(sets: Iterable[Tags]) -> list[Tags]:
    """Return sets that are the same tags in another order."""
    by_content: dict[frozenset[str], list[Tags]] = defaultdict(list)
    for tags in sets:
        if len(tags) > 1:
            by_content[frozenset(tags)].append(tags)
    return [each for same in by_content.values() if len({*same}) > 1 for each in same]


def _parts_of(label: str) -> Tags:
    """Return the parts of a label that may be labels; `1-2` and `cat_2` have none."""
    parts = tuple(filter(None, _WEAK_SEPARATORS.split(label.strip())))
    return (label.strip(),) if any(map(str.isdigit, parts)) else parts


def _numbers_beside_one(tags_of: Mapping[str, Tags]) -> list[Tags]:
    """Return the labels of several numbers, as `25 0` beside `25`."""
    alone = {tags[0] for tags in tags_of.values() if len(tags) == 1}
    found = [
        tags
        for label, tags in tags_of.items()
        if _NUMBERS.fullmatch(label.strip())
        and not _THOUSANDS_APART.fullmatch(label.strip())
    ]
    return found if any(not alone.isdisjoint(tags) for tags in found) else []


def _made_of_labels(sets: Iterable[Tags]) -> list[Tags]:
    """Return the sets of several words that are all labels, too, as in `cat dog`.

    In names, the words have their places, as in `king cobra` and `rat snake` beside
    `king`, `rat`, `cobra` and `snake`. So one word must be first in one set and last in
    another. A few such sets among many labels may be names, too.
    """
    sets = [*sets]
    found = _sets_of_labels(sets)
    first, last = {tags[0] for tags in found}, {tags[-1] for tags in found}
    is_any_order = not first.isdisjoint(last)
    fewest = max(_FEWEST_MADE_OF_LABELS, _SHARE_MADE_OF_LABELS * len(sets))
    return found if is_any_order and len(found) >= fewest else []


def _joined_by_and(tags_of: Mapping[str, Tags]) -> list[Tags]:
    """Return the sets of labels, if some are joined as in `cat and dog`."""
    found = _sets_of_labels([*tags_of.values()])
    by_and = [tags_of[label] for label in tags_of if _AND.search(label)]
    is_joined = any(tags in found for tags in by_and)
    return found if is_joined and len(found) >= _FEWEST_MADE_OF_LABELS else []


def _sets_of_labels(sets: list[Tags]) -> list[Tags]:
    """Return the sets of several words that are all labels."""
    alone = {tags[0] for tags in sets if len(tags) == 1}
    return [tags for tags in sets if len(tags) > 1 and alone.issuperset(tags)]


def _combined(sets: Iterable[Tags], are_tags: Callable[[_Sets], bool]) -> list[Tags]:
    """Return the sets whose tags are all in other sets, too, if they are the most."""
    sets = [*sets]
    numbers = Counter(tag for tags in sets for tag in set(tags))
    found = [
        tags for tags in sets if len(tags) > 1 and all(numbers[tag] > 1 for tag in tags)
    ]
    positions: dict[str, set[int]] = defaultdict(set)
    for tags in sets:
        for position, tag in enumerate(tags):
            positions[tag].add(position)
    is_most = 2 * len(found) > len(sets)
    return found if is_most and are_tags(_Sets(sets, positions)) else []


def _beside_tags(tags_of: Mapping[str, Tags]) -> list[Tags]:
    """Return the sets beside single tags, however few they are.

    A name hardly ever has `|` or `;`, so that one known tag suffices. With another
    separator, each tag must occur again, and one of them in another place.
    """
    alone = {tags[0] for tags in tags_of.values() if len(tags) == 1}
    joined = {label: tags for label, tags in tags_of.items() if len(tags) > 1}
    found = [
        tags
        for label, tags in joined.items()
        if _SURE_SEPARATOR.search(label) and not alone.isdisjoint(tags)
    ]
    if found:
        return found
    numbers = Counter(tag for tags in tags_of.values() for tag in set(tags))
    found = [tags for tags in joined.values() if all(numbers[tag] > 1 for tag in tags)]
    first, last = {tags[0] for tags in found}, {tags[-1] for tags in found}
    is_beside = any(not alone.isdisjoint(tags) for tags in found)
    return found if is_beside and not first.isdisjoint(last) else []


def _is_mixed(found: _Sets) -> bool:
    """Tell whether some tag has no fixed place; those of `apple, rust` have one."""
    joined = {len(tags) for tags in found.sets if len(tags) > 1}
    return len(joined) > 1 or any(len(each) > 1 for each in found.positions.values())


def _are_tags_rather_than_words(found: _Sets) -> bool:
    numbers = Counter(tag for tags in found.sets for tag in set(tags))
    shared = sum(number > 1 for number in numbers.values())
    joined = [tags for tags in found.sets if len(tags) > 1]
    first, last = {tags[0] for tags in joined}, {tags[-1] for tags in joined}
    has_all_lengths = len(
        {len(tags) for tags in found.sets}
    ) >= _FEWEST_LENGTHS and len(found.sets) >= _LABELS_PER_WORD * len(numbers)
    # An adjective is never the last word, and a noun seldom the first.
    is_any_order = not first.isdisjoint(last)
    return shared >= _MOST_WORDS_SHARED * len(numbers) and (
        has_all_lengths or is_any_order
    )
