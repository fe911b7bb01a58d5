"""Ask about folders whose names hold a split and a class, such as `train_cat`."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence

from graft.components.ingestion.folders.layout_options import read_as_classes
from graft.components.ingestion.folders.split_guesses import options_of_guessed_splits
from graft.components.ingestion.folders.splits_inside_names import (
    find_splits_inside,
    pattern_of,
)
from graft.components.ingestion.names.folder_counts import Folder
from graft.components.ingestion.names.folder_names import (
    SplitAndClass,
    is_annotation,
    is_box,
    split_and_class_of,
)
from graft.components.ingestion.sources.layout_answers import (
    Option,
    Question,
    describe_classes,
)
from graft.components.ingestion.sources.source import some_of

_FEWEST_CLASSES = 2
Parts = Mapping[str, SplitAndClass]


def ask_about_splits_in_names(root: Folder, tops: Sequence[Folder]) -> Question | None:
    """Ask about top folders of one class whose names differ by a split.

    Args:
        root: The data set's folder.
        tops: Its folders that hold images.
    """
    parts = {top.name: found for top in tops if (found := split_and_class_of(top.name))}
    names_of: dict[str, list[str]] = defaultdict(list)
    for top in tops:
        found = parts.get(top.name)
        names_of[(found.class_name if found else top.name).casefold()].append(top.name)
    same = next(
        (
            names
            for names in names_of.values()
            if len({_split_of(parts.get(name)) for name in names}) > 1
        ),
        None,
    )
    if same is None:
        return _ask_about_splits_inside(root, tops)
    example = parts[next(name for name in same if name in parts)]
    options = list(_read_names(tops, parts))
    folder = f"{example.split}/{example.class_name}"
    return Question(
        f"The folders {some_of(sorted(same))} seem to hold one class, "
        f"{example.class_name!r}, in several splits: the word {example.split!r} names "
        "a split. As classes of their own, one thing would have two labels. If they "
        f"are splits, move the images into folders such as {folder!r}"
        + (", or read both from the name." if options else "."),
        (*options_of_guessed_splits(root), *options, *read_as_classes(root)),
    )


def _ask_about_splits_inside(root: Folder, tops: Sequence[Folder]) -> Question | None:
    """Ask about folders with the word of a split at any place in their names."""
    names = [top.name for top in tops]
    found = find_splits_inside(names)
    if not found:
        return None
    example, part = next(iter(sorted(found.items())))
    pattern = pattern_of(names, found)
    options = []
    if pattern is not None:
        classes: Counter[str] = Counter()
        for top in tops:
            match = re.fullmatch(pattern, f"{top.name}/image")
            if match is None or match["split"] != found[top.name].split:
                break
            classes[match["class"]] += top.total
        else:
            if len(classes) >= _FEWEST_CLASSES:
                options.append(
                    Option(
                        {"class_pattern": pattern},
                        "the names of the folders hold split and class; "
                        f"{describe_classes(classes)}",
                    )
                )
    return Question(
        f"The folders {some_of(sorted(found))} seem to hold one class in several "
        f"splits: {part.split!r} in {example!r} names a split. As classes of their "
        "own, one thing would have two labels. If they are splits, move the images "
        f"into folders such as '{part.split}/CLASS'"
        + (", or read both from the name." if options else "."),
        (*options, *read_as_classes(root)),
    )


def _split_of(found: SplitAndClass | None) -> str:
    return found.split.casefold() if found else ""


def _read_names(tops: Sequence[Folder], parts: Parts) -> Iterator[Option]:
    """Yield the option to read split and class from the names, if a pattern can."""
    if len({(found.is_split_first, found.end) for found in parts.values()}) > 1:
        return
    splits = "|".join(sorted({re.escape(found.split) for found in parts.values()}))
    separators = {re.escape(found.separator) for found in parts.values()}
    between = "|".join(sorted(separators))
    between = between if len(separators) == 1 else f"(?:{between})"
    some_without = len(parts) < len(tops)
    end = re.escape(next(iter(parts.values())).end)
    if next(iter(parts.values())).is_split_first:
        split = f"(?P<split>{splits}){between}"
        split = f"(?:{split})?" if some_without else split
        behind = f"(?:{end})?" if end and some_without else end
        pattern = f"{split}(?P<class>[^/]+{'?' if end else ''}){behind}/.+"
    else:
        split = f"{between}(?P<split>{splits}){end}"
        split = f"(?:{split})?" if some_without else split
        pattern = f"(?P<class>[^/]+?){split}/.+"
    classes: Counter[str] = Counter()
    for top in tops:
        match = re.fullmatch(pattern, f"{top.name}/image")
        found = parts.get(top.name)
        expected = (found.split, found.class_name) if found else (None, top.name)
        if match is None or (match["split"], match["class"]) != expected:
            return
        classes[match["class"]] += top.total
    if any(is_box(name) or is_annotation(name) for name in classes):
        return  # `train_images`, `train_masks`
    if len(classes) >= _FEWEST_CLASSES:
        yield Option(
            {"class_pattern": pattern},
            f"the names of the folders hold split and class; "
            f"{describe_classes(classes)}"
            + ("; images without a split: train" if some_without else ""),
        )
