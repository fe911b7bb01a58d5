"""The summary of an ingestion: counts, warnings, and the checks that stop a run."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from graft.components.ingestion.results import BadImages, Results
from graft.components.ingestion.sources.config import DataConfig
from graft.components.ingestion.sources.image_ref import ImageRef
from graft.components.ingestion.sources.source import Listing, some_of
from graft.contract.counts import agree, counted
from graft.contract.errors import DataError
from graft.contract.split_names import SPLITS, TRAIN_SPLIT
from graft.storage.left_aside import describe

_MOST_NOTES_IN_A_MESSAGE = 20
_FEWEST_CLASSES = 2
# With fewer images of a class, its accuracy on a split says very little.
_FEWEST_PER_CLASS_AND_SPLIT = 5


@dataclass(frozen=True)
class Summary:
    """The content of summary.json.

    Attributes:
        layout: "folders", "pre_split", "csv" and so on.
        num_listed: Images in the listing.
        num_read: Images that were read: the listed ones without dropped copies. A copy
            of an unusable image counts as read.
        num_written: Images in the examples.
        num_quarantined: Images that can't be used.
        num_bytes: Size of the written encoded images.
        counts: Number of written images by split and class name.
        splits: Number of written images by split.
        reasons: Number of quarantined images by kind of reason.
        copies: Number of dropped copies by kind: duplicate, leak, label_conflict.
        ignored: Number of files by kind, for files that are not images by their names.
        warnings: Sentences for the user.
    """

    layout: str
    num_listed: int
    num_read: int
    num_written: int
    num_quarantined: int
    num_bytes: int
    counts: dict[str, dict[str, int]]
    splits: dict[str, int]
    reasons: dict[str, int]
    copies: dict[str, int]
    ignored: dict[str, int]
    warnings: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain lists and dictionaries."""
        return asdict(self)


def select_classes(listing: Listing, config: DataConfig) -> Iterator[ImageRef]:
    """Return the images of the chosen classes, and check their numbers.

    The checks are made at once, and the images are yielded later.

    Args:
        listing: All images. It receives a warning, if images are left aside.
        config: Names the classes.

    Raises:
        DataError: There are no images, fewer than two classes, or too few images of a
            class, or a chosen class does not exist.
    """
    counts = Counter(ref.class_name for ref in listing.refs)
    empty = listing.empty_classes
    if not counts:
        aside = f" Left aside: {describe(listing.ignored)}." if listing.ignored else ""
        warned = "".join(f" {note}" for note in listing.warnings)
        raise DataError(
            f"No images were found at {config.path!r}. Put images into one folder per "
            f"class (JPEG, PNG, GIF, BMP or WebP).{aside}{warned}"
        )
    if config.class_names is not None:
        wanted = set(config.class_names)
        for name in sorted(wanted - set(counts)):
            close = difflib.get_close_matches(name, counts, n=1)
            hint = f" Did you mean {close[0]!r}?" if close else ""
            raise DataError(
                f"`class_names` must name classes of the data. Received: {name!r}; "
                f"there are {some_of(sorted(counts))}.{hint}"
            )
        others = Counter({n: found for n, found in counts.items() if n not in wanted})
        if others:
            listing.warnings.append(
                f"Left aside: {counted(others.total(), 'image')} of "
                f"{counted(len(others), 'class')} that `class_names` does not name: "
                f"{some_of(sorted(others), others)}."
            )
        counts = Counter({name: counts[name] for name in wanted})
        empty = []
    if len(counts) + len(empty) < _FEWEST_CLASSES:
        (name,) = counts
        message = (
            f"At least two classes are needed. Received: only {name!r} at "
            f"{config.path!r}. Add a folder (or rows) of a second class."
        )
        # Two folders may have become one class.
        raise DataError(" ".join([message, *listing.look_alikes]))
    _require_in_train(listing, counts)
    for name in empty:
        counts[name] = 0
    # Not all of these files can be decoded. That is checked later.
    notes = [*listing.empty_notes, *listing.look_alikes]
    _require_enough(counts, config, "image files", notes)
    return (ref for ref in listing.refs if ref.class_name in counts)


def _require_in_train(listing: Listing, class_names: Collection[str]) -> None:
    """Refuse classes whose images are all given to other splits than train."""
    learned = {ref.class_name for ref in listing.refs if TRAIN_SPLIT in ref.splits}
    missing = sorted(set(class_names) - learned)
    if missing:
        raise DataError(" ".join([_missing_in_train(missing), *listing.look_alikes]))


def _missing_in_train(class_names: list[str]) -> str:
    return (
        f"The split {TRAIN_SPLIT!r} has no images of {some_of(class_names)}, so no "
        "model can learn them. All their images are given to other splits. Give some "
        f"to {TRAIN_SPLIT!r}, or leave these classes out by `class_names`."
    )


