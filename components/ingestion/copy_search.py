"""The search for exact copies as a Beam transform: images meet by their content hash.

Only images of the same size in bytes are read for it. What workers exchange are small
rows, grouped by ranges of the hash; a worker holds the rows of one range.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import apache_beam as beam

from graft.components.ingestion.deduplication import (
    Candidate,
    CopyFindings,
    CopyGroup,
    add_findings,
    findings_of,
    judge_copies,
)
from graft.components.ingestion.image_lists import ShardTask, read_candidates
from graft.components.ingestion.packing import Packed, pack, range_of, unpack
from graft.components.ingestion.reading import PooledFn
from graft.components.ingestion.sources.config import DataConfig
from graft.components.ingestion.sources.image_ref import ImageRef, read_bytes
from graft.components.progress import Progress
from graft.contract.image_signatures import has_image_signature
from graft.storage import atomic, hashing
from graft.storage.paths import join

GROUPS_FILES = "copies-{number:05d}.jsonl"
BAD_COPIES_FILES = "bad-copies-{number:05d}.jsonl"
_GROUPS_TAG = "groups"
_FINDINGS_TAG = "findings"


class Quarantined(NamedTuple):
    """An image that can't be used.

    Attributes:
        filename: Name in the data set, printable.
        class_name: Class name.
        reason: Why it can't be used.
        num_bytes: Size of the file; None if it is not known.
    """

    filename: str
    class_name: str
    reason: str
    num_bytes: int | None


class Copies(NamedTuple):
    """What the search for copies gives.

    Attributes:
        decisions: `Decision`s, packed by shard.
        groups: Groups of copies, packed by ranges of the hash.
        findings: One element, the JSON of `CopyFindings`.
    """

    decisions: beam.PCollection
    groups: beam.PCollection
    findings: beam.PCollection


class HashImages(beam.PTransform):
    """Hash images: ShardTasks in, lists of (position among all, SHA-256 or None) out.

    None means that the file can't be read or has no image signature. Such files don't
    count as copies of each other.
    """

    def __init__(self, config: DataConfig, progress: Progress) -> None:
        super().__init__()
        self._fn = _HashImagesFn(config, progress)

    def expand(self, tasks: beam.PCollection) -> beam.PCollection:
        """Apply it to a collection of `ShardTask`."""
        return tasks | "Hash" >> beam.ParDo(self._fn)


class FindCopies(beam.PTransform):
    """Find exact copies, and choose among them: ShardTasks in, `Copies` out."""

    def __init__(self, config: DataConfig, progress: Progress) -> None:
        super().__init__()
        self._config = config
        self._progress = progress

    def expand(self, tasks: beam.PCollection) -> Copies:
        """Apply it to a collection of `ShardTask`."""
        judged = (
            tasks
            | "Hash" >> beam.ParDo(_HashCandidatesFn(self._config, self._progress))
            | "ByHash" >> beam.GroupByKey()
            | "Judge"
            >> beam.FlatMap(_judge, self._config).with_outputs(
                _GROUPS_TAG, _FINDINGS_TAG, main="decisions"
            )
        )
        findings = judged[_FINDINGS_TAG] | "Add" >> beam.CombineGlobally(_add)
        return Copies(judged.decisions, judged[_GROUPS_TAG], findings)


class SettleCopies(beam.PTransform):
    """Write the groups of copies, once it is known which images can't be used.

    A copy of an unusable image counts as unusable, and not as a copy. Only one copy is
    read, so the others are not among the quarantined images.

    In: the packed groups of `Copies`, and rows of (content hash, *`Quarantined`) of
    copies that can't be used, packed by the same ranges. Files of both are written;
    the numbers of ranges come out.
    """

    def __init__(self, work_folder: str) -> None:
        super().__init__()
        self._work_folder = work_folder

    def expand(
        self, both: tuple[beam.PCollection, beam.PCollection]
    ) -> beam.PCollection:
        """Apply it to groups and bad images."""
        groups, bad = both
        tagged = (
            groups | "Groups" >> beam.MapTuple(lambda key, rows: (key, (True, rows))),
            bad | "Bad" >> beam.MapTuple(lambda key, rows: (key, (False, rows))),
        )
        return (
            tagged
            | beam.Flatten()
            | beam.GroupByKey()
            | "Settle" >> beam.Map(_settle, self._work_folder)
        )


def findings_from(element: bytes) -> CopyFindings:
    """Read `Copies.findings`."""
    dropped, less_free, refused, shown = json.loads(element)
    found = CopyFindings(dropped, less_free, refused, [tuple(each) for each in shown])
    return add_findings([found])


class _HashingFn(PooledFn):
    def _hash(self, ref: ImageRef) -> str:
        encoded = read_bytes(ref, self._config.max_file_bytes)
        if not has_image_signature(encoded):
            raise ValueError("not an image")
        return hashing.hash_bytes(encoded)


class _HashImagesFn(_HashingFn):
    def process(self, task: ShardTask) -> Iterator[list[tuple[int, str | None]]]:
        found: list[tuple[int, str | None]] = []
        images = read_candidates(task.list_path)
        for _, position, result in self.in_order(self._hash, images):
            content_hash = None if isinstance(result, ValueError) else result
            found.append((task.begin + position, content_hash))
            self._progress.advance("files compared")
        yield found


class _HashCandidatesFn(_HashingFn):
    def process(self, task: ShardTask) -> Iterator[Packed]:
        yield from pack(self._rows(task))

    def _rows(self, task: ShardTask) -> Iterator[tuple[int, Any]]:
        images = read_candidates(task.list_path)
        for ref, position, result in self.in_order(self._hash, images):
            self._progress.advance("files compared")
            if not isinstance(result, ValueError):
                candidate = Candidate(
                    task.number, position, ref.name, ref.class_name, ref.splits
                )
                yield range_of(result, task.total), (result, *candidate)


def _judge(rows: tuple[int, Iterable[bytes]], config: DataConfig) -> Iterator[Any]:
    number, packed = rows
    by_hash: dict[str, list[Candidate]] = defaultdict(list)
    for content_hash, shard, position, name, class_name, splits in unpack(packed):
        by_hash[content_hash].append(
            Candidate(shard, position, name, class_name, tuple(splits))
        )
    judgements = [
        judge_copies(content_hash, copies, config)
        for content_hash, copies in sorted(by_hash.items())
        if len(copies) > 1
    ]
    yield from pack(
        (decision.shard, decision) for each in judgements for decision in each.decisions
    )
    for packed_groups in pack((number, (*j.group, j.dropped)) for j in judgements):
        yield beam.pvalue.TaggedOutput(_GROUPS_TAG, packed_groups)
    if judgements:
        found = json.dumps(findings_of(judgements, config)).encode()
        yield beam.pvalue.TaggedOutput(_FINDINGS_TAG, found)


def _add(several: Iterable[bytes]) -> bytes:
    return json.dumps(add_findings(map(findings_from, several))).encode()


def _settle(
    found_in_range: tuple[int, Iterable[tuple[bool, bytes]]], work_folder: str
) -> int:
    number, tagged = found_in_range
    rows: dict[bool, list[bytes]] = {True: [], False: []}
    for is_groups, packed in tagged:
        rows[is_groups].append(packed)
    bad: dict[str, Quarantined] = {}
    for content_hash, *image in unpack(rows[False]):
        found = Quarantined(*image)
        first = bad.setdefault(content_hash, found)
        if found.filename < first.filename:
            bad[content_hash] = found
    groups, quarantined = [], []
    for *fields, dropped in unpack(rows[True]):
        group = CopyGroup(*fields)
        if group.content_hash not in bad:
            groups.append(json.dumps(group._asdict()))
            continue
        read = bad[group.content_hash]
        for name, class_name in dropped:
            quarantined.append(
                json.dumps(read._replace(filename=name, class_name=class_name))
            )
    for name, lines in ((GROUPS_FILES, groups), (BAD_COPIES_FILES, quarantined)):
        if lines:
            path = join(work_folder, name.format(number=number))
            atomic.write_text(path, "".join(f"{line}\n" for line in lines))
    return number
