"""Apply label fixes to the listed images: relabel, drop, add or confirm them.

A content hash names all copies of an image, a path one file. Only the files that a fix
may mean are read for their hashes. A fix that may mean two things stops the run.
"""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from graft.components.ingestion.fixes.applied_fixes import DONE, AppliedFixes
from graft.components.ingestion.fixes.fix_files import conflict
from graft.components.ingestion.fixes.fix_rows import Fix, FixFile
from graft.components.ingestion.fixes.fix_search import HashImages, ImageSearch
from graft.components.ingestion.sources.config import DataConfig
from graft.components.ingestion.sources.image_ref import ImageRef, printable
from graft.components.ingestion.sources.labels import shown, text_of_cell
from graft.components.ingestion.sources.source import Listing, class_name_of, some_of
from graft.components.ingestion.sources.splitting import choose_split
from graft.contract.counts import counted
from graft.contract.errors import DataError
from graft.contract.split_names import SPLITS, TRAIN_SPLIT
from graft.storage.paths import name_of


class _Outcome(NamedTuple):
    """What a fix makes of an image; `class_name` is None if it is dropped."""

    class_name: str | None
    fix: Fix


def apply_fixes(
    listing: Listing,
    fix_files: Sequence[FixFile],
    config: DataConfig,
    hash_images: HashImages,
) -> AppliedFixes:
    """Change the listed images as a person decided.

    Args:
        listing: The images; its references and warnings are changed.
        fix_files: The decisions.
        config: The data.
        hash_images: Hashes images; it is called for those that a fix may mean.

    Raises:
        DataError: A fix is not clear, contradicts another one or the data, or names a
            class that the data lack.
    """
    fixes = [fix for file in fix_files for fix in file.fixes]
    known = {ref.class_name for ref in listing.refs} | set(listing.empty_classes)
    classes = _Classes(known, fixes, config)
    listed = Counter(ref.class_name for ref in listing.refs)
    first_added = len(listing.refs)
    listing.refs.extend(_added_images(listing.refs, fixes, classes, config))
    search = ImageSearch(listing.refs, config, hash_images)
    found = search.positions_of(fixes, first_added)
    outcomes: dict[int, _Outcome] = {}
    for fix, positions in zip(fixes, found, strict=True):
        _decide(fix, positions, listing.refs, classes, outcomes)
    applied = _describe(fix_files, fixes, found, outcomes, listing.refs, search, config)
    listing.refs.replace(_with_outcomes(listing.refs, outcomes))
    left = {ref.class_name for ref in listing.refs}
    if listing.empty_classes:
        listing.empty_classes[:] = [n for n in listing.empty_classes if n not in left]
        listing.empty_notes *= bool(listing.empty_classes)
    for name in sorted(listed.keys() - left):
        listing.empty_classes.append(name)
        listing.empty_notes.append(
            f"The label fixes leave no image of {name!r}. If this is meant, list the "
            "other classes in `class_names`."
        )
    missing = [fix for fix, places in zip(fixes, found, strict=True) if not places]
    if fixes and len(missing) == len(fixes):
        raise DataError(
            f"`label_fixes` names no image of the data at {config.path!r}. Received: "
            f"{counted(len(fixes), 'row')}, such as {fixes[0].where}: "
            f"{fixes[0].describe()}. Name the file of these data, or leave it out."
        )
    listing.warnings += applied.describe()
    if missing:
        listing.warnings.append(
            f"Not in the data: the images of {counted(len(missing), 'row')} of label "
            f"fixes, such as {missing[0].describe()} ({missing[0].where})."
        )
    return applied


class _Classes:
    """The classes that a fix may give."""

    def __init__(
        self, known: set[str], fixes: Iterable[Fix], config: DataConfig
    ) -> None:
        self._known = known
        self._new = set(config.class_names or ()) - known
        for fix in fixes:
            if fix.is_new_class:
                self._new.add(self._new_name(fix))

    def of(self, fix: Fix) -> str:
        """Return the class that a fix gives.

        Raises:
            DataError: The data have no such class.
        """
        name = class_name_of(fix.new_label or "", fix.where)
        if name in self._known or name in self._new:
            return name
        close = difflib.get_close_matches(name, self._known, n=1, cutoff=0.5)
        folded = [each for each in self._known if each.casefold() == name.casefold()]
        hint = f" Did you mean {(folded or close)[0]!r}?" if folded or close else ""
        raise DataError(
            f"{fix.where}: the data have no class {name!r}; there are "
            f"{some_of(sorted(self._known))}.{hint} If it is a class of its own, write "
            "'new class' into `action` of one of its rows."
        )

    def _new_name(self, fix: Fix) -> str:
        text = fix.new_label or ""
        try:
            return class_name_of(text_of_cell(text), fix.where)
        except ValueError as error:
            raise DataError(
                f"{fix.where}: `new_label` {error}. Received: {shown(text)}."
            ) from error


