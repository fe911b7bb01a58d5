"""Count the problems of a run's data in a few words, for a line that is read first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from graft.contract.counts import counted

_WORDS = {
    "label_errors": "doubtful label",
    "leaks": "near-copy in different splits",
    "label_conflicts": "near-copy with different labels",
    "blank": "blank image",
    "dark": "dark image",
    "blurred": "blurred image",
    "tiny": "tiny image",
}
"""Name of each check of DataQuality to what one finding is, worst first."""


def describe_problems(
    ingestion: Mapping[str, Any], quality: Mapping[str, Any] | None
) -> str:
    """Return such as "1 quarantined, 16 doubtful labels"; "" for good data.

    Args:
        ingestion: The `summary.json` of ImageExampleGen; empty if there is none.
        quality: The `quality.json` of DataQuality; None if there is none.
    """
    checks = [] if quality is None else quality.get("checks", [])
    found = {check["name"]: int(check["num_findings"]) for check in checks}
    parts = []
    if quarantined := int(ingestion.get("num_quarantined", 0)):
        parts.append(f"{quarantined:,} quarantined")
    for name, words in _WORDS.items():
        if number := found.get(name, 0):
            parts.append(_counted(number, words))
    return ", ".join(parts)


def _counted(number: int, words: str) -> str:
    """Return number and words; of a near-copy the first word has the plural."""
    noun, space, rest = words.partition(" ")
    if noun == "near-copy":
        plural = "near-copies" if number != 1 else noun
        return f"{number:,} {plural}{space}{rest}"
    return counted(number, words)
