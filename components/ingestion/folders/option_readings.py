"""Check what the options of a question read, so that none stops when it is followed."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence

from graft.components.ingestion.folders.pattern_hints import text_of_name
from graft.components.ingestion.names.class_levels import as_setting, option_of_pattern
from graft.components.ingestion.names.folder_counts import Folder
from graft.components.ingestion.names.folder_names import role_of, roles_of
from graft.components.ingestion.names.split_words import ROLE_OF_ABBREVIATION
from graft.components.ingestion.sources.layout_answers import (
    Option,
    Question,
    paths_of_splits,
)
from graft.components.ingestion.sources.source import some_of
from graft.components.ingestion.sources.splitting import TRAIN_ROLE
from graft.contract.counts import agree, counted

_FEWEST_CLASSES = 2
_MOST_CLASSES = 20  # a longer list is no help on a command line

Reading = dict[str, tuple[str, str]]
"""The class and the role of each image that an option reads, by its path."""
Outcome = Reading | str | None
"""What an option reads, or why it would stop; None if that is not known."""
ReadTable = Callable[[Option], Outcome]


def with_options_that_read(
    root: Folder,
    question: Question,
    fewest: int,
    read_table: ReadTable = lambda _: None,
) -> Question:
    """Mend or leave out the options that would stop, and those that read the same.

    Options that read names of splits as classes come after all others.

    Args:
        root: The data set's folder.
        question: The question.
        fewest: The number of images that each class needs.
        read_table: Reads what an option whose path is a table would read, or returns
            why it would stop; None if it is not known.
    """
    reader = _Reader(root, read_table)
    readings = [(option, reader.read(option)) for option in question.options]
    needs_no_mend = [found for _, found in readings if not _why_it_stops(found, fewest)]
    right: list[tuple[Option, Outcome]] = []
    wrong: list[Option] = []
    seen: list[Outcome] = []
    notes: list[str] = []
    for option, reading in readings:
        if reading is None:
            right.append((option, None))
        elif isinstance(reading, str):
            wrong.append(_stopping(option, reading))
            notes.append(f"{option.settings['path']!r} would stop: {reading}")
        elif reading in needs_no_mend:
            if reading not in seen:
                right.append((option, reading))
                seen.append(reading)
        else:
            for mended in _mended(root, option, reading, fewest):
                found = reader.read(mended)
                if found is None or found in (*needs_no_mend, *seen):
                    continue
                seen.append(found)
                reason = _why_it_stops(found, fewest)
                if reason is None:
                    right.append((mended, found))
                else:
                    wrong.append(_stopping(mended, reason))
    right.sort(key=lambda each: _reads_splits_as_classes(each[1]))
    options = [option for option, _ in right]
    if not right:
        return Question(question.finding, tuple(wrong))
    # A table that can be mended may be what the user wants.
    return Question(" ".join([question.finding, *notes]), tuple(options))


def _stopping(option: Option, reason: str) -> Option:
    meaning = f"{option.meaning}; it would stop: {reason}"
    return Option(option.settings, meaning, option.layout)


def _reads_splits_as_classes(reading: Outcome) -> bool:
    """Tell whether a class is called as a split, or has one in its path."""
    if not isinstance(reading, dict):
        return False
    names = {name for name, _ in reading.values()}
    return any(role_of(part) for name in names for part in name.split("/"))


class _Reader:
    """Reads what options read.

    Args:
        root: The data set's folder.
        read_table: See `with_options_that_read`.
    """

    def __init__(self, root: Folder, read_table: ReadTable) -> None:
        self._root = root
        self._read_table = read_table

    def read(self, option: Option) -> Outcome:
        """Return what an option reads, why it stops, or None."""
        found = reading_of(self._root, option)
        return self._read_table(option) if found is None else found


def _mended(
    root: Folder, option: Option, reading: Reading, fewest: int
) -> Iterator[Option]:
    """Yield the option, or one that reads the tree if it would stop."""
    counts = Counter(class_name for class_name, _ in reading.values())
    untrained = _not_in_train(reading)
    splits = option.settings.get("split_folders")
    if option.layout is not None:
        splits = as_setting(option.layout.split_folders)
    pattern = str(option.settings.get("class_pattern", ""))
    folder = _folder_of(root, option)
    if untrained and folder is not None:
        if isinstance(splits, Mapping) and not pattern:
            found = paths_of_splits(splits).values()
            paths = "|".join(re.escape(path) for each in found for path in each)
            pattern = f"(?:{paths})/(?P<class>[^/]+)/.+"
        # As in sets for the detection of anomalies: only `test` shows any.
        meaning = (
            f"all splits together, split anew by content, since {some_of(untrained)} "
            f"{agree(len(untrained), 'has', 'have')} no image in `train`"
        )
        pattern = pattern.replace("(?P<split>", "(?:")
        above = {"path": option.settings["path"]} if "path" in option.settings else {}
        for each in option_of_pattern(folder.as_root(), {}, pattern, meaning):
            yield Option({**above, **each.settings}, each.meaning)
        return
    small = {name: number for name, number in counts.items() if number < fewest}
    large = sorted(counts.keys() - small.keys())
    if small and _FEWEST_CLASSES <= len(large) <= _MOST_CLASSES:
        shown = some_of(sorted(small), small)
        yield Option(
            {**option.settings, "class_names": large},
            f"{option.meaning}; without {agree(len(small), 'the class', 'the classes')}"
            f" {shown}, since each class needs {counted(fewest, 'image')}",
            option.layout,
        )
        return
    yield option


def _why_it_stops(reading: Outcome, fewest: int) -> str | None:
    if reading is None or isinstance(reading, str):
        return reading
    counts = Counter(class_name for class_name, _ in reading.values())
    if len(counts) < _FEWEST_CLASSES:
        return "two classes are needed"
    small = {name: number for name, number in counts.items() if number < fewest}
    if small:
        return (
            f"each class needs {counted(fewest, 'image')}, and there are "
            f"{some_of(sorted(small), small)}"
        )
    untrained = _not_in_train(reading)
    if untrained:
        return f"`train` has no image of {some_of(untrained)}"
    return None


def _not_in_train(reading: Reading) -> list[str]:
    """Return the classes that have images in other splits only."""
    roles: dict[str, set[str]] = defaultdict(set)
    for class_name, role in reading.values():
        roles[class_name].add(role)
    return sorted(name for name, found in roles.items() if TRAIN_ROLE not in found)


def _folder_of(root: Folder, option: Option) -> Folder | None:
    path = str(option.settings.get("path", ""))
    return root.child_at(path) if path else root


def reading_of(root: Folder, option: Option) -> Reading | None:
    """Return what an option reads, or None if that is not known here, as of tables."""
    settings = dict(option.settings)
    folder = _folder_of(root, option)
    chosen = settings.pop("class_names", None)
    if option.layout is not None:
        settings["format"] = option.layout.format
        if option.layout.split_folders:
            settings["split_folders"] = as_setting(option.layout.split_folders)
    keys = settings.keys() & {"class_pattern", "split_folders", "format"}
    is_known = settings.get("format", "folders") in ("folders", "pre_split")
    if folder is None or not keys or not is_known:
        return None
    start = len(folder.path) + 1 if folder.path else 0
    names = [
        f"{each.path}/{name}"[start:] if each.path else name
        for each in folder.walk()
        for name in each.images
    ]
    splits = settings.get("split_folders")
    role_of = {
        path: role
        for role, paths in paths_of_splits(
            splits if isinstance(splits, Mapping) else {}
        ).items()
        for path in paths
    }
    pattern = settings.get("class_pattern")
    found = (
        _read_pattern(str(pattern), names, role_of)
        if pattern is not None
        else _read_folders(names, role_of)
    )
    if not folder.path and not isinstance(chosen, list):
        return found
    return {
        f"{folder.path}/{name}" if folder.path else name: each
        for name, each in found.items()
        if not isinstance(chosen, list) or each[0] in chosen
    }


def _read_folders(names: Sequence[str], role_of: Mapping[str, str]) -> Reading:
    reading: Reading = {}
    known: dict[str, tuple[str, str]] = {}  # what the images of a folder are read as
    for name in names:
        above, _, _ = name.rpartition("/")
        if above not in known:
            known[above] = _class_of_folder(above, role_of)
        if known[above][0]:
            reading[name] = known[above]
    return reading


def _class_of_folder(path: str, role_of: Mapping[str, str]) -> tuple[str, str]:
    """Return the class and the role of the images in a folder; "" without a class."""
    split = _split_of(f"{path}/", role_of)
    if role_of and split is None:
        return "", ""
    class_name, _, _ = path[len(split) + 1 if split else 0 :].partition("/")
    return class_name, role_of[split] if split else TRAIN_ROLE


def _read_pattern(
    pattern: str, names: Sequence[str], role_of: Mapping[str, str]
) -> Reading:
    expression = re.compile(unicodedata.normalize("NFC", pattern))
    has_split = "split" in expression.groupindex
    found: dict[str, tuple[str, str]] = {}
    known: dict[tuple[str, str], tuple[str, str]] = {}  # each of them is kept once
    for name in names:
        path = _split_of(name, role_of) if role_of else None
        text = text_of_name(pattern, name)
        text = text if text.isascii() else unicodedata.normalize("NFC", text)
        match = expression.fullmatch(text)
        if match and match["class"] and not (role_of and path is None):
            split = match["split"] if has_split else None
            pair = match["class"], split or (role_of[path] if path else "")
            found[name] = known.setdefault(pair, pair)
    roles = {role: role for role in (*role_of.values(), "")} | {"": TRAIN_ROLE}
    splits = {split for _, split in known if split}
    roles |= {
        split: ROLE_OF_ABBREVIATION.get(split.casefold(), split) for split in splits
    }
    roles |= roles_of(splits)
    read = {pair: (pair[0], roles.get(pair[1], pair[1])) for pair in known}
    return {name: read[pair] for name, pair in found.items()}


def _split_of(name: str, role_of: Mapping[str, str]) -> str | None:
    return next((path for path in role_of if name.startswith(f"{path}/")), None)
