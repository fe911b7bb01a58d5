"""Find exact copies of an image, and keep one of them, in one split.

Only images of the same size in bytes can be copies. So few large photographs are read
for this.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal, NamedTuple

from graft.components.ingestion.sources.config import DataConfig
from graft.components.ingestion.sources.image_ref import ImageRef, printable
from graft.components.ingestion.sources.source import some_of
from graft.contract.counts import counted
from graft.contract.errors import DataError
from graft.contract.split_names import EVAL_SPLIT, TEST_SPLIT

if TYPE_CHECKING:
    from graft.components.ingestion.transforms import Quarantined

_MOST_GROUPS_IN_A_MESSAGE = 5
_MOST_COPIES_IN_A_MESSAGE = 4


class CopyGroup(NamedTuple):
    """The copies of one image.

    Attributes:
        kind: "duplicate" (one label, one split), "leak" (one label, several given
            splits), or "label_conflict" (several labels).
        content_hash: SHA-256 of the bytes.
        labels: The class names, sorted.
        kept: Names of the kept copies, at most one per label.
        dropped: Names of the other copies.
    """

    kind: Literal["duplicate", "leak", "label_conflict"]
    content_hash: str
    labels: list[str]
    kept: list[str]
    dropped: list[str]


def copy_candidates(refs: Iterable[ImageRef]) -> list[int]:
    """Return the positions of images that may be copies of another image."""
    refs = list(refs)
    sizes = Counter(ref.size for ref in refs)
    is_any_unknown = sizes.pop(None, 0) > 0
    return [
        position
        for position, ref in enumerate(refs)
        # Empty files are all equal, but they are not images.
        if ref.size != 0 and (is_any_unknown or sizes[ref.size] > 1)
    ]


def drop_copies(
    refs: list[ImageRef], hashes: dict[int, str], config: DataConfig
) -> tuple[list[ImageRef], list[CopyGroup]]:
    """Keep one copy of each image.

    Args:
        refs: The images.
        hashes: Position in `refs` to SHA-256 of the content, for copy candidates with
            an image signature.
        config: `duplicate_label_policy` and `leak_policy` are read.

    Returns:
        The kept images in their order, and the groups of copies.

    Raises:
        DataError: A policy is "fail" and such a group exists.
    """
    positions_by_hash: dict[str, list[int]] = defaultdict(list)
    for position, content_hash in hashes.items():
        positions_by_hash[content_hash].append(position)
    groups: list[CopyGroup] = []
    dropped: set[int] = set()
    moved: dict[int, tuple[str, ...]] = {}
    for content_hash, positions in sorted(positions_by_hash.items()):
        if len(positions) == 1:
            continue
        positions.sort(key=lambda p: (_openness(refs[p].splits), refs[p].name))
        splits = refs[positions[0]].splits
        labels = sorted({refs[p].class_name for p in positions})
        keep: dict[str, int] = {}
        for position in positions:
            keep.setdefault(refs[position].class_name, position)
        if len(labels) > 1:
            kind = "label_conflict"
            if config.duplicate_label_policy != "keep":
                keep = {}
            moved.update((position, splits) for position in keep.values())
        elif any(refs[p].splits != splits for p in positions):
            kind = "leak"
        else:
            kind = "duplicate"
        kept = set(keep.values())
        dropped.update(p for p in positions if p not in kept)
        groups.append(
            CopyGroup(
                kind,  # type: ignore[arg-type]
                content_hash,
                labels,
                sorted(printable(refs[p].name) for p in kept),
                sorted(printable(refs[p].name) for p in positions if p not in kept),
            )
        )
    _apply_fail_policies(groups, config)
    kept_refs = [
        ref._replace(splits=moved.get(position, ref.splits))
        for position, ref in enumerate(refs)
        if position not in dropped
    ]
    return kept_refs, groups


def quarantine_copies(
    quarantined: list[Quarantined],
    groups: list[CopyGroup],
    refs: Iterable[ImageRef],
) -> tuple[list[Quarantined], list[CopyGroup]]:
    """Count the copies of an unusable image as unusable, and not as copies.

    Only one copy is read, so the others are not among the quarantined images.

    Args:
        quarantined: The images that can't be used.
        groups: The groups of copies.
        refs: All images, copies included.

    Returns:
        The quarantined images with their copies, by name, and the other groups.
    """
    reasons = {image.filename: image for image in quarantined}
    bad = [group for group in groups if not reasons.keys().isdisjoint(group.kept)]
    if not bad:
        return quarantined, groups
    kept_of = {name: group.kept for group in bad for name in group.dropped}
    copies = []
    for ref in refs:
        name = printable(ref.name)
        if name in kept_of:
            read = next(reasons[kept] for kept in kept_of[name] if kept in reasons)
            copies.append(read._replace(filename=name, class_name=ref.class_name))
    return (
        sorted([*quarantined, *copies], key=lambda image: image.filename),
        [group for group in groups if group not in bad],
    )


def _openness(splits: tuple[str, ...]) -> int:
    """Rank the allowed splits of an image: test, then eval, then sets with train."""
    if splits in ((TEST_SPLIT,), (EVAL_SPLIT,)):
        return 0 if splits[0] == TEST_SPLIT else 1
    return 1 + len(splits)


def _apply_fail_policies(groups: list[CopyGroup], config: DataConfig) -> None:
    conflicts = [group for group in groups if group.kind == "label_conflict"]
    if conflicts and config.duplicate_label_policy == "fail":
        raise DataError(
            f"{counted(len(conflicts), 'image')} under more than one label: "
            f"{_described(conflicts)}. Delete the wrong copies, or set "
            "`duplicate_label_policy` to 'drop' (use none of them) or 'keep' (use one "
            "under each label)."
        )
    leaks = [group for group in groups if group.kind == "leak"]
    if leaks and config.leak_policy == "fail":
        raise DataError(
            f"{counted(len(leaks), 'image')} in more than one given split: "
            f"{_described(leaks)}. Delete the copies, or set `leak_policy` to "
            "'drop_from_train'."
        )


def _described(groups: list[CopyGroup]) -> str:
    shown = []
    for group in groups[:_MOST_GROUPS_IN_A_MESSAGE]:
        names = sorted(group.kept + group.dropped)
        text = " = ".join(repr(name) for name in names[:_MOST_COPIES_IN_A_MESSAGE])
        more = len(names) - _MOST_COPIES_IN_A_MESSAGE
        text += f" and {more} more" if more > 0 else ""
        if len(group.labels) > 1:
            text += f" (labels {some_of(group.labels)})"
        shown.append(text)
    if len(groups) > len(shown):
        shown.append(f"{len(groups) - len(shown)} more")
    return "; ".join(shown)
