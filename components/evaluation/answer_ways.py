"""How the answers of a model were found, for the verdict, the report and the log."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from graft.contract.counts import counted


@dataclass(frozen=True)
class AnswerWays:
    """How the answers of one model were found.

    Attributes:
        num_asked: Images that the exported model was asked about in this run.
        num_remembered: Images whose answer was in the store.
        num_scored: Images that its head answered about, from their stored features.
        greatest_difference: Between the two ways, on the images that the exported model
            was asked about; None if nothing was scored.
        reason: Why nothing was scored, or remembered; None if something could be.
    """

    num_asked: int
    num_remembered: int = 0
    num_scored: int = 0
    greatest_difference: float | None = None
    reason: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON value."""
        return asdict(self)


def describe_ways(answers: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return a sentence per model, from `Verdict.answers`."""
    names = {"candidate": "the candidate", "baseline": "the model in production"}
    return [
        _sentence(names[key], AnswerWays(**answers[key]))
        for key in names
        if key in answers
    ]


def _sentence(name: str, ways: AnswerWays) -> str:
    parts = [f"{name} was asked about {counted(ways.num_asked, 'test image')}"]
    if ways.num_scored:
        parts.append(
            f"its head answered about {ways.num_scored:,} from their stored features "
            f"(greatest difference on the images asked about: "
            f"{ways.greatest_difference:.1g})"
        )
    if ways.num_remembered:
        parts.append(f"{ways.num_remembered:,} answers were remembered")
    text = "; ".join(parts)
    if ways.reason:
        text += f" ({ways.reason})"
    return text[0].upper() + text[1:] + "."
