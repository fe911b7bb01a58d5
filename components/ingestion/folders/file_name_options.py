"""The configs that read the class, and the split, from the names of files."""

from __future__ import annotations

import os
import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Sequence

from graft.components.ingestion.names.copy_marks import COPY_WORDS, ORIGINAL_WORDS
from graft.components.ingestion.names.folder_counts import Folder
from graft.components.ingestion.names.folder_names import (
    are_names_of_splits,
    is_annotation,
    is_box,
    is_source,
    role_of,
    roles_of,
    split_and_class_of,
)
from graft.components.ingestion.names.name_fields import field_patterns
from graft.components.ingestion.names.split_words import ROLE_OF_ABBREVIATION
from graft.components.ingestion.sources.layout_answers import Option, describe_classes
from graft.components.ingestion.sources.splitting import ROLE_OF_NAME, TRAIN_ROLE

_FILE_NAME_PATTERNS = (
    r"(?P<class>.*[^-_. ])[-_. ]{2,}\d+",  # `obj1__10`
    r"(?P<class>.+)_\d+",
    r"(?P<class>.+)-\d+",
    r"(?P<class>.+)\.\d+",
    r"(?P<class>.+?) ?\(\d+\)",
    r"(?P<class>\D*[^\W\d_])\d+",
)
# Without all numbers at the end: `cat` of `cat_2024-01-01_1` and `cat_12_1`.
_WITHOUT_NUMBERS = r"(?P<class>(?:.*[^\W\d_])?)(?:[-_. ]*\d)+"
_NUMBER_FIRST = r"\d+[-_](?P<class>\d+)"
_WORD_LAST = r".*\d[-_. ](?P<class>[^\W\d_]+)"
_GLUED = re.compile(
    rf"(?P<split>{'|'.join(sorted(ROLE_OF_NAME, key=len, reverse=True))})"
    r"(?P<class>\D*[^\W\d_])[-_. ]?\d+",
    re.IGNORECASE,
)
_DIGITS = re.compile(r"\d+")
_CLASS_GROUP = re.compile(r"\(\?P<class>.+?\)")
_SIDES = frozenset("left right front back top bottom rgb depth seg lr hr a b".split())
_FEWEST_CLASSES = 2
_FEWEST_SPLITS = 2
_SHARE_OF_NAMES = 0.95


def file_name_options(root: Folder) -> Iterator[Option]:
    """Yield the options to read the class from the names of files.

    If the names of files or folders tell the splits, these are read, too.
    """
    by_folder = list(_options_of_split_folders(root))
    if by_folder:
        yield from by_folder
        return
    for folder in _folders_of_no_class(root):
        if folder.images:
            yield from _options_of_folder(folder)


def splits_without_class(root: Folder) -> list[str]:
    """Return what names of files such as `train_1` say, if it is only the split."""
    for folder in _folders_of_no_class(root):
        for pattern in _FILE_NAME_PATTERNS:
            found = _classes_of_stems(pattern, folder.stems)
            is_of_most = found.total() >= _SHARE_OF_NAMES * len(folder.images)
            if folder.images and is_of_most and _are_splits(found):
                return sorted(found)
    return []


def _are_splits(names: Collection[str]) -> bool:
    """Tell whether all names are those of splits, or all are abbreviations of them."""
    short = {ROLE_OF_ABBREVIATION.get(name.casefold()) for name in names}
    are_short = len(short) > 1 and None not in short and TRAIN_ROLE in short
    return are_names_of_splits(names) or are_short


def _folders_of_no_class(folder: Folder) -> Iterator[Folder]:
    """Yield the folders whose names can't be classes, because of names or siblings."""
    yield folder
    children = [child for child in folder.filled if not is_annotation(child.name)]
    for child in children:
        if len(children) == 1 or is_source(child.name):
            yield from _folders_of_no_class(child)


