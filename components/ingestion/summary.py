"""What ingestion found: counts, warnings, and the judgement whether that will do."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from graft.components.ingestion.config import DataConfig
from graft.components.ingestion.deduplication import CopyGroup
from graft.components.ingestion.image_ref import ImageRef
from graft.components.ingestion.moving import Move
from graft.components.ingestion.source import Listing, some_of
from graft.components.ingestion.transforms import Quarantined, ShardCounts
from graft.contract.errors import DataError
from graft.contract.split_names import SPLITS, TRAIN_SPLIT
from graft.storage.left_aside import describe

_MOST_BAD_IMAGES_IN_A_MESSAGE = 20
_FEWEST_CLASSES = 2
# Below this many images of a class, its accuracy on a split says next to nothing.
_FEWEST_PER_CLASS_AND_SPLIT = 5


@dataclass(frozen=True)
class Summary:
    """The content of summary.json.

    Attributes:
        layout: How the data lay: "folders", "pre_split", "csv" and so on.
        num_listed: Images that the listing found.
        num_read: Images that were read: listed less dropped copies.
        num_written: Images in the examples.
        num_quarantined: Images that could not be used.
        num_bytes: Size of the written encoded images.
        counts: Number of written images by split and class name.
        splits: Number of written images by split.
        reasons: Number of quarantined images by kind of reason.
        copies: Number of dropped copies by kind: duplicate, leak, label_conflict.
        ignored: Files that are no images by their names: how many by kind.
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


