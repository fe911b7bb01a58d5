"""The record of a run's label fixes, in the folder of its examples.

The quality checks, the gate, the report and the manifest read it.
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from graft.components.ingestion.sources.source import some_of
from graft.contract.counts import counted
from graft.contract.split_names import TEST_SPLIT
from graft.storage import files
from graft.storage.paths import join, name_of

FIXES_FILE = "label_fixes.json"
"""File in the folder of the examples that holds `AppliedFixes`; absent without fixes.

It lies beside the folders of the splits."""

DONE = {
    "relabel": "relabelled",
    "drop": "dropped",
    "add": "added",
    "keep": "confirmed",
}
"""What a decision does to an image."""


class AppliedFixes(NamedTuple):
    """What a run did for the label fixes.

    Attributes:
        files: Per file: `path`, `sha256`, `rows` and `undecided`.
        counts: Images by `relabelled`, `dropped`, `added` and `confirmed`; rows by
            `not_in_data`.
        by: Number of images by the name of the person; "" for rows without a name.
        splits: Number of images by split.
        changes: Number of relabelled images by `before` and `after`.
        fixes: Per image: `content_hash` (None if unreadable), `filename`, `action`,
            `before`, `after`, `copies` and `where`.
    """

    files: list[dict[str, Any]]
    counts: dict[str, int]
    by: dict[str, int]
    splits: dict[str, int]
    changes: list[dict[str, Any]]
    fixes: list[dict[str, Any]]

    def to_json(self) -> str:
        """Return it as JSON."""
        return json.dumps(self._asdict(), indent=1, ensure_ascii=False) + "\n"

    def totals(self) -> dict[str, Any]:
        """Return all but the single images, for a manifest."""
        return {key: value for key, value in self._asdict().items() if key != "fixes"}

    @property
    def confirmed_hashes(self) -> frozenset[str]:
        """Content hashes of the images whose label a person gave or confirmed."""
        return frozenset(
            fix["content_hash"]
            for fix in self.fixes
            if fix["content_hash"] and fix["action"] != "dropped"
        )

    def describe(self) -> list[str]:
        """Return what was done, as sentences for the user."""
        names = some_of([name_of(file["path"]) for file in self.files])
        done = [
            f"{self.counts[word]:,} {word}"
            for word in DONE.values()
            if self.counts[word]
        ]
        sentence = f"Label fixes of {names}: {', '.join(done) or 'no decisions'}"
        if in_test := self.splits.get(TEST_SPLIT, 0):
            sentence += f"; {in_test:,} of them in {TEST_SPLIT}"
        undecided = sum(file["undecided"] for file in self.files)
        if undecided:
            sentence += f". {counted(undecided, 'row')} without a decision"
        return [f"{sentence}."]


def read_applied_fixes(examples_uri: str) -> AppliedFixes | None:
    """Read the applied fixes of a run's examples; None for a run without fixes."""
    path = join(examples_uri, FIXES_FILE)
    if not files.exists(path):
        return None
    return AppliedFixes(**json.loads(files.read_text(path)))
