"""How a head was trained, for the report and the manifest. No TensorFlow here."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass

from graft.storage import files

FACTS_FILE = "training.json"
"""File in the model artifact, beside the SavedModel's folder."""


@dataclass(frozen=True)
class TrainingFacts:
    """The choices that a training made by itself.

    Attributes:
        solver: Optimizer that was used; empty if it is not known.
        penalty: The chosen L2 penalty of a linear head; None without one.
        reading: `memory` if all features were in memory, `stream` if they were read
            from their shards; empty without stored features.
        notes: What a user should know, one sentence each without a full stop.
        start: The head that the solver started from, a sentence without a full stop;
            empty if the training has no such start.
    """

    solver: str = ""
    penalty: float | None = None
    reading: str = ""
    notes: tuple[str, ...] = ()
    start: str = ""

    def to_json(self) -> str:
        """Return the content of `FACTS_FILE`."""
        return json.dumps(asdict(self), indent=1)

    @classmethod
    def read(cls, model_uri: str) -> TrainingFacts:
        """Read the file of a model artifact; an older one has none."""
        path = os.path.join(model_uri, FACTS_FILE)
        if not files.exists(path):
            return cls()
        values = json.loads(files.read_text(path))
        return cls(**{**values, "notes": tuple(values["notes"])})