def summarise(listing: Listing, num_listed: int, found: Results) -> Summary:
    """Add up the results of the workers.

    Args:
        listing: The listing.
        num_listed: Number of its images.
        found: The results.
    """
    class_names = sorted(found.kept)
    none = dict.fromkeys(SPLITS, 0)
    counts = {
        split: {name: found.counts.get(name, none)[split] for name in class_names}
        for split in SPLITS
    }
    splits = {split: sum(counts[split].values()) for split in SPLITS}
    return Summary(
        layout=listing.layout,
        num_listed=num_listed,
        num_read=found.kept.total() + found.num_bad_copies,
        num_written=sum(splits.values()),
        num_quarantined=found.bad.number,
        num_bytes=found.num_bytes,
        counts=counts,
        splits=splits,
        reasons=dict(sorted(found.bad.reasons.items())),
        copies=dict(sorted(found.copies.items())),
        ignored=dict(sorted(listing.ignored.items())),
        warnings=[
            *listing.warnings,
            *_warn_of_unused_files(listing, found.bad, found.copies),
            *_warn_of_moves(found.moved),
            *_warn_of_small_classes(counts),
        ],
    )


def _warn_of_unused_files(
    listing: Listing, bad: BadImages, copies: Counter[str]
) -> Iterator[str]:
    if listing.ignored:
        kinds = describe(listing.ignored)
        yield f"Files that are not images were left aside: {kinds}."
    if bad.number:
        first = bad.shown[0]
        yield (
            f"{counted(bad.number, 'image')} can't be used and "
            f"{agree(bad.number, 'is', 'are')} quarantined, such as "
            f"{first.filename!r}: {first.reason}."
        )
    described = {
        "duplicate": "exact copies of other images",
        "leak": "images of a held-out split that were also in another split",
        "label_conflict": "images with more than one label",
    }
    for kind, number in copies.items():
        if number:
            yield f"Dropped, since they are {described[kind]}: {number:,}."


def _warn_of_moves(moved: Mapping[str, int]) -> Iterator[str]:
    if moved:
        growth = agree(len(moved), "this class grows", "these classes grow")
        yield (
            f"Hashing left a split without images of "
            f"{counted(len(moved), 'rare class')} ({some_of(sorted(moved))}). "
            f"Moved to fill it: {counted(sum(moved.values()), 'image')}, which may "
            f"move again while {growth}."
        )


def _warn_of_small_classes(counts: dict[str, dict[str, int]]) -> Iterator[str]:
    for split, by_class in counts.items():
        if not any(by_class.values()):
            continue
        none = [name for name, number in by_class.items() if number == 0]
        if none:
            yield (
                f"The split {split} has no images of {some_of(none)}: its figures say "
                f"nothing about {agree(len(none), 'this class', 'these classes')}."
            )
        few = {
            name: number
            for name, number in by_class.items()
            if 0 < number < _FEWEST_PER_CLASS_AND_SPLIT
        }
        if few:
            yield (
                f"The split {split} has fewer than {_FEWEST_PER_CLASS_AND_SPLIT} "
                f"images of {some_of(few, few)}: its figures for them say little."
            )


def require_usable(summary: Summary, bad: BadImages, config: DataConfig) -> None:
    """Stop if the usable images are too few to train a model.

    Raises:
        DataError: There are too many bad images, too few of a class, or none in a
            split.
    """
    num_bad, num_read = summary.num_quarantined, summary.num_read
    if num_bad > config.max_bad_fraction * num_read:
        shown = "\n".join(
            f"  {image.filename!r}: {image.reason}" for image in bad.shown
        )
        more = num_bad - len(bad.shown)
        raise DataError(
            f"{num_bad} of {counted(num_read, 'image')} can't be used; "
            f"`max_bad_fraction` allows {config.max_bad_fraction:.1%}, there are "
            f"{num_bad / num_read:.1%}:\n{shown}"
            + (f"\n  and {more} more" if more > 0 else "")
            + f"\n{_mend_of(bad)}, or raise `max_bad_fraction`."
        )
    totals = Counter[str]()
    for by_class in summary.counts.values():
        totals.update(by_class)
    _require_enough(totals, config, "usable images")
    for split in SPLITS:
        if summary.splits[split] == 0 and config.splits.of(split) > 0:
            raise DataError(
                f"The split {split!r} got none of "
                f"{counted(summary.num_written, 'image')}. "
                "Add images without a given split, at least three of a class, or give "
                "images to this split."
            )
    missing = [name for name, n in summary.counts[TRAIN_SPLIT].items() if n == 0]
    if missing:
        raise DataError(_missing_in_train(missing))


def _mend_of(bad: BadImages) -> str:
    if not bad.num_missing:
        return "Repair or delete them"
    correct = (
        "Correct the paths of missing files (they start from the manifest's folder, or "
        "from `image_folder` in it)"
    )
    return correct if bad.num_missing == bad.number else f"{correct}, repair the others"


def _require_enough(
    counts: Counter[str], config: DataConfig, what: str, notes: Sequence[str] = ()
) -> None:
    few = {name: n for name, n in counts.items() if n < config.min_images_per_class}
    if few:
        shown = sorted(few)
        fewest = min(few.values())
        lower = (
            f" Or set `min_images_per_class: {fewest}`. A class with fewer than three "
            "images is trained, but it is not in every split, so its figures say "
            "nothing."
        )
        raise DataError(
            "Each class needs at least `min_images_per_class` = "
            f"{config.min_images_per_class} {what}. Received: {some_of(shown, few)}. "
            + "".join(f"{note} " for note in notes[:_MOST_NOTES_IN_A_MESSAGE])
            + "Add images to these classes, or leave them out by `class_names`."
            + (lower if fewest > 0 else "")
        )