def _added_images(
    refs: Sequence[ImageRef],
    fixes: Iterable[Fix],
    classes: _Classes,
    config: DataConfig,
) -> Iterator[ImageRef]:
    """Yield the references to the images to add."""
    added = [fix for fix in fixes if fix.kind == "add"]
    if not added:
        return
    names = {printable(ref.name) for ref in refs}
    # Beside given splits, an added image counts as one of `train`.
    splits = max(
        (ref.splits for ref in refs if TRAIN_SPLIT in ref.splits),
        key=len,
        default=SPLITS,
    )
    for fix in added:
        entry = fix.file_of_added()
        is_taken = printable(entry.name) in names
        yield ImageRef(
            entry.path,
            entry.path if is_taken else entry.name,
            classes.of(fix),
            name_of(fix.file),
            splits,
            entry.size,
        )


def _decide(
    fix: Fix,
    positions: Sequence[int],
    refs: Sequence[ImageRef],
    classes: _Classes,
    outcomes: dict[int, _Outcome],
) -> None:
    """Note what becomes of the images of a fix."""
    if not positions:
        if fix.new_label is not None:
            classes.of(fix)
        return
    present = sorted({refs[position].class_name for position in positions})
    after: str | None = None
    if fix.kind in ("relabel", "add"):
        after = classes.of(fix)
    elif fix.kind == "keep":
        if fix.label is None and len(present) > 1:
            raise DataError(
                f"{fix.where}: {fix.describe()} has copies under {some_of(present)}. "
                "Write the right label into `new_label`, instead of 'keep'."
            )
        after = present[0] if fix.label is None else _seen(fix)
    if fix.label is not None and _seen(fix) not in present and present != [after]:
        raise DataError(
            f"{fix.where}: the label of {fix.describe()} is {some_of(present)} now, "
            f"and was {shown(fix.label)} when the row was written. Correct the cell "
            "`label` or clear it, or delete the row."
        )
    for position in positions:
        earlier = outcomes.setdefault(position, _Outcome(after, fix))
        if earlier.class_name != after:
            raise conflict(fix, earlier.fix, repr(printable(refs[position].name)))


def _seen(fix: Fix) -> str:
    return class_name_of(fix.label or "", fix.where)


def _with_outcomes(
    refs: Iterable[ImageRef], outcomes: dict[int, _Outcome]
) -> Iterator[ImageRef]:
    for position, ref in enumerate(refs):
        outcome = outcomes.get(position)
        if outcome is None:
            yield ref
        elif outcome.class_name is not None:
            yield ref._replace(class_name=outcome.class_name)


def _describe(  # noqa: PLR0917 - all that was done
    fix_files: Sequence[FixFile],
    fixes: Sequence[Fix],
    found: Sequence[Sequence[int]],
    outcomes: dict[int, _Outcome],
    refs: Sequence[ImageRef],
    search: ImageSearch,
    config: DataConfig,
) -> AppliedFixes:
    """Count what was done, each image once."""
    counts = Counter({key: 0 for key in (*DONE.values(), "not_in_data")})
    by, splits, changes = Counter[str](), Counter[str](), Counter[tuple[str, str]]()
    rows: list[dict[str, Any]] = []
    told: set[int] = set()
    for fix, positions in zip(fixes, found, strict=True):
        if not positions:
            counts["not_in_data"] += 1
            continue
        if told.issuperset(positions):
            continue  # another row says the same
        told.update(positions)
        first = positions[0]
        ref, after = refs[first], outcomes[first].class_name
        before = fix.label and _seen(fix)
        present = [refs[position].class_name for position in positions]
        before = before if before in present else present[0]
        done = DONE[fix.kind]
        if done == "relabelled" and all(name == after for name in present):
            done = "confirmed"
        counts[done] += 1
        by[fix.by] += 1
        content_hash = search.hashes.get(first)
        if content_hash is not None:
            splits[choose_split(content_hash, ref.splits, config.splits)] += 1
        if done == "relabelled":
            changes[str(before), str(after)] += 1
        rows.append(
            {
                "content_hash": content_hash,
                "filename": printable(ref.name),
                "action": done,
                "before": None if done == "added" else before,
                "after": after,
                "copies": len(positions),
                "where": fix.where,
            }
        )
    return AppliedFixes(
        files=[
            {
                "path": file.path,
                "sha256": file.sha256,
                "rows": file.num_rows,
                "undecided": file.num_undecided,
            }
            for file in fix_files
        ],
        counts=dict(counts),
        by=dict(sorted(by.items())),
        splits={split: splits[split] for split in SPLITS if splits[split]},
        changes=[
            {"before": before, "after": after, "count": number}
            for (before, after), number in changes.most_common()
        ],
        fixes=rows,
    )