def select_classes(listing: Listing, config: DataConfig) -> list[ImageRef]:
    """Return the images of the chosen classes, after what their numbers already tell.

    Raises:
        DataError: Nothing was found, fewer than two classes, a class with too few
            images, or a chosen class that does not exist.
    """
    counts = Counter(ref.class_name for ref in listing.refs)
    empty = listing.empty_classes
    if not counts:
        raise DataError(
            f"No images were found at {config.path!r}. Put images into one folder per "
            "class (JPEG, PNG, GIF, BMP or WebP)."
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
        counts = Counter({name: counts[name] for name in wanted})
        empty = []
    if len(counts) + len(empty) < _FEWEST_CLASSES:
        (name,) = counts
        raise DataError(
            f"At least two classes are needed. Received: only {name!r} at "
            f"{config.path!r}. Add a folder (or rows) of a second class."
        )
    for name in empty:
        counts[name] = 0
    # Whether they can be decoded is not known yet.
    notes = [*listing.empty_notes, *listing.look_alikes]
    _require_enough(counts, config, "image files", notes)
    return [ref for ref in listing.refs if ref.class_name in counts]


def summarise(
    listing: Listing,
    refs: list[ImageRef],
    shards: Iterable[ShardCounts],
    quarantined: list[Quarantined],
    groups: list[CopyGroup],
    *,
    moves: Sequence[Move] = (),
) -> Summary:
    """Add up what the workers found.

    Args:
        listing: What was listed.
        refs: The images that were read.
        shards: What was written.
        quarantined: What could not be used.
        groups: Copies of one image.
        moves: Written images that went to a split which had none of their class.

    Returns:
        The summary; it warns of classes that a split hardly has.
    """
    images: Counter[tuple[str, str]] = Counter()
    num_bytes = 0
    for shard in shards:
        for split, class_name, number in shard.images:
            images[split, class_name] += number
        num_bytes += shard.num_bytes
    for move in moves:
        images[move.before, move.class_name] -= 1
        images[move.after, move.class_name] += 1
    class_names = sorted({ref.class_name for ref in refs})
    counts = {
        split: {name: images[split, name] for name in class_names} for split in SPLITS
    }
    copies: Counter[str] = Counter()
    for group in groups:
        copies[group.kind] += len(group.dropped)
    warnings = [*listing.warnings]
    if listing.ignored:
        kinds = describe(listing.ignored)
        warnings.append(f"Files that are no images were left aside: {kinds}.")
    if quarantined:
        warnings.append(
            f"{len(quarantined)} images can't be used and are quarantined, such as "
            f"{quarantined[0].filename!r}: {quarantined[0].reason}."
        )
    described = {
        "duplicate": "exact copies of other images were dropped",
        "leak": "images of a held-out split were found in another one too and dropped "
        "there",
        "label_conflict": "images with more than one label were dropped",
    }
    warnings.extend(f"{n} {described[kind]}." for kind, n in copies.items() if n)
    if moves:
        moved_classes = sorted({move.class_name for move in moves})
        warnings.append(
            f"Hashing left a split without images of {len(moved_classes)} rare classes "
            f"({some_of(moved_classes)}): {len(moves)} images of them were moved to "
            "fill it. They may move again while these classes grow."
        )
    for split in SPLITS:
        few = [n for n in class_names if counts[split][n] < _FEWEST_PER_CLASS_AND_SPLIT]
        if few and sum(counts[split].values()):
            shown = [f"{name} ({counts[split][name]})" for name in few]
            warnings.append(
                f"The split {split} has fewer than {_FEWEST_PER_CLASS_AND_SPLIT} "
                f"images of {some_of(shown)}: its figures for them say little."
            )
    return Summary(
        layout=listing.layout,
        num_listed=len(listing.refs),
        num_read=len(refs),
        num_written=images.total(),
        num_quarantined=len(quarantined),
        num_bytes=num_bytes,
        counts=counts,
        splits={split: sum(counts[split].values()) for split in SPLITS},
        reasons=dict(sorted(Counter(map(kind_of_reason, quarantined)).items())),
        copies=dict(sorted(copies.items())),
        ignored=dict(sorted(listing.ignored.items())),
        warnings=warnings,
    )


def kind_of_reason(image: Quarantined) -> str:
    """Return the part of a reason that other images share: no numbers, no names."""
    return image.reason.split(":")[0].split(" (")[0].split(";")[0]


def require_usable(
    summary: Summary, quarantined: list[Quarantined], config: DataConfig
) -> None:
    """Stop if the images that are left can't make a model.

    Raises:
        DataError: Too many bad images, a class with too few, or an empty split.
    """
    num_bad, num_read = summary.num_quarantined, summary.num_read
    if num_bad > config.max_bad_fraction * num_read:
        shown = "\n".join(
            f"  {image.filename!r}: {image.reason}"
            for image in quarantined[:_MOST_BAD_IMAGES_IN_A_MESSAGE]
        )
        more = num_bad - _MOST_BAD_IMAGES_IN_A_MESSAGE
        raise DataError(
            f"{num_bad} of {num_read} images can't be used; `max_bad_fraction` allows "
            f"{config.max_bad_fraction:.1%}, there are "
            f"{num_bad / num_read:.1%}:\n{shown}"
            + (f"\n  and {more} more" if more > 0 else "")
            + "\nMend or delete them, or raise `max_bad_fraction`."
        )
    totals = Counter[str]()
    for by_class in summary.counts.values():
        totals.update(by_class)
    _require_enough(totals, config, "usable images")
    for split in SPLITS:
        if summary.splits[split] == 0 and config.splits.of(split) > 0:
            raise DataError(
                f"The split {split!r} got none of the {summary.num_written} images. "
                "It takes a class with three or more images whose split is not given: "
                "add images, or give some to this split."
            )
    missing = [name for name, n in summary.counts[TRAIN_SPLIT].items() if n == 0]
    if missing:
        raise DataError(
            f"The split {TRAIN_SPLIT!r} has no images of {some_of(missing)}, so that "
            "no model could learn them: all their images are given to other splits. "
            f"Give some to {TRAIN_SPLIT!r}, or leave these classes out by "
            "`class_names`."
        )


def _require_enough(
    counts: Counter[str], config: DataConfig, what: str, notes: Sequence[str] = ()
) -> None:
    few = {name: n for name, n in counts.items() if n < config.min_images_per_class}
    if few:
        shown = [f"{name} ({n})" for name, n in sorted(few.items())]
        fewest = min(few.values())
        lower = (
            f" Or set `min_images_per_class: {fewest}`: such a class is trained, but "
            "with fewer than three images it is not in every split, so that its "
            "figures say nothing."
        )
        raise DataError(
            "Each class needs at least `min_images_per_class` = "
            f"{config.min_images_per_class} {what}. Received: {some_of(shown)}. "
            + "".join(f"{note} " for note in notes[:_MOST_BAD_IMAGES_IN_A_MESSAGE])
            + "Add images to these classes, or leave them out by `class_names`."
            + (lower if fewest > 0 else "")
        )