def _options_of_folder(folder: Folder) -> Iterator[Option]:
    """Yield the options to read the class from the file names of a folder."""
    with_splits = _pattern_with_splits(folder.stems)
    fields = field_patterns(folder.stems) if with_splits is None else []
    for pattern, place in fields:
        if _are_classes(_classes_of_stems(pattern, folder.stems), len(folder.images)):
            says_split = "(?P<split>" in pattern
            what = (
                "split and class are parts" if says_split else f"the class is {place}"
            )
            yield _option_of(folder, pattern, what)
    if any("(?P<split>" in field.pattern for field in fields):
        return
    below = [name for each in folder.walk() for name in each.images]
    for pattern in filter(None, (with_splits, *_patterns_of(below))):
        found = _classes_by_name(pattern, folder.images)
        if _are_classes(found, len(folder.images)):
            is_with_splits = pattern == with_splits
            what = (
                "split and class are parts" if is_with_splits else "the class is part"
            )
            yield from _options_of_fewer(folder, len(found), is_with_splits)
            yield _option_of(folder, pattern, what)
            return


def _options_of_fewer(
    folder: Folder, number: int, is_with_splits: bool
) -> Iterator[Option]:
    """Yield the option without all numbers at the end, if it reads fewer classes.

    A date or the number of a series is no part of the class.
    """
    found = _classes_by_name(_WITHOUT_NUMBERS, folder.images)
    is_other = not is_with_splits and len(found) < number
    if is_other and _are_classes(found, len(folder.images)):
        what = "the class is the part before all numbers"
        yield _option_of(folder, _WITHOUT_NUMBERS, what)


def _option_of(folder: Folder, pattern: str, what: str) -> Option:
    """Return the option to read the file names of a folder by a pattern."""
    below = [name for each in folder.walk() for name in each.images]
    settings: dict[str, object] = {"class_pattern": pattern}
    if folder.path:
        settings = {"path": folder.path, **settings}
    where = f" in {folder.path}" if folder.path else ""
    # The pattern reads folders in this folder, too.
    classes = _classes_by_name(pattern, below)
    meaning = f"{what} of the file name{where}: {describe_classes(classes)}"
    left = len(below) - classes.total()
    return Option(settings, f"{meaning}; left aside: {left}" if left else meaning)


def _pattern_with_splits(stems: Sequence[str]) -> str | None:
    """Return the pattern of names such as `train_cat_1`, `cat_train_1`, `cat_1_train`.

    Almost all names must have a split in the same place, `train` among them.
    """
    in_name = [split_and_class_of(stem) for stem in stems]
    for pattern in _FILE_NAME_PATTERNS:
        expression = re.compile(pattern)
        matches = [expression.fullmatch(stem) for stem in stems]
        in_class = [split_and_class_of(match["class"]) for match in matches if match]
        for found, is_whole in ((in_name, True), (in_class, False)):
            known = [each for each in found if each is not None and not each.end]
            places = {(each.is_split_first, each.separator) for each in known}
            splits = sorted({each.split for each in known})
            roles = set(roles_of(splits).values())
            if (
                len(known) < _SHARE_OF_NAMES * len(stems)
                or len(places) != 1
                or len(roles) < _FEWEST_CLASSES
                or TRAIN_ROLE not in roles
            ):
                continue
            ((is_first, separator),) = places
            group = f"(?P<split>{'|'.join(map(re.escape, splits))})"
            between = re.escape(separator)
            part = f"{group}{between}" if is_first else f"{between}{group}"
            if is_whole:
                joined = part + pattern if is_first else pattern + part
            else:
                joined = _beside_class(pattern, part, is_first=is_first)
            if _are_classes(_classes_of_stems(joined, stems), len(stems)):
                return joined
    return _pattern_of_glued_splits(stems)


def _pattern_of_glued_splits(stems: Sequence[str]) -> str | None:
    """Return the pattern of names such as `traincat1` and `testcat1`, or None.

    Each class must be in several splits, so that `trainer` and `tester` are none.
    """
    matches = [_GLUED.fullmatch(stem) for stem in stems]
    found = {(m["split"], m["class"].casefold()) for m in matches if m}
    roles = {ROLE_OF_NAME[split.casefold()] for split, _ in found}
    splits_of = Counter(class_name for _, class_name in found)
    are_in_several = min(splits_of.values(), default=0) >= _FEWEST_SPLITS
    if None in matches or TRAIN_ROLE not in roles or not are_in_several:
        return None
    words = "|".join(sorted({split for split, _ in found}, key=len, reverse=True))
    pattern = rf"(?P<split>{words})(?P<class>\D*[^\W\d_])[-_. ]?\d+"
    is_right = _are_classes(_classes_of_stems(pattern, stems), len(stems))
    return pattern if is_right else None


