"""Choose among the exact copies of an image: keep one of them, in one split."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

from graft.components.ingestion.sources.config import DataConfig
from graft.components.ingestion.sources.image_ref import printable
from graft.components.ingestion.sources.source import some_of
from graft.contract.counts import counted
from graft.contract.errors import DataError
from graft.contract.split_names import EVAL_SPLIT, TEST_SPLIT

_MOST_GROUPS_IN_A_MESSAGE = 5
_MOST_COPIES_IN_A_MESSAGE = 4


class Candidate(NamedTuple):
    """An image that may be a copy of another one.

    Attributes:
        shard: Number of the shard whose list names it.
        position: Its position in that list.
        name: As in `ImageRef`.
        class_name: As in `ImageRef`.
        splits: As in `ImageRef`.
    """

    shard: int
    position: int
    name: str
    class_name: str
    splits: tuple[str, ...]


class Decision(NamedTuple):
    """What becomes of one copy.

    Attributes:
        shard: Number of the shard whose list names it.
        position: Its position in that list.
        splits: Its allowed splits; none if it is dropped.
        content_hash: SHA-256 of the bytes.
        is_shared: Whether copies under other labels are kept, too.
    """

    shard: int
    position: int
    splits: tuple[str, ...]
    content_hash: str
    is_shared: bool


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


class Judgement(NamedTuple):
    """What becomes of the copies of one image.

    Attributes:
        group: The copies.
        decisions: One for each copy.
        dropped: Printable name and class name of the dropped copies.
        dropped_by_class: Number of dropped copies by class name.
        less_free: By class name, how many images fewer have no given split.
    """

    group: CopyGroup
    decisions: list[Decision]
    dropped: list[tuple[str, str]]
    dropped_by_class: Counter[str]
    less_free: Counter[str]


def judge_copies(
    content_hash: str, copies: Iterable[Candidate], config: DataConfig
) -> Judgement:
    """Choose which copies of an image to keep, and their split.

    Args:
        content_hash: SHA-256 of the bytes.
        copies: Two or more images with these bytes, in any order.
        config: `duplicate_label_policy` is read.
    """
    copies = sorted(
        copies, key=lambda c: (_openness(c.splits), c.name, c.shard, c.position)
    )
    splits = copies[0].splits
    labels = sorted({copy.class_name for copy in copies})
    keep: dict[str, Candidate] = {}
    for copy in copies:
        keep.setdefault(copy.class_name, copy)
    kind: Literal["duplicate", "leak", "label_conflict"]
    if len(labels) > 1:
        kind = "label_conflict"
        if config.duplicate_label_policy != "keep":
            keep = {}
    elif any(copy.splits != splits for copy in copies):
        kind = "leak"
    else:
        kind = "duplicate"
    kept = {(copy.shard, copy.position) for copy in keep.values()}
    decisions = []
    dropped = []
    dropped_by_class: Counter[str] = Counter()
    less_free: Counter[str] = Counter()
    for copy in copies:
        is_kept = (copy.shard, copy.position) in kept
        after = splits if is_kept else ()
        decisions.append(
            Decision(copy.shard, copy.position, after, content_hash, len(kept) > 1)
        )
        less_free[copy.class_name] += (len(copy.splits) > 1) - (len(after) > 1)
        if not is_kept:
            dropped.append((printable(copy.name), copy.class_name))
            dropped_by_class[copy.class_name] += 1
    group = CopyGroup(
        kind,
        content_hash,
        labels,
        sorted(printable(copy.name) for copy in keep.values()),
        sorted(name for name, _ in dropped),
    )
    return Judgement(group, decisions, dropped, dropped_by_class, less_free)


class CopyFindings(NamedTuple):
    """What the search for copies found in all images, or in some of them.

    Attributes:
        dropped: Number of dropped copies by class name.
        less_free: By class name, how many images fewer have no given split.
        refused: Number of groups by kind, for the kinds that a policy refuses.
        shown: Kind, content hash and description of the first of them by hash.
    """

    dropped: Counter[str]
    less_free: Counter[str]
    refused: Counter[str]
    shown: list[tuple[str, str, str]]


def findings_of(judgements: Iterable[Judgement], config: DataConfig) -> CopyFindings:
    """Add up judgements.

    Args:
        judgements: The judgements.
        config: `duplicate_label_policy` and `leak_policy` are read.
    """
    found = CopyFindings(Counter(), Counter(), Counter(), [])
    refused = _refused_kinds(config)
    shown = []
    for judgement in judgements:
        found.dropped.update(judgement.dropped_by_class)
        found.less_free.update(judgement.less_free)
        group = judgement.group
        if group.kind in refused:
            found.refused[group.kind] += 1
            shown.append((group.kind, group.content_hash, _described(group)))
    return found._replace(shown=_first_of(shown))


def add_findings(several: Iterable[CopyFindings]) -> CopyFindings:
    """Add up findings, in any order."""
    dropped, less_free = Counter[str](), Counter[str]()
    refused, shown = Counter[str](), list[tuple[str, str, str]]()
    for found in several:
        dropped.update(found.dropped)
        less_free.update(found.less_free)
        refused.update(found.refused)
        shown = _first_of([*shown, *found.shown])
    return CopyFindings(dropped, less_free, refused, shown)


def require_allowed(found: CopyFindings) -> None:
    """Refuse copies that a policy refuses.

    Raises:
        DataError: There are some.
    """
    if number := found.refused["label_conflict"]:
        raise DataError(
            f"{counted(number, 'image')} under more than one label: "
            f"{_list_of(found, 'label_conflict')}. Delete the wrong copies, or set "
            "`duplicate_label_policy` to 'drop' (use none of them) or 'keep' (use one "
            "under each label)."
        )
    if number := found.refused["leak"]:
        raise DataError(
            f"{counted(number, 'image')} in more than one given split: "
            f"{_list_of(found, 'leak')}. Delete the copies, or set `leak_policy` to "
            "'drop_from_train'."
        )


def _refused_kinds(config: DataConfig) -> set[str]:
    refused = set()
    if config.duplicate_label_policy == "fail":
        refused.add("label_conflict")
    if config.leak_policy == "fail":
        refused.add("leak")
    return refused


def _first_of(shown: Sequence[tuple[str, str, str]]) -> list[tuple[str, str, str]]:
    return [
        each
        for kind in ("label_conflict", "leak")
        for each in heapq.nsmallest(
            _MOST_GROUPS_IN_A_MESSAGE, (each for each in shown if each[0] == kind)
        )
    ]


def _openness(splits: tuple[str, ...]) -> int:
    """Rank the allowed splits of an image: test, then eval, then sets with train."""
    if splits in ((TEST_SPLIT,), (EVAL_SPLIT,)):
        return 0 if splits[0] == TEST_SPLIT else 1
    return 1 + len(splits)


def _list_of(found: CopyFindings, kind: str) -> str:
    shown = [text for shown_kind, _, text in found.shown if shown_kind == kind]
    more = found.refused[kind] - len(shown)
    return "; ".join([*shown, f"{more} more"] if more > 0 else shown)


def _described(group: CopyGroup) -> str:
    names = sorted(group.kept + group.dropped)
    text = " = ".join(repr(name) for name in names[:_MOST_COPIES_IN_A_MESSAGE])
    more = len(names) - _MOST_COPIES_IN_A_MESSAGE
    text += f" and {more} more" if more > 0 else ""
    if len(group.labels) > 1:
        text += f" (labels {some_of(group.labels)})"
    return text
