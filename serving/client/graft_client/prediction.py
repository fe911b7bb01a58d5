"""The prediction for one image."""

from __future__ import annotations

from dataclasses import dataclass, field

from graft_client import signature_names


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """The class name and the probabilities of one image."""

    class_name: str
    """Class name of the greatest probability; `unknown` where the model isn't sure."""
    score: float
    """The greatest probability, in [0, 1]."""
    model_version: int
    """Version of the model that answered."""
    probabilities: tuple[float, ...] = field(repr=False)
    """One per class, in the order of the label map; they sum to 1."""
    class_names: tuple[str, ...] = field(default=(), repr=False)
    """Class names in the order of `probabilities`; empty if the model gives none."""

    @property
    def is_unknown(self) -> bool:
        """Whether the model isn't sure enough to name a class."""
        return (
            self.class_name == signature_names.UNKNOWN_LABEL
            and self.class_name not in self.class_names
        )

    def top(self, count: int) -> list[tuple[str, float]]:
        """Return the `count` most probable (class name, probability), best first.

        The list has one entry if the model gives only the name of the best class.

        Raises:
            ValueError: If `count` is less than 1.
        """
        if count < 1:
            raise ValueError(f"`count` must be at least 1. Received: count={count!r}")
        if not self.class_names:
            return [(self.class_name, self.score)]
        ranked = sorted(
            zip(self.class_names, self.probabilities, strict=True),
            key=lambda pair: -pair[1],
        )
        return ranked[:count]