def _beside_class(pattern: str, part: str, *, is_first: bool) -> str:
    """Return a pattern with a part before or after its group `class`."""
    return _CLASS_GROUP.sub(
        lambda match: part + match[0] if is_first else match[0] + part, pattern
    )


def _options_of_split_folders(root: Folder) -> Iterator[Option]:
    """Yield the option to read `train/cat_1.jpg` and `test/cat_1.jpg`."""
    roles = roles_of([top.name for top in root.filled])
    if TRAIN_ROLE not in roles.values():
        return
    names: dict[str, list[str]] = defaultdict(list)
    for top in root.filled:
        if top.name in roles and not _holds_classes(top):
            names[top.name] = [n for each in top.walk() for n in each.images]
    for pattern in _patterns_of([name for each in names.values() for name in each]):
        found = {
            folder: classes
            for folder, images in names.items()
            if _are_classes(classes := _classes_by_name(pattern, images), len(images))
        }
        trained = {
            name
            for folder, classes in found.items()
            for name in classes
            if roles[folder] == TRAIN_ROLE
        }
        found = {f: c for f, c in found.items() if not trained.isdisjoint(c)}
        if len({roles[folder] for folder in found}) < _FEWEST_CLASSES:
            continue
        splits = "|".join(map(re.escape, sorted(found)))
        # A pattern of the whole path: the class must not reach over a slash.
        of_name = (
            pattern.replace(".+", "[^/]+")
            .replace(".*", "[^/]*")
            .replace(r"\D", r"[^\d/]")
        )
        total = sum(found.values(), Counter())
        left = root.total - total.total()
        yield Option(
            {
                "class_pattern": rf"(?P<split>{splits})/(?:.+/)?{of_name}\.[^./]+",
            },
            "the folder is the split, and the class is part of the file name: "
            f"{describe_classes(total)}" + (f"; left aside: {left}" if left else ""),
        )
        return


def _holds_classes(top: Folder) -> bool:
    """Tell whether folders in it may be classes, so that names of files are none."""
    return any(
        sum(not is_source(child.name) for child in each.filled) >= _FEWEST_CLASSES
        for each in top.walk()
    )


def _patterns_of(names: Sequence[str]) -> Sequence[str]:
    """Return the patterns that may tell the class by the names of files.

    The class may follow the number: of `1_0`, `1_1` to `9_0`, `9_1`, the part with the
    fewer values, and of `IMG_1_cat` the word.
    """
    stems = [*map(_stem_of, names)]
    by_start, by_end = (
        _classes_of_stems(pattern, stems)
        for pattern in (r"(?P<class>\d+)[-_]\d+", _NUMBER_FIRST)
    )
    if _are_classes(by_end, len(stems)) and len(by_end) < len(by_start):
        return (_NUMBER_FIRST,)
    words = {word.casefold() for word in _classes_of_stems(_WORD_LAST, stems)}
    starts = {
        _DIGITS.sub("0", stem.rpartition(_last_separator(stem))[0]) for stem in stems
    }
    if len(starts) == 1 and not any(map(_is_no_class, words)):
        return (*_FILE_NAME_PATTERNS, _WORD_LAST)
    return _FILE_NAME_PATTERNS


def _last_separator(stem: str) -> str:
    return next((letter for letter in reversed(stem) if letter in "-_. "), " ")


def _is_no_class(word: str) -> bool:
    """Tell whether a word is one of splits, masks, copies or images in general."""
    return (
        role_of(word) is not None
        or is_annotation(word)
        or is_box(word)
        or word in COPY_WORDS | ORIGINAL_WORDS
        or word in _SIDES
    )


def _are_classes(found: Counter[str], number: int) -> bool:
    """Tell whether the classes that a pattern reads from names can be right."""
    return (
        found.total() >= _SHARE_OF_NAMES * number
        and len(found) >= _FEWEST_CLASSES
        and found.total() >= 2 * len(found)
        and not are_names_of_splits(found)
    )


def _stem_of(name: str) -> str:
    return os.path.splitext(name)[0]


def _classes_by_name(pattern: str, names: Sequence[str]) -> Counter[str]:
    return _classes_of_stems(pattern, list(map(_stem_of, names)))


def _classes_of_stems(pattern: str, stems: Sequence[str]) -> Counter[str]:
    expression = re.compile(pattern)
    matches = (expression.fullmatch(stem) for stem in stems)
    return Counter(match["class"] for match in matches if match)
